"""The public V-JEPA 2 implementations, with given weights: what this package is compared with.

* the public V-JEPA 2 code (in the fork that PyPI calls cc-vjepa2): encoder and action-conditioned predictor;
* transformers' VJEPA2Model: the encoder, for square images only (it counts rows and columns by one number).

Neither is imported before it is asked for; where one is missing, a sentence says what to install. Models that are given
the same weights share their memory, so that full sizes fit.
"""

from __future__ import annotations

import math
import os
import sys
import types
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from vjepa_ros.config.model import ModelConfig
from vjepa_ros.errors import ConfigError

GAIN = 1.5
"""How large the random weights are. With those of a fresh model attention is all but uniform, and wrong positions would
not show; much larger ones make it a maximum, which rounding can flip. Here a shift of all positions by one row changes
the outputs by 0.1 to 0.2 on average, and float32 stays within 7e-6 of float64 at 24 layers."""

QKV = ("query", "key", "value")


@cache
def _public_code() -> tuple[types.ModuleType, types.ModuleType]:
    """Its modules with the encoder and with the AC predictor."""
    # It takes one function from timm, which would import torchvision; nothing here drops paths.
    names = ("timm", "timm.models", "timm.models.layers")
    timm = {name: types.ModuleType(name) for name in names if name not in sys.modules}
    for module in timm.values():
        module.drop_path = None  # type: ignore[attr-defined]
    sys.modules.update(timm)
    try:
        with torch.device("cpu"):  # whatever device the caller makes modules on
            from vjepa2.models import ac_predictor, vision_transformer
    except ImportError as error:
        raise _missing("cc-vjepa2 (with --no-deps, next to einops)", error) from error
    finally:
        for name in timm:  # transformers would take it for timm
            del sys.modules[name]
    return vision_transformer, ac_predictor


@cache
def _transformers() -> tuple[type, type]:
    """The classes of its configuration and of its model."""
    os.environ["HF_HUB_OFFLINE"] = "1"  # before the import: nothing here may ask the network
    try:
        with torch.device("cpu"):
            from transformers.models.vjepa2.modeling_vjepa2 import VJEPA2Config, VJEPA2Model
    except ImportError as error:
        raise _missing("transformers", error) from error
    return VJEPA2Config, VJEPA2Model


def _missing(package: str, error: ImportError) -> ConfigError:
    what = f"a comparison needs the package {package}, which pip installs and a robot does not need ({error})"
    return ConfigError("reference", what)


def public_encoder(config: ModelConfig) -> nn.Module:
    """The public code's encoder of these sizes: ``(B, 3, N, H, W)`` -> ``(B, T'*H'*W', D)``.

    Raises:
        ConfigError: where the public code is not installed.
    """
    encoder: nn.Module = _public_code()[0].VisionTransformer(
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
    )
    return encoder.eval()


def public_predictor(config: ModelConfig, use_extrinsics: bool = False) -> nn.Module:
    """The public code's AC predictor of these sizes; arguments and result as our predictor's.

    Raises:
        ConfigError: where the public code is not installed.
    """
    predictor: nn.Module = _public_code()[1].vit_ac_predictor(
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
    )
    return predictor.eval()


def public_factory(name: str) -> Callable[..., nn.Module]:
    """The public code's function that makes an encoder, or its predictor, of a named size."""
    encoders, predictors = _public_code()
    factory: Callable[..., nn.Module] = getattr(encoders, name, None) or getattr(predictors, name)
    return factory


class TransformersEncoder(nn.Module):
    """transformers' model behind our interface: a clip (B, 3, N, H, W) in, latents (B, T'*H'*W', D) out."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        sizes, model = _transformers()
        height, width = config.image_size
        assert height == width, "transformers counts rows and columns by one number"
        hidden = round(config.encoder_dim * config.mlp_ratio)
        self.model = model(
            sizes(
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
        )

    def forward(self, clip: Tensor) -> Tensor:
        latents: Tensor = self.model(clip.transpose(1, 2), skip_predictor=True).last_hidden_state
        return latents


def transformers_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """An encoder's weights by transformers' names: its query, key and value are ours in one."""
    renamed: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        name = name.replace("patch_embed.", "embeddings.patch_embeddings.").replace("blocks.", "layer.")
        name = f"model.encoder.{name.replace('.attn.', '.attention.')}"
        name = name.replace("encoder.norm.", "encoder.layernorm.")
        if ".qkv." in name:
            renamed |= {name.replace("qkv", part): chunk for part, chunk in zip(QKV, tensor.chunk(3), strict=True)}
        else:
            renamed[name] = tensor
    return renamed


def transformers_encoder(config: ModelConfig, weights: Mapping[str, Tensor]) -> TransformersEncoder:
    """transformers' encoder with these weights (ours, by our names).

    Raises:
        ConfigError: where transformers is not installed.
    """
    with without_memory():
        encoder = TransformersEncoder(config).eval()
    fit = encoder.load_state_dict(transformers_names(weights), strict=False, assign=True)
    assert not fit.unexpected_keys and all(name.startswith("model.predictor.") for name in fit.missing_keys)
    encoder.model.predictor = nn.Identity()  # never called, and still without memory: it could not go to a device
    return encoder


def run(module: nn.Module, *inputs: Tensor) -> Tensor:
    """The module's output, without gradients and without the public code's warnings."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the public code uses a deprecated context manager
        output: Tensor = module(*inputs)
        return output


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
    real: Any = partial(torch.linspace, device="cpu")
    with torch.device("meta"), patch.object(torch, "linspace", real):
        yield
