"""The small model of V-JEPA 2.1 whose weights and golden numbers are stored: random weights, the public code's numbers.

``small_v21_dist.pt`` is laid out as the released B and L: the encoder under ``ema_encoder``, and under ``encoder``
another model of the same shapes, which must not be taken.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

import vjepa_ros
from support.public_code import drawn, without_memory
from support.reference import DATA
from vjepa_ros.config.model import ModelConfig
from vjepa_ros.config.presets import model_config
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.model.encoder import Encoder

CHECKPOINT = str(DATA / "small_v21_dist.pt")
PRESET = "vjepa2_1_vitb"
SIZES: dict[str, Any] = {"encoder_dim": 48, "encoder_depth": 12, "encoder_heads": 2, "image_size": (64, 96)}
FEW: dict[str, Any] = {"predictor_dim": 48, "predictor_depth": 2, "predictor_heads": 2}
"""A predictor that is drawn in no time."""


def small_v21(**changes: Any) -> WorldModel:
    """The stored model with a random predictor, for clips of 8 frames."""
    sizes = {**SIZES, **FEW, "num_frames": 8, "checkpoint": CHECKPOINT, "random_predictor": True}
    return vjepa_ros.load(PRESET, **{**sizes, **changes})


def v21_config(**changes: Any) -> ModelConfig:
    """8 steps of 4x6 patches, two heads of 64, five layers: no number of layers that was released."""
    sizes: dict[str, Any] = {"image_size": (64, 96), "encoder_dim": 128, "encoder_heads": 2, "encoder_depth": 5}
    return model_config(PRESET, **{**sizes, **FEW, "num_frames": 8, **changes})


def v21_encoder(config: ModelConfig, seed: int = 0) -> Encoder:
    """An encoder with random weights whose attention looks at positions, and whose tokenizers and norms all differ."""
    with without_memory():
        encoder: nn.Module = Encoder(config).eval()
    encoder.load_state_dict(drawn(encoder, seed), strict=True, assign=True)
    assert isinstance(encoder, Encoder)
    return encoder


def golden() -> dict[str, np.ndarray]:
    """What the public code computed."""
    with np.load(DATA / "golden_v21.npz") as file:
        return dict(file)


def clip_of(blocks: np.ndarray) -> torch.Tensor:
    """A clip whose patches are of one value each: (1, 3, N, H', W') -> (1, 3, N, 16*H', 16*W')."""
    return torch.from_numpy(blocks).repeat_interleave(16, 3).repeat_interleave(16, 4)
