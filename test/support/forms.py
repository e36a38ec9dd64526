"""The forms that a module computes in, and how their results are compared with the arbiter's.

Not packed, as it is trained; packed with what serves everywhere; packed with what this machine is served with.
"""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

from support.reference import small_config
from vjepa_ros.config.model import ModelConfig
from vjepa_ros.model.blocks import layer_normalize
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.kernels import Kernels, PublicLinear, choose_kernels, fused_attention
from vjepa_ros.model.predictor import EXTRINSICS_DIM, Predictor

CPU = torch.device("cpu")
FORMS = ("unpacked", "public", "chosen")
PUBLIC = Kernels(PublicLinear, fused_attention, None, "torch's public operators")
TOLERANCE = 1e-5
"""What layer-normalised values in float32 may differ by."""
HALF_MEAN, HALF_MAXIMUM = 1.0, 1.5
"""bfloat16: ours loses less than the arbiter on average; which value is off most is chance."""

Part = TypeVar("Part", Encoder, Predictor)


def wide_config(**changes: object) -> ModelConfig:
    """8 steps of 4x6 patches, two heads of 64."""
    return small_config(**{"image_size": (64, 96), "encoder_dim": 128, "encoder_heads": 2, **changes})


def in_form(module: Part, form: str, dtype: torch.dtype = torch.float32) -> Part:
    """A copy in that form, whose weights have that dtype, and whose tables stay float32."""
    other = copy.deepcopy(module).to(dtype).requires_grad_(False)
    other.rope.float()
    if form != "unpacked":
        other.pack(PUBLIC if form == "public" else choose_kernels(CPU, dtype))
    return other


def weights_of(module: nn.Module, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """The weights of a module that is not packed, for the arbiter."""
    return {name: parameter.detach().to(dtype) for name, parameter in module.named_parameters()}


def drawn(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal numbers."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def predictor_inputs(predictor: Predictor, steps: int, batch: int) -> list[Tensor]:
    """Context, actions, states and, where they are used, extrinsics of this many steps."""
    config, tokens = predictor.config, steps * predictor.grid.tokens_per_step
    context = layer_normalize(drawn(batch, tokens, config.encoder_dim))
    dims = (config.action_dim, config.state_dim) + (EXTRINSICS_DIM,) * predictor.use_extrinsics
    return [context, *(drawn(batch, steps, dim, seed=seed) for seed, dim in enumerate(dims, start=1))]


def compared(what: str, ours: Tensor, plain: Tensor, true: Tensor | None = None) -> None:
    """Print and judge; ``true``, where the dtype is a half one, is the arbiter's float32 result."""
    assert ours.shape == plain.shape
    difference = (ours.float() - (plain if true is None else true).float()).abs()
    text = f"{what}: maximum {difference.max():.2e}, mean {difference.mean():.2e}"
    if true is None:
        print(text)
        assert difference.max() <= TOLERANCE
        return
    own = (plain.float() - true.float()).abs()
    print(f"{text}; the arbiter's {own.max():.2e}, {own.mean():.2e}")
    assert difference.mean() <= HALF_MEAN * own.mean() and difference.max() <= HALF_MAXIMUM * own.max()
    assert difference.mean() > 0, "nothing was rounded: this is not half precision"
