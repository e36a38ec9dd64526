"""Predictors of one's own on the encoders that people have: a folder of Hugging Face, and a file of V-JEPA 2.1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support import small_v21
from support.folders import Folder

import vjepa_ros
from vjepa_ros.commands import replay, simulate, train
from vjepa_ros.config.sidecar import Sidecar

JOINTS = [f"panda_joint{number}" for number in range(1, 8)]
SIZES: dict[str, Any] = {
    "image_size": [32, 32], "num_frames": 4, "predictor_dim": 48, "predictor_depth": 1, "predictor_heads": 2,
    "context_steps": 1,
}  # fmt: skip
VALUES: dict[str, Any] = {
    "device": "cpu", "threads": 1, **SIZES, "frame_rate": 10.0, "joint_names": JOINTS,
    "actions.reduction": "difference", "states.source": "none",
}  # fmt: skip
V21 = {"preset": small_v21.PRESET, "encoder_dim": 48, "encoder_depth": 12, "encoder_heads": 2}
FEW = ("--steps", "10", "--batch", "8", "--lr", "2e-3", "--evaluate-every", "10", "--device", "cpu")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Three short ones."""
    folder = tmp_path_factory.mktemp("recordings") / "all"
    of_the_world = ["--episodes", "9", "--bags", "3", "--frames", "24", "--size", "32", "--drawn", "64"]
    assert simulate.main([*of_the_world, "--variation", "fixed", "-o", str(folder)]) == 0
    return [str(folder / str(number)) for number in range(3)]


def trained(folder: Path, recordings: list[str], **changes: Any) -> tuple[Path, Path]:
    """A predictor that was trained, and the parameters that it was trained with."""
    params, out = folder / "params.yaml", folder / "predictor.safetensors"
    params.write_text(json.dumps({"/**": {"ros__parameters": {**VALUES, **changes}}}))
    assert train.main([*recordings, "--params", str(params), "-o", str(out), *FEW]) == 0
    return out, params


def require_runs(recording: str, out: Path, params: Path, folder: Path) -> dict[str, Any]:
    """Both files run as a node would run them."""
    given = [recording, "--params", str(params), "--set", f"predictor_checkpoint={out}", "-o", str(folder / "replayed")]
    assert replay.main(given) == 0
    found: dict[str, Any] = json.loads((folder / "replayed" / "report.json").read_text())
    assert found["counts"]["windows"] > 10
    return found


def test_on_a_folder_of_hugging_face(recordings: list[str], tmp_path: Path) -> None:
    hub = Folder(tmp_path / "hub").path
    changes = {"preset": "auto", "checkpoint": str(hub), "encoding": "tubelet", "hop": 2, "actions.phase": "last"}
    out, params = trained(tmp_path, recordings, **changes)
    sidecar = Sidecar.of_checkpoint(out)
    assert sidecar is not None and sidecar.preset == "vitl" and list(sidecar.parts) == ["predictor"]
    assert (sidecar.sizes["encoder_dim"], sidecar.sizes["image_size"]) == (64, [32, 32])
    found = require_runs(recordings[0], out, params, tmp_path)
    model = vjepa_ros.load("auto", checkpoint=hub, predictor_checkpoint=out, encoding="tubelet", **SIZES)
    assert model.trained and found["encoder_hash"] == model.encoder_hash == sidecar.encoder_hash


@pytest.mark.parametrize(("encoding", "levels"), [("frame", "last"), ("frame", "all"), ("tubelet", "all")])
def test_on_a_file_of_v_jepa_2_1(recordings: list[str], tmp_path: Path, encoding: str, levels: str) -> None:
    own = {"hop": 1} if encoding == "frame" else {"hop": 2, "actions.phase": "last"}
    changes = {**V21, "checkpoint": small_v21.CHECKPOINT, "encoding": encoding, "latents.levels": levels, **own}
    out, params = trained(tmp_path, recordings, **changes)
    sidecar = Sidecar.of_checkpoint(out)
    assert sidecar is not None and sidecar.encoder_hash == small_v21.small_v21().encoder_hash, "of the right encoder"
    assert (sidecar.sizes["latents.levels"], sidecar.convention["encoding"]) == (levels, encoding)
    found = require_runs(recordings[0], out, params, tmp_path)
    assert found["encoder_hash"] == sidecar.encoder_hash
