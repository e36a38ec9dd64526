"""The two public implementations next to this package's modules, with the same weights, for parity tests.

* the public V-JEPA 2 code (in the fork that PyPI calls cc-vjepa2): encoder and action-conditioned predictor;
* transformers' VJEPA2Model: the encoder, for square images only (it counts rows and columns by one number).

A pair shares the memory of its weights, so that full sizes fit.
"""

from __future__ import annotations

import math
import os
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from unittest.mock import patch

import torch
from torch import Tensor, nn

os.environ["HF_HUB_OFFLINE"] = "1"  # before the import: nothing here may ask the network

from transformers.models.vjepa2.modeling_vjepa2 import VJEPA2Config, VJEPA2Model

from vjepa_ros.config import ModelConfig
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.model.presets import model_config

DATA = Path(__file__).parents[1] / "data" / "reference"
SMALL_PRESET = str(DATA / "small_ac.yaml")
SMALL_CHECKPOINT = str(DATA / "small_ac.pt")

STACKS = {"head32_depth1": (64, 2, 1), "head64_depth3": (64, 1, 3), "head80_depth6": (160, 2, 6)}
"""Name of a layer stack: (width, heads, layers)."""

GAIN = 1.5
"""Of the random weights. With those of a fresh model attention is all but uniform, and wrong positions would not show;
much larger ones make it a maximum, which rounding can flip. Here a shift of all positions by one row changes the
outputs by 0.1 to 0.2 on average, and float32 stays within 7e-6 of float64 at 24 layers."""


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


def stack(part: str, name: str) -> dict[str, int]:
    """The overrides that give ``encoder`` or ``predictor`` one of the STACKS."""
    return dict(zip((f"{part}_dim", f"{part}_heads", f"{part}_depth"), STACKS[name], strict=True))


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
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        use_rope=True,
    ).eval()


def public_predictor(config: ModelConfig, use_extrinsics: bool = False) -> nn.Module:
    return ac_predictor.vit_ac_predictor(
        img_size=config.image_size,
        patch_size=config.patch_size,
        num_frames=config.steps * config.tubelet_size,  # as many steps as ours
        tubelet_size=config.tubelet_size,
        embed_dim=config.encoder_dim,
        predictor_embed_dim=config.predictor_dim,
        depth=config.predictor_depth,
        num_heads=config.predictor_heads,
        action_embed_dim=config.action_dim,
        use_extrinsics=use_extrinsics,
    ).eval()


def public_factory(name: str) -> Callable[..., nn.Module]:
    """The public code's function that makes an encoder, or its predictor, of a named size."""
    return getattr(vision_transformer, name, None) or getattr(ac_predictor, name)


class TransformersEncoder(nn.Module):
    """transformers' model behind our interface: a clip (B, 3, N, H, W) in, latents (B, T'*H'*W', D) out."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        height, width = config.image_size
        assert height == width, "transformers counts rows and columns by one number"
        hidden = round(config.encoder_dim * config.mlp_ratio)
        sizes = VJEPA2Config(
            crop_size=height,
            patch_size=config.patch_size,
            tubelet_size=config.tubelet_size,
            frames_per_clip=config.num_frames,
            hidden_size=config.encoder_dim,
            num_attention_heads=config.encoder_heads,
            num_hidden_layers=config.encoder_depth,
            mlp_ratio=(hidden + 0.5) / config.encoder_dim,  # it cuts where the public code hits the whole number
            pred_hidden_size=12,  # the predictor of masked tokens, which is not used here
            pred_num_attention_heads=1,
            pred_num_hidden_layers=1,
        )
        self.model = VJEPA2Model(sizes)

    def forward(self, clip: Tensor) -> Tensor:
        return self.model(clip.transpose(1, 2), skip_predictor=True).last_hidden_state


def transformers_names(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """An encoder's weights by transformers' names: its query, key and value are ours in one."""
    renamed = {}
    for name, tensor in weights.items():
        name = name.replace("patch_embed.", "embeddings.patch_embeddings.").replace("blocks.", "layer.")
        name = f"model.encoder.{name.replace('.attn.', '.attention.')}"
        name = name.replace("encoder.norm.", "encoder.layernorm.")
        if ".qkv." in name:
            renamed |= {name.replace("qkv", part): chunk for part, chunk in zip(QKV, tensor.chunk(3), strict=True)}
        else:
            renamed[name] = tensor
    return renamed


QKV = ("query", "key", "value")


def run(module: nn.Module, *inputs: Tensor) -> Tensor:
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the public code uses a deprecated context manager
        return module(*inputs)


def drawn(module: nn.Module, seed: int) -> dict[str, Tensor]:
    """Random weights for a module, which may be on the meta device: see GAIN."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, parameter in sorted(module.named_parameters()):
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.ndim > 1:
            weights[name] = noise.mul_(GAIN / math.sqrt(parameter[0].numel()))
        else:
            is_gain = ".norm" in f".{name}".replace("predictor_", "") and name.endswith("weight")
            weights[name] = noise.mul_(0.2).add_(float(is_gain))
    return weights


@contextmanager
def without_memory() -> Iterator[None]:
    """Modules made inside of it have shapes only."""
    # The public code reads numbers off a tensor while it builds a module: that one must be a real one.
    with torch.device("meta"), patch.object(torch, "linspace", partial(torch.linspace, device="cpu")):
        yield


def encoder_pair(config: ModelConfig, seed: int = 0) -> tuple[Encoder, nn.Module]:
    """Ours and the public one with the same weights, loaded by name."""
    with without_memory():
        ours, public = Encoder(config).eval(), public_encoder(config)
    weights = drawn(ours, seed)
    for module in (ours, public):
        module.load_state_dict(weights, strict=True, assign=True)
    ours.patch_embed.fold()
    return ours, public


def transformers_encoder(config: ModelConfig, weights: dict[str, Tensor]) -> TransformersEncoder:
    """transformers' encoder with these weights (ours, by our names)."""
    with without_memory():
        encoder = TransformersEncoder(config).eval()
    fit = encoder.load_state_dict(transformers_names(weights), strict=False, assign=True)
    assert not fit.unexpected_keys and all(name.startswith("model.predictor.") for name in fit.missing_keys)
    return encoder


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
