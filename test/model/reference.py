"""The public V-JEPA 2 code (the fork that PyPI calls cc-vjepa2) next to this package's modules, for parity tests."""

from __future__ import annotations

import sys
import types
import warnings
from pathlib import Path

import torch
from torch import nn

from vjepa_ros.config import ModelConfig
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.model.presets import model_config

DATA = Path(__file__).parents[1] / "data" / "reference"
SMALL_PRESET = str(DATA / "small_ac.yaml")
SMALL_CHECKPOINT = str(DATA / "small_ac.pt")


def _import_public_code() -> tuple[types.ModuleType, types.ModuleType]:
    # It takes one function from timm, which would import torchvision; nothing here drops paths.
    for name in ("timm", "timm.models", "timm.models.layers"):
        sys.modules.setdefault(name, types.ModuleType(name))
    sys.modules["timm.models.layers"].drop_path = None  # type: ignore[attr-defined]
    from vjepa2.models import ac_predictor, vision_transformer

    return vision_transformer, ac_predictor


vision_transformer, ac_predictor = _import_public_code()


def small_config(**overrides: object) -> ModelConfig:
    """The small checkpoint's configuration at 64x64 px, where nothing else is asked for."""
    return model_config(SMALL_PRESET, **{"image_size": 64, **overrides})


def public_encoder(config: ModelConfig) -> nn.Module:
    return vision_transformer.VisionTransformer(
        img_size=config.image_size,
        patch_size=config.patch_size,
        num_frames=config.num_frames,
        tubelet_size=config.tubelet_size,
        embed_dim=config.encoder_dim,
        depth=config.encoder_depth,
        num_heads=config.encoder_heads,
        mlp_ratio=config.mlp_ratio,
        norm_layer=_norm,
        use_rope=True,
    ).eval()


def public_predictor(config: ModelConfig, use_extrinsics: bool = False) -> nn.Module:
    return ac_predictor.vit_ac_predictor(
        img_size=config.image_size,
        patch_size=config.patch_size,
        num_frames=config.steps * config.tubelet_size,
        tubelet_size=config.tubelet_size,
        embed_dim=config.encoder_dim,
        predictor_embed_dim=config.predictor_dim,
        depth=config.predictor_depth,
        num_heads=config.predictor_heads,
        action_embed_dim=config.action_dim,
        use_extrinsics=use_extrinsics,
    ).eval()


def run(module: nn.Module, *inputs: torch.Tensor) -> torch.Tensor:
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the public code uses a deprecated context manager
        return module(*inputs)


def randomize(module: nn.Module, seed: int) -> None:
    """Weights large enough that attention is far from uniform: with those of a fresh model, positions hardly matter."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(module.named_parameters()):
            noise = torch.randn(parameter.shape, generator=generator)
            is_norm = ".norm" in f".{name}" and name.endswith("weight")
            parameter.copy_(1 + 0.2 * noise if is_norm else 0.2 * noise)


def encoder_pair(config: ModelConfig, seed: int = 0) -> tuple[Encoder, nn.Module]:
    """Ours and the public one with the same weights, loaded by name."""
    ours, public = Encoder(config).eval(), public_encoder(config)
    randomize(ours, seed)
    public.load_state_dict(ours.state_dict(), strict=True)
    ours.patch_embed.fold()
    return ours, public


def predictor_pair(config: ModelConfig, use_extrinsics: bool = False, seed: int = 0) -> tuple[Predictor, nn.Module]:
    """Ours and the public one with the same weights, loaded by name."""
    ours, public = Predictor(config, use_extrinsics).eval(), public_predictor(config, use_extrinsics)
    randomize(public, seed)
    weights = public.state_dict()
    if not use_extrinsics:  # the public predictor has these two even when it does not use them
        del weights["extrinsics_encoder.weight"], weights["extrinsics_encoder.bias"]
    ours.load_state_dict(weights, strict=True)
    return ours, public


def _norm(dim: int) -> nn.LayerNorm:
    return nn.LayerNorm(dim, eps=1e-6)
