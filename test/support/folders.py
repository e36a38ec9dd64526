"""Folders as Hugging Face has them, written by the real transformers class with random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import vjepa_ros
from support.public_code import TransformersEncoder, drawn, run
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import CheckpointError

SIZES: dict[str, Any] = {"encoder_dim": 64, "encoder_depth": 3, "encoder_heads": 2, "image_size": (64, 64)}
"""Of the small model; else it is as those that are published."""
FEW: dict[str, Any] = {"predictor_dim": 48, "predictor_depth": 1, "predictor_heads": 2}


class Folder:
    """A folder, and the class that wrote it.

    Args:
        path: where to; it is made.
        shard_bytes: the largest shard; 0 for a single file.
        changes: of the sizes in config.json.
    """

    def __init__(self, path: Path, shard_bytes: int = 0, **changes: Any) -> None:
        from transformers.models.vjepa2.modeling_vjepa2 import VJEPA2Config, VJEPA2Model

        sizes = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2, "crop_size": 64}
        small = {"pred_hidden_size": 12, "pred_num_attention_heads": 1, "pred_num_hidden_layers": 1}
        self.path = path
        self.model = VJEPA2Model(VJEPA2Config(**{**sizes, "frames_per_clip": 64, **small, **changes})).eval()
        self.model.load_state_dict(drawn(self.model, 5))
        self.model.save_pretrained(path, max_shard_size=shard_bytes or "5GB")

    def latents(self, clip: Tensor) -> Tensor:
        """What its own class makes of a clip (B, 3, N, H, W)."""
        encoder = TransformersEncoder.__new__(TransformersEncoder)
        torch.nn.Module.__init__(encoder)
        encoder.model = self.model
        return run(encoder, clip)

    def set_config(self, **values: Any) -> None:
        """Replace values of its config.json; None takes one out."""
        file = self.path / "config.json"
        content = {**json.loads(file.read_text(encoding="utf-8")), **values}
        kept = {name: value for name, value in content.items() if value is not None}
        file.write_text(json.dumps(kept), encoding="utf-8")


def clip_of(frames: int = 8, size_px: int = 64) -> Tensor:
    """A clip of noise."""
    return torch.randn(1, 3, frames, size_px, size_px, generator=torch.Generator().manual_seed(2))


def load(place: Path, preset: str = "vitl", **changes: Any) -> WorldModel:
    """The encoder of a folder or file, with a small predictor; of the small model's sizes unless by ``auto``."""
    sizes = SIZES if preset != "auto" else {}
    return vjepa_ros.load(preset, checkpoint=place, **{**sizes, **FEW, "random_predictor": True, **changes})


def refused(place: Path, **changes: Any) -> str:
    """What loading it is refused with, a single line."""
    with pytest.raises(CheckpointError) as error:
        load(place, **changes)
    assert "\n" not in str(error.value)
    return str(error.value)
