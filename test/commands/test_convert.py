"""The converter as people call it: what it writes, and what it refuses."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.conversions import CHECKPOINT, REFERENCE, loaded, run, written_preset

import vjepa_ros
from vjepa_ros import conversion
from vjepa_ros.config.sidecar import Sidecar, sidecar_path
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import CheckpointError
from vjepa_ros.files import whole


@pytest.fixture
def preset(tmp_path: Path) -> str:
    return written_preset(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder for the output."""
    (tmp_path / "output").mkdir()
    return tmp_path / "output"


@pytest.fixture
def training_checkpoint(tmp_path: Path) -> Path:
    """The small checkpoint with what training adds to it."""
    content = torch.load(CHECKPOINT, weights_only=True)
    content["opt"] = {"state": {0: {"exp_avg": torch.zeros(1_000_000)}}}
    torch.save(content, tmp_path / "training.pt")
    return tmp_path / "training.pt"


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str]:
    """(exit status, the sentence)."""
    status = run(*arguments)
    captured = capsys.readouterr()
    (sentence,) = [line for line in captured.err.splitlines() if line.startswith("vjepa_convert: ")]
    assert captured.out == ""
    return status, sentence.removeprefix("vjepa_convert: ")


def outputs(model: WorldModel) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    clip = torch.randn(1, 3, 16, 64, 64, generator=generator)
    actions, states = torch.randn(2, 1, 8, 7, generator=generator)
    latents = model.encode(clip)
    return torch.cat([latents, model.predict(latents, actions, states)])


# --- What it writes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype, options", [("float32", []), ("bfloat16", ["--dtype", "bfloat16"])])
def test_the_result_gives_the_same_output_as_its_source(
    training_checkpoint, folder, preset, capsys, monkeypatch, dtype, options
):
    out = folder / "small.safetensors"
    with monkeypatch.context() as terminal:
        terminal.setenv("FORCE_COLOR", "1")  # and so the bars
        assert run(training_checkpoint, out, "--preset", preset, *options) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["small.json", "small.safetensors"]
    source, result = (loaded(path, preset, dtype, fast=False) for path in (training_checkpoint, out))
    assert torch.equal(outputs(source), outputs(result)) and result.trained
    stored = load_file(out)
    assert {tensor.dtype for tensor in stored.values()} == {getattr(torch, dtype)}
    parameters = [*source.encoder.parameters(), *source.predictor.parameters()]
    assert len(stored) == len(parameters)
    width = 4 if dtype == "float32" else 2
    kept = sum(parameter.numel() for parameter in parameters) * width
    assert kept < out.stat().st_size < kept + 20_000 and training_checkpoint.stat().st_size > 4_000_000 + kept
    said = capsys.readouterr()
    assert said.out == (
        f"{out}: {out.stat().st_size / 1e6:.1f} MB, encoder and predictor of training.pt (target_encoder) in {dtype}; "
        "loads and gives the same output\n"
    )
    assert all(stage in said.err for stage in ("reading", "writing", "checking"))


def test_what_the_sidecar_says(training_checkpoint, folder, preset):
    out = folder / "small.safetensors"
    settings = [
        "--set",
        "actions.phase=last",
        "actions.std=[2.0,2.0,2.0,2.0,2.0,2.0,2.0]",
        "--set",
        "preprocessing=droid",
        "--dtype",
        "bfloat16",
    ]
    assert run(training_checkpoint, out, "--preset", preset, *settings) == 0
    sidecar = Sidecar.read(folder / "small.json")
    assert sidecar.vjepa_ros == vjepa_ros.__version__
    assert sidecar.preset == "mine.yaml" and sidecar.dtype == "bfloat16"
    assert sidecar.sizes == {
        "image_size": [64, 64], "patch_size": 16, "tubelet_size": 2, "num_frames": 16,
        "encoder_dim": 64, "encoder_depth": 3, "encoder_heads": 1, "mlp_ratio": 4,
        "predictor_dim": 64, "predictor_depth": 3, "predictor_heads": 2, "action_dim": 7, "state_dim": 7,
        "encoder_family": "vjepa2", "latents.levels": "last",
    }  # fmt: skip
    assert sidecar.convention == {
        "context_steps": 0, "encoding": "clip", "preprocessing": "droid", "frame_rate": 4.0,
        "actions.reduction": "pick",
        "actions.phase": "last", "actions.alignment": "hold", "actions.tail": "hold", "joint_names": [],
        "states.source": "joint_states", "states.alignment": "hold", "state_names": [],
    }  # fmt: skip
    assert sidecar.normalization == {
        "pixel_mean": [0.485, 0.456, 0.406], "pixel_std": [0.229, 0.224, 0.225], "actions.mean": [],
        "actions.std": [2.0] * 7, "states.mean": [], "states.std": [],
    }  # fmt: skip
    source_hash = loaded(training_checkpoint, preset).weights_hash
    assert sidecar.source == {"file": "training.pt", "key": "target_encoder", "hash": source_hash}
    assert sidecar.parts.keys() == {"encoder", "predictor"}
    assert all(part["source"] == source_hash and len(part["hash"]) == 64 for part in sidecar.parts.values())


def test_the_same_weights_keep_their_hash(folder, preset):
    out = folder / "small.safetensors"
    assert run(CHECKPOINT, out, "--preset", preset) == 0
    assert loaded(out, preset).weights_hash == loaded(CHECKPOINT, preset).weights_hash
    again = folder / "again.safetensors"  # from safetensors to safetensors
    assert run(out, again, "--preset", preset) == 0
    assert again.read_bytes() == out.read_bytes()


def test_an_encoder_alone(tmp_path, folder, preset, capsys):
    content = torch.load(CHECKPOINT, weights_only=True)
    content["predictor"] = {"module.mask_tokens.0": torch.zeros(1)}
    torch.save(content, tmp_path / "encoder.pt")
    out = folder / "encoder.safetensors"
    status, sentence = refused(capsys, tmp_path / "encoder.pt", out, "--preset", preset)
    assert status == 1 and sentence.endswith("with a random predictor, set --encoder-only")
    assert run(tmp_path / "encoder.pt", out, "--preset", preset, "--encoder-only") == 0
    assert all(name.startswith("encoder.") for name in load_file(out))
    assert Sidecar.read(folder / "encoder.json").parts.keys() == {"encoder"}
    source, result = (
        loaded(path, preset, random_predictor=True) for path in (tmp_path / "encoder.pt", out)
    )  # fmt: skip
    assert torch.equal(outputs(source), outputs(result)) and not result.trained
    with pytest.raises(CheckpointError, match="has no predictor"):
        loaded(out, preset)


def test_anybody_may_read_what_anybody_may_read_of_other_new_files(folder, preset):
    (folder / "other").touch()
    assert run(CHECKPOINT, folder / "small.safetensors", "--preset", preset) == 0
    modes = {path.stat().st_mode for path in folder.iterdir()}
    assert len(modes) == 1


# --- What it refuses -------------------------------------------------------------------------------------------------


def test_outputs_that_are_there_are_refused_unless_forced(folder, preset, capsys):
    out, sidecar = folder / "small.safetensors", folder / "small.json"
    for path in (out, sidecar):
        path.write_text("mine")
        status, sentence = refused(capsys, CHECKPOINT, out, "--preset", preset)
        assert (status, sentence) == (1, f"{path}: is there already; --force replaces it")
        assert path.read_text() == "mine" and len(list(folder.iterdir())) == 1
        path.unlink()
    out.write_text("mine")
    sidecar.write_text("mine")
    assert run(CHECKPOINT, out, "--preset", preset, "--force") == 0
    assert loaded(out, preset).trained and Sidecar.read(sidecar).source["file"] == "small_ac.pt"


def test_the_checkpoint_itself_is_never_replaced(folder, preset, capsys):
    out = folder / "small.safetensors"
    assert run(CHECKPOINT, out, "--preset", preset) == 0
    capsys.readouterr()
    (folder / "link.safetensors").symlink_to(out)
    before = out.read_bytes()
    for name in ("small.safetensors", "link.safetensors"):
        status, sentence = refused(capsys, out, folder / name, "--preset", preset, "--dtype", "bfloat16", "--force")
        assert (status, sentence) == (1, f"{folder / name}: is the checkpoint itself; give the output another name")
    assert out.read_bytes() == before


def test_what_makes_no_sense_is_refused_and_wrong_arguments_end_with_2(folder, preset, capsys):
    out = folder / "small.safetensors"
    cases = {
        f"OUT.safetensors: {folder / 'small.pt'} must end in .safetensors": [folder / "small.pt", "--preset", preset],
        "--preset: 'huge' is not one of ": [out, "--preset", "huge"],
        "encoder_heads: 5 heads do not divide encoder_dim 64": [out, "--preset", preset, "--set", "encoder_heads=5"],
        "actions.tail: the reduction pick does not reach": [out, "--preset", preset, "--set", "actions.tail=zero"],
        "hop: is not recorded with weights": [out, "--preset", preset, "--set", "hop=4"],
        "checkpoint: is not recorded with weights; these are: image_size, ":
            [out, "--preset", preset, "--set", "checkpoint=x"],
        "hops: there is no such parameter": [out, "--preset", preset, "--set", "hops=4"],
        "frame_rate: is neither set nor in the preset": [out, "--preset", REFERENCE / "small_ac.yaml"],
    }  # fmt: skip
    for sentence, arguments in cases.items():
        status, said = refused(capsys, CHECKPOINT, *arguments)
        assert status == 1 and said.startswith(sentence), said
    for arguments in ([], [CHECKPOINT, out], [CHECKPOINT, out, "--preset", preset, "--set", "actions.phase"],
                      [CHECKPOINT, out, "--preset", preset, "--set", "actions.phase=["],
                      [CHECKPOINT, out, "--preset", preset, "--dtype", "float16"]):  # fmt: skip
        with pytest.raises(SystemExit) as error:
            run(*arguments)
        assert error.value.code == 2
    assert list(folder.iterdir()) == []


def test_a_checkpoint_that_is_refused_leaves_nothing(tmp_path, folder, preset, capsys):
    out = folder / "small.safetensors"
    (tmp_path / "cut.pt").write_bytes(CHECKPOINT.read_bytes()[:100_000])
    for source, reason in ((tmp_path / "cut.pt", "is truncated"), (tmp_path / "none.pt", "there is no such file")):
        status, sentence = refused(capsys, source, out, "--preset", preset)
        assert status == 1 and sentence.startswith(f"{source}: {reason}")
    status, sentence = refused(capsys, CHECKPOINT, out, "--preset", preset, "--set", "action_dim=6")
    assert status == 1 and "action_encoder.weight has shape (64, 7), but this model needs (64, 6)" in sentence
    assert list(folder.iterdir()) == []
    status, sentence = refused(capsys, CHECKPOINT, folder / "no" / "small.safetensors", "--preset", preset)
    assert (status, sentence) == (1, f"{folder / 'no' / 'small.safetensors'}: there is no folder {folder / 'no'}")


def test_a_disk_that_is_too_full_is_noticed_at_once(folder, preset, capsys, monkeypatch):
    usage = shutil.disk_usage(folder)._replace(free=100_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    out = folder / "small.safetensors"
    status, sentence = refused(capsys, CHECKPOINT, out, "--preset", preset)
    assert (status, sentence) == (1, f"{out}: needs 0.002 GB, but its disk has 0.000 GB left")
    assert list(folder.iterdir()) == []


def test_a_failing_disk(folder, preset):
    """From when the weights are written no file may grow past 100 kB: a real failure, as on a disk that fills up."""
    out = folder / "small.safetensors"
    code = (
        "import resource, sys; from vjepa_ros import conversion; from vjepa_ros.commands import convert;"
        "limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000));"
        "write = conversion.write_safetensors;"
        "conversion.write_safetensors = lambda *given: (limit(), write(*given));"
        "sys.exit(convert.main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, CHECKPOINT, out, "--preset", preset], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "small.safetensors: cannot be written (" in done.stderr and "File too large" in done.stderr
    assert "Traceback" not in done.stderr and list(folder.iterdir()) == []


def test_a_second_conversion_to_the_same_place_is_refused(folder, preset, capsys):
    out = folder / "small.safetensors"
    with whole([sidecar_path(out), out], tool="vjepa_convert", force=False) as new:
        status, sentence = refused(capsys, CHECKPOINT, out, "--preset", preset)
        assert (status, sentence) == (1, f"{out}: another vjepa_convert is writing it")
        for path in new.values():
            path.touch()
    assert run(CHECKPOINT, out, "--preset", preset, "--force") == 0


@pytest.mark.parametrize("part", ["encoder", "predictor"])
def test_a_result_that_differs_from_its_source_is_not_kept(folder, preset, capsys, monkeypatch, part):
    def write_wrongly(path: Path, parts: dict[str, dict[str, torch.Tensor]]) -> None:
        name = next(iter(parts[part]))
        wrong = {**parts, part: {**parts[part], name: parts[part][name] + 1}}
        save_file({f"{p}.{n}": tensor for p, tensors in wrong.items() for n, tensor in tensors.items()}, path)

    monkeypatch.setattr(conversion, "write_safetensors", write_wrongly)
    status, sentence = refused(capsys, CHECKPOINT, folder / "small.safetensors", "--preset", preset)
    assert status == 1 and f"its {part} is not the one that" in sentence
    assert list(folder.iterdir()) == []


def test_other_outputs_are_noticed_even_with_the_right_weights(folder, preset, capsys, monkeypatch):
    build = conversion.build_world_model
    monkeypatch.setattr(
        conversion, "build_world_model", lambda config, *rest: build(replace(config, encoder_heads=2), *rest)
    )
    monkeypatch.setattr(Sidecar, "require_sizes", lambda *_: None)
    status, sentence = refused(capsys, CHECKPOINT, folder / "small.safetensors", "--preset", preset)
    assert status == 1 and "gives other latents than its source (by up to " in sentence
    assert list(folder.iterdir()) == []


def test_ctrl_c(folder, preset, capsys, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(conversion, "write_safetensors", interrupted)
    assert refused(capsys, CHECKPOINT, folder / "small.safetensors", "--preset", preset) == (
        130,
        "interrupted; nothing was written",
    )
    assert list(folder.iterdir()) == []
