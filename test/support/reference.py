"""This package's modules next to the public implementations, with the same weights, for parity tests.

The public implementations themselves stand in :mod:`support.public_code`; what the tests use of them can be imported
from here. A pair shares the memory of its weights, so that full sizes fit.
"""

from __future__ import annotations

from pathlib import Path

from torch import nn

from support.public_code import (
    drawn,
    public_encoder,
    public_factory,
    public_predictor,
    run,
    transformers_encoder,
    without_memory,
)
from vjepa_ros.config.model import ModelConfig
from vjepa_ros.config.presets import model_config
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor

__all__ = [
    "drawn",
    "public_encoder",
    "public_factory",
    "public_predictor",
    "run",
    "transformers_encoder",
    "without_memory",
]

DATA = Path(__file__).parents[1] / "data" / "reference"
SMALL_PRESET = str(DATA / "small_ac.yaml")
SMALL_CHECKPOINT = str(DATA / "small_ac.pt")

STACKS = {"head32_depth1": (64, 2, 1), "head64_depth3": (64, 1, 3), "head80_depth6": (160, 2, 6)}
"""Name of a layer stack: (width, heads, layers)."""


def small_config(**overrides: object) -> ModelConfig:
    """The small checkpoint's configuration at 64x64 px, where nothing else is asked for."""
    return model_config(SMALL_PRESET, **{"image_size": 64, **overrides})


def stack(part: str, name: str) -> dict[str, int]:
    """The overrides that give ``encoder`` or ``predictor`` one of the STACKS."""
    return dict(zip((f"{part}_dim", f"{part}_heads", f"{part}_depth"), STACKS[name], strict=True))


def encoder_pair(config: ModelConfig, seed: int = 0) -> tuple[Encoder, nn.Module]:
    """Ours and the public one with the same weights, loaded by name."""
    with without_memory():
        ours, public = Encoder(config).eval(), public_encoder(config)
    weights = drawn(ours, seed)
    for module in (ours, public):
        module.load_state_dict(weights, strict=True, assign=True)
    return ours, public


def predictor_pair(config: ModelConfig, use_extrinsics: bool = False, seed: int = 0) -> tuple[Predictor, nn.Module]:
    """Ours and the public one with the same weights, loaded by name."""
    public = public_predictor(config, use_extrinsics)  # for real: its mask is neither a parameter nor a buffer
    with without_memory():
        ours = Predictor(config, use_extrinsics).eval()
    weights = drawn(public, seed)
    public.load_state_dict(weights, strict=True, assign=True)
    if not use_extrinsics:  # the public predictor has these two even when it does not use them
        del weights["extrinsics_encoder.weight"], weights["extrinsics_encoder.bias"]
    ours.load_state_dict(weights, strict=True, assign=True)
    return ours, public
