"""``vjepa_convert --onnx``: what it writes, that it is the model, and what it refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from support.conversions import CHECKPOINT, loaded, run, written_preset

import vjepa_ros
from vjepa_ros import onnx_files
from vjepa_ros.commands import convert

FILES = [f"{part}.{dtype}.onnx" for part in ("encoder", "predictor") for dtype in ("float32", "float16")]
CLIP = {"clip": {"shape": [1, 3, 16, 64, 64], "dtype": "float32"}}


@pytest.fixture
def preset(tmp_path: Path) -> str:
    return written_preset(tmp_path)


def needed() -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")


def computed(path: Path, **inputs: np.ndarray) -> dict[str, np.ndarray]:
    """What a file computes, as a program that knows nothing of this package would have it."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, inputs), strict=True))


@pytest.mark.parametrize("beside", [False, True])
def test_a_folder_with_both_parts_in_both_dtypes(preset, tmp_path, capsys, monkeypatch, beside):
    needed()
    if beside:  # as for weights of gigabytes
        monkeypatch.setattr(onnx_files, "MOST_INSIDE", 0)
    folder = tmp_path / "onnx"
    assert run(CHECKPOINT, "--onnx", folder, "--preset", preset, "--set", "actions.phase=last") == 0
    data = [f"{name}.data" for name in FILES] if beside else []
    assert sorted(path.name for path in folder.iterdir()) == sorted([*FILES, *data, "model.json"])
    said = json.loads((folder / "model.json").read_text())
    source = loaded(CHECKPOINT, preset, fast=False)
    assert said["format"] == "vjepa_ros onnx 1" and said["vjepa_ros"] == vjepa_ros.__version__ and said["opset"] == 17
    assert said["preset"] == "mine.yaml" and said["convention"]["actions.phase"] == "last"
    assert said["sizes"]["encoder_dim"] == 64 and said["normalization"]["pixel_mean"] == [0.485, 0.456, 0.406]
    assert said["source"] == {"file": "small_ac.pt", "key": "target_encoder", "hash": source.weights_hash}
    assert said["parts"] == {"encoder": source.encoder_hash, "predictor": source.predictor_hash}
    assert list(said["files"]) == FILES
    generator = torch.Generator().manual_seed(3)
    clip = torch.randn(1, 3, 16, 64, 64, generator=generator)
    actions, states = torch.randn(2, 1, 8, 7, generator=generator)
    raw, latents = source.encode(clip, normalize=False), source.encode(clip)
    predictions = source.predict(latents, actions, states)
    for dtype, most in (("float32", 1e-4), ("float16", 0.02)):
        encoder, predictor = (said["files"][f"{part}.{dtype}.onnx"] for part in ("encoder", "predictor"))
        assert encoder["inputs"] == CLIP and encoder["dtype"] == predictor["dtype"] == dtype
        assert encoder["weights"] == (f"encoder.{dtype}.onnx.data" if beside else "")
        assert 0 < encoder["max_difference"] <= encoder["tolerance"] == onnx_files.TOLERANCES[dtype]
        found = computed(folder / f"encoder.{dtype}.onnx", clip=clip.numpy())
        assert {name: {"shape": list(value.shape), "dtype": str(value.dtype)} for name, value in found.items()} == (
            encoder["outputs"]
        )
        assert np.abs(found["raw_latents"] - raw.numpy()).max() < most * 10
        assert np.abs(found["latents"] - latents.numpy()).max() < most
        inputs = {"context": latents.numpy(), "actions": actions.numpy(), "states": states.numpy()}
        assert {name: list(value.shape) for name, value in inputs.items()} == {
            name: value["shape"] for name, value in predictor["inputs"].items()
        }
        found = computed(folder / f"predictor.{dtype}.onnx", **inputs)
        assert list(found) == list(predictor["outputs"]) == ["raw_predictions", "predictions"]
        assert np.abs(found["predictions"] - predictions.numpy()).max() < most
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in lines] == [str(folder / name) for name in FILES]
    assert lines[0].startswith(f"{folder / FILES[0]}: encoder in float32; onnxruntime gives what torch does in float32")


def test_an_encoder_alone(preset, tmp_path):
    needed()
    folder = tmp_path / "onnx"
    settings = ["--encoder-only", "--set", "encoding=frame_repeat"]
    assert run(CHECKPOINT, "--onnx", folder, "--preset", preset, *settings) == 0
    said = json.loads((folder / "model.json").read_text())
    assert list(said["files"]) == FILES[:2] and list(said["parts"]) == ["encoder"]
    assert said["files"][FILES[0]]["inputs"]["clip"]["shape"] == [1, 3, 1, 64, 64]
    assert sorted(path.name for path in folder.iterdir()) == sorted([*FILES[:2], "model.json"])


def test_the_weights_of_the_package(tmp_path):
    needed()
    tiny = Path(vjepa_ros.__file__).parent / "weights" / "tiny.safetensors"
    assert run(tiny, "--onnx", tmp_path / "onnx", "--preset", "tiny") == 0
    said = json.loads((tmp_path / "onnx" / "model.json").read_text())
    assert said["source"]["hash"] == vjepa_ros.load("tiny").weights_hash


# -- what is refused


def refused(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: str | Path) -> str:
    before = sorted(folder.parent.rglob("*"))
    assert run(CHECKPOINT, "--onnx", folder, *arguments) == 1
    captured = capsys.readouterr()
    (sentence,) = captured.err.splitlines()
    assert captured.out == "" and sorted(folder.parent.rglob("*")) == before
    return sentence.removeprefix("vjepa_convert: ")


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_without_a_package(missing, preset, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    said = refused(capsys, tmp_path / "out", "--preset", preset)
    assert f"the package {missing} is needed and cannot be imported" in said and "vjepa_ros[onnx]" in said
    assert said.startswith("--onnx: ")


def test_a_folder_that_is_there(preset, tmp_path, capsys):
    needed()
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "precious").touch()
    assert "is there already; --force replaces it" in refused(capsys, folder, "--preset", preset)
    assert run(CHECKPOINT, "--onnx", folder, "--preset", preset, "--encoder-only", "--force") == 0
    assert not (folder / "precious").exists() and (folder / "model.json").exists()


def test_a_folder_that_holds_the_checkpoint(preset, tmp_path, capsys):
    needed()
    inside = tmp_path / "out" / "small.pt"
    inside.parent.mkdir()
    inside.write_bytes(CHECKPOINT.read_bytes())
    assert run(inside, "--onnx", inside.parent, "--preset", preset, "--force") == 1
    assert "holds the checkpoint itself" in capsys.readouterr().err and inside.exists()


def test_what_is_not_the_model_is_not_written(preset, tmp_path, capsys, monkeypatch):
    needed()
    whole = onnx_files.write_graph

    def forgetful(graph, module, path):
        with torch.no_grad():
            first = next(iter(module.parameters()))
            first.copy_(first.flip(0))  # a shift of all channels alike would be lost in the LayerNorm behind it
        whole(graph, module, path)

    monkeypatch.setattr(onnx_files, "write_graph", forgetful)
    said = refused(capsys, tmp_path / "out", "--preset", preset)
    assert said.startswith("encoder.float32.onnx: onnxruntime gives other latents than torch, by up to ")


@pytest.mark.parametrize(
    "arguments, said",
    [
        ([], "one of OUT.safetensors and --onnx DIR is needed"),
        (["out.safetensors", "--onnx", "out"], "one of OUT.safetensors and --onnx DIR is needed"),
        (["--onnx", "out", "--dtype", "bfloat16"], "--dtype says nothing of ONNX files"),
        (["--onnx", "out", "--predictor-only"], "--predictor-only says nothing of ONNX files"),
        (["--onnx", "out", "--trained-with", "x.pt"], "--trained-with says nothing of ONNX files"),
    ],
)
def test_arguments_that_do_not_go_together(arguments, said, capsys):
    with pytest.raises(SystemExit) as left:
        convert.main([str(CHECKPOINT), "--preset", "tiny", *arguments])
    assert left.value.code == 2 and said in capsys.readouterr().err
