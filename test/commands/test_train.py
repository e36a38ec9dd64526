"""The whole way, short: recordings are simulated, a model is trained on them, and the tools run it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import vjepa_ros
from vjepa_ros.commands import replay, simulate, train
from vjepa_ros.config.node import resolve
from vjepa_ros.config.sidecar import Sidecar
from vjepa_ros.errors import ConfigError
from vjepa_ros.training import learned, report, run

JOINTS = [f"panda_joint{number}" for number in range(1, 8)]
SIZES: dict[str, Any] = {
    "image_size": [32, 32], "num_frames": 4, "encoder_dim": 32, "encoder_depth": 1, "encoder_heads": 1,
    "predictor_dim": 48, "predictor_depth": 1, "predictor_heads": 2, "context_steps": 1, "encoding": "tubelet",
}  # fmt: skip
CONVENTION: dict[str, Any] = {
    "frame_rate": 10.0, "joint_names": JOINTS, "actions.reduction": "difference", "actions.phase": "last",
    "states.source": "none", "hop": 2,
}  # fmt: skip
VALUES = {"preset": "tiny_random", "device": "cpu", "threads": 1, **SIZES, **CONVENTION}
FEW = ("--steps", "20", "--batch", "8", "--lr", "2e-3", "--evaluate-every", "10", "--device", "cpu")
ENCODER = ("--train-encoder", "--encoder-steps", "20", "--encoder-batch", "8")
BAGS = ("0", "1", "2")


def params(folder: Path, **changes: Any) -> Path:
    """A parameter file."""
    path = folder / f"{len(list(folder.glob('*.yaml')))}.yaml"
    path.write_text(json.dumps({"/**": {"ros__parameters": {**VALUES, **changes}}}))
    return path


def trained(folder: Path, called: str, *options: str, **changes: Any) -> tuple[int, Path]:
    """The exit status, and the model."""
    out = folder / f"{called}.safetensors"
    bags = [str(folder / "recordings" / bag) for bag in BAGS]
    return train.main([*bags, "--params", str(params(folder, **changes)), "-o", str(out), *FEW, *options]), out


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings, and a model that was trained on them with its encoder (``whole``)."""
    folder = tmp_path_factory.mktemp("training")
    of_the_world = ["--episodes", "9", "--bags", "3", "--frames", "24", "--size", "32", "--drawn", "64"]
    assert simulate.main([*of_the_world, "--variation", "fixed", "-o", str(folder / "recordings")]) == 0
    status, _ = trained(folder, "whole", *ENCODER)
    assert status == 0
    return folder


def told(out: Path) -> dict[str, Any]:
    """The report of a model."""
    found: dict[str, Any] = json.loads((out.with_suffix(".train") / report.JSON).read_text())
    return found


def test_encoder_and_predictor_run_as_a_node_would_run_them(folder: Path, tmp_path: Path) -> None:
    out = folder / "whole.safetensors"
    found = told(out)
    assert tuple(found) == report.KEYS and found["windows"] == 3 * 3 * 11
    assert found["hours"] == pytest.approx(3 * 3 * 12 * 0.2 / 3600)
    assert all(found[name] > 0 for name in ("k1", "k4", "k8", "shuffled4")) and 0 <= found["rank"] <= 1
    assert found["convention"]["actions.reduction"] == "difference" and found["convention"]["context_steps"] == 1
    html = (folder / "whole.train" / report.HTML).read_text()
    assert found["judgement_text"].split(":")[0] in html and "recordings/2" in html
    model = vjepa_ros.load("tiny_random", checkpoint=out, **SIZES)
    assert model.trained and model.weights_hash == found["hashes"]["model"]
    assert model.encoder_hash == found["hashes"]["encoder"]
    assert max(map(abs, model.normalization.actions.mean)) > 0 and min(model.normalization.actions.std) < 0.5
    bag, checkpoint = str(folder / "recordings" / "2"), ("--set", f"checkpoint={out}")
    given = [bag, "--params", str(params(folder)), *checkpoint, "-o", str(tmp_path / "replayed")]
    assert replay.main(given) == 0
    replayed = json.loads((tmp_path / "replayed" / "report.json").read_text())
    assert replayed["counts"]["windows"] == 33 and replayed["encoder_hash"] == found["hashes"]["encoder"]


@pytest.mark.parametrize("changes", [{"actions.reduction": "pick"}, {"frame_rate": 20.0}, {"actions.phase": "first"}])
def test_another_convention_is_refused(folder: Path, changes: dict[str, Any]) -> None:
    (name,) = changes
    with pytest.raises(ConfigError, match="the weights were trained with") as caught:
        resolve({**VALUES, "checkpoint": str(folder / "whole.safetensors"), **changes})
    assert caught.value.parameter == name


def test_a_predictor_alone_is_trained_on_a_frozen_encoder(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The encoder's file may have been made for another convention: that was its own predictor's."""
    whole = folder / "whole.safetensors"
    changes = {"checkpoint": str(whole), "actions.reduction": "pick", "states.source": "commands"}
    status, out = trained(folder, "alone", **changes)
    said = capsys.readouterr()
    assert status == 0 and said.out.startswith(f"{out}: ")
    assert "panda_joint1" in said.err and "predictor: step 10 of 20: loss " in said.err and "no change" in said.err
    sidecar = Sidecar.of_checkpoint(out)
    assert sidecar is not None and list(sidecar.parts) == ["predictor"]
    assert sidecar.encoder_hash == told(whole)["hashes"]["encoder"] == told(out)["hashes"]["encoder"]
    assert sidecar.convention["actions.reduction"] == "pick"
    model = vjepa_ros.load("tiny_random", checkpoint=whole, predictor_checkpoint=out, **SIZES)
    assert model.weights_hash == told(out)["hashes"]["model"]
    both = ["--set", f"predictor_checkpoint={out}"]
    given = [str(folder / "recordings" / "0"), "--params", str(params(folder, **changes)), *both]
    assert replay.main([*given, "-o", str(tmp_path / "replayed")]) == 0


def test_what_is_there_is_not_done_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = folder / "whole.safetensors"
    before = out.read_bytes(), out.with_suffix(".json").read_bytes(), told(out)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("it is there")

    monkeypatch.setattr(learned, "train_encoder", never)
    monkeypatch.setattr(learned, "train_predictor", never)
    status, _ = trained(folder, "whole", *ENCODER, "--force")
    assert status == 0
    assert (out.read_bytes(), out.with_suffix(".json").read_bytes(), told(out)) == before


def test_an_interrupted_training_goes_on_to_the_same_result(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(folder / "recordings", tmp_path / "recordings")
    real: Any = run.learn_predictor
    steps: list[int] = []

    def interrupted(*arguments: Any) -> Any:
        *others, inform = arguments

        def tell(now: Any) -> None:
            inform(now)
            steps.append(now.step)
            if now.step == 15:
                raise KeyboardInterrupt

        return real(*others, tell)

    options = (*ENCODER, "--checkpoint-every", "5")
    with monkeypatch.context() as patched:
        patched.setattr(run, "learn_predictor", interrupted)
        assert trained(tmp_path, "whole", *options)[0] == 130
    assert not (tmp_path / "whole.safetensors").exists() and "--resume goes on" in capsys.readouterr().err
    steps.clear()
    monkeypatch.setattr(run, "learn_predictor", lambda *given: real(*given[:-1], lambda now: steps.append(now.step)))
    status, out = trained(tmp_path, "whole", *options, "--resume")
    assert status == 0 and steps == [20]
    assert out.read_bytes() == (folder / "whole.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("options", "changes", "said"),
    [
        ((), {}, "checkpoint: must name the file of the encoder"),
        (("--train-encoder",), {"checkpoint": "some.pt"}, "--train-encoder: trains an encoder from scratch"),
        (("--train-encoder", "--predictor", "x.pt"), {}, "--predictor: knows the latents of its own encoder only"),
        (("--train-encoder", "--steps", "0"), {}, "--steps: must be a whole number of at least 1"),
        (("--train-encoder", "--device", "nope"), {}, "--device: 'nope' cannot be used"),
        (("--train-encoder", "--freeze", "nothing.*"), {}, "--freeze: "),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], changes: dict[str, Any], said: str
) -> None:
    more = ENCODER[1:] if "--freeze" in options else ()
    status, out = trained(folder, "refused", *options, *more, **changes)
    last = capsys.readouterr().err.splitlines()[-1]
    assert status == 1 and last.startswith(f"vjepa_train: {said}") and "`" not in last
    assert not out.exists()


def test_a_recording_that_lacks_frames_is_trained_on_with_an_exit_status_of_its_own(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(folder / "recordings", tmp_path / "recordings")
    description = tmp_path / "recordings" / "0" / "metadata.yaml"
    said = yaml.safe_load(description.read_text())["rosbag2_bagfile_information"]
    (images,) = (one for one in said["topics_with_message_count"] if one["topic_metadata"]["name"] == "/image")
    for announced in (said, *said["files"], images):
        announced["message_count"] += 7
    description.write_text(yaml.safe_dump({"rosbag2_bagfile_information": said}))
    encoder = f"checkpoint={folder / 'whole.safetensors'}"
    status, out = trained(tmp_path, "lacks", "--set", encoder)
    errors = capsys.readouterr().err
    assert status == 3, errors
    assert (
        "not all of what was announced could be read" in errors
        and "/image: 79 messages are announced, and 72 were read" in errors
    )
    assert out.exists() and told(out)["windows"] == 3 * 3 * 11
    assert trained(tmp_path, "lacks", "--set", encoder, "--force", "--allow-incomplete")[0] == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"joint_names": [*JOINTS[:6], "panda_joint9"]}, "panda_joint9"),
        ({"num_frames": 64}, "no window came out: 216 frames made 0 windows"),
    ],
)
def test_bad_data_are_refused_before_anything_is_computed(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], said: str
) -> None:
    (tmp_path / "recordings").symlink_to(folder / "recordings")
    status, out = trained(tmp_path, "refused", *ENCODER, **changes)
    last = capsys.readouterr().err.splitlines()[-1]
    assert status == 1 and last.startswith("vjepa_train: ") and said in last
    assert not out.exists() and {path.name for path in out.with_suffix(".train").glob("*/")} <= {"windows"}


def test_another_encoders_predictor_is_not_trained_further(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, other = trained(folder, "other", *ENCODER, "--seed", "3")
    assert status == 0
    capsys.readouterr()
    status, _ = trained(folder, "refused", "--predictor", str(other), checkpoint=str(folder / "whole.safetensors"))
    assert status == 1 and "was trained with another encoder" in capsys.readouterr().err
    frozen = ("--freeze", "predictor_blocks.*")
    status, further = trained(folder, "further", "--predictor", str(other), *frozen, checkpoint=str(other))
    assert status == 0 and Sidecar.of_checkpoint(further).normalization == Sidecar.of_checkpoint(other).normalization
    assert os.path.getsize(further) < os.path.getsize(other)


def test_a_predictor_is_trained_further_for_fewer_joints(folder: Path) -> None:
    """Its normalisation is of seven dimensions: that of six is the data's; what it did nothing to stays untouched."""
    whole = folder / "whole.safetensors"
    six = [f"panda_joint{number}" for number in range(1, 7)]
    status, further = trained(
        folder, "six", "--predictor", str(whole), checkpoint=str(whole), joint_names=six, action_dim=6
    )
    assert status == 0
    before, after = (Sidecar.of_checkpoint(path).normalization for path in (whole, further))
    assert len(before["actions.mean"]) == 7 and len(after["actions.mean"]) == 6
    np.testing.assert_allclose(after["actions.mean"], before["actions.mean"][:6], atol=1e-6)


def test_what_stays_and_what_it_starts_from_is_looked_at_before_the_hours_go_by(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out = trained(folder, "early", *ENCODER, "--freeze", "no_such_layer.*")
    assert status == 1 and "no_such_layer" in capsys.readouterr().err
    assert not [path for path in out.with_suffix(".train").glob("*") if "encoder" in path.name or "frames" in path.name]
    status, _ = trained(folder, "odd", "--train-encoder", "--encoder-steps", "20", "--encoder-batch", "9")
    assert status == 1 and "--encoder-batch: must be even, not 9" in capsys.readouterr().err
