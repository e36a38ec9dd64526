"""What the tests of checkpoints share: files to read, how they are read, and how they are refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import vjepa_ros
from support.reference import SMALL_CHECKPOINT, small_config
from vjepa_ros.config.sidecar import Sidecar
from vjepa_ros.errors import CheckpointError
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.weights.checkpoint import read_checkpoint
from vjepa_ros.weights.values import Weights

ENCODER_PREFIX = "module.backbone."


def read(
    path: str | Path, use_extrinsics: bool = False, predictor_seed: int | None = None, **overrides: object
) -> Weights:
    """Read a file into the small model at 64x64 px, or what overrides make of it."""
    config = small_config(**overrides)
    with torch.device("meta"):
        encoder, predictor = Encoder(config), Predictor(config, use_extrinsics)
    sidecar = Sidecar.of_checkpoint(path)
    return read_checkpoint(path, encoder, predictor, sidecar=sidecar, predictor_seed=predictor_seed)


def small_content() -> dict[str, Any]:
    """What the small checkpoint holds."""
    content: dict[str, Any] = torch.load(SMALL_CHECKPOINT, weights_only=True)
    return content


def saved(tmp_path: Path, content: object) -> Path:
    torch.save(content, tmp_path / "weights.pt")
    return tmp_path / "weights.pt"


def released(folder: Path, **depths: int) -> Path:
    """Random weights, laid out as the released V-JEPA 2-AC: two equal encoders, a predictor, prefixes, extrinsics."""
    wm = vjepa_ros.load("vjepa2_ac_vitg", seed=1, fast=False, **depths)
    encoder = {f"{ENCODER_PREFIX}{name}": tensor for name, tensor in wm.encoder.state_dict().items()}
    predictor = {f"module.{name}": tensor for name, tensor in wm.predictor.state_dict().items()}
    predictor["module.extrinsics_encoder.weight"] = torch.zeros(wm.config.predictor_dim, 6)
    predictor["module.extrinsics_encoder.bias"] = torch.zeros(wm.config.predictor_dim)
    path = folder / "vjepa2-ac-vitg.pt"
    torch.save({"encoder": encoder, "target_encoder": encoder, "predictor": predictor, "epoch": 1}, path)
    return path


def saved_safetensors(path: Path, parts: Mapping[str, Mapping[str, torch.Tensor]]) -> Path:
    tensors = {f"{part}.{name}": tensor for part, of_part in parts.items() for name, tensor in of_part.items()}
    save_file(tensors, path)
    return path


def refusal(path: str | Path, **overrides: Any) -> str:
    """The sentence with which a file is refused; it is a single line, and names the file first."""
    with pytest.raises(CheckpointError) as error:
        read(path, **overrides)
    message = str(error.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    return message.removeprefix(f"{path}: ")
