"""What a training will cost: bytes on the disk, and floating-point operations, by the sizes of the model.

Sizes in, numbers out. Attention and the layers are counted, a product of n x m with m x k as 2nmk operations; what is
small beside them (norms, softmax, reading and decoding) is not.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from vjepa_ros.config.model import ModelConfig
from vjepa_ros.training.latents import kept_rows
from vjepa_ros.training.plan import Plan

_PREDICTOR_MLP = 4  # hidden width over width
_BACKWARD = 3  # forward and backward over forward
_SIDE, _TIMES = 1024, 4  # of the product that the rate is measured by


@dataclass(frozen=True)
class Cost:
    """What a training will cost.

    Attributes:
        latent_bytes, frame_bytes: on the disk, beside the model; frames only where an encoder is trained.
        encoding_flops: the latents of all units.
        training_flops: of the predictor, for all steps; without the encoder's own training.
    """

    latent_bytes: int
    frame_bytes: int
    encoding_flops: float
    training_flops: float

    def hours(self, flops_per_s: float) -> float:
        """How long it takes at least, at such a rate."""
        return (self.encoding_flops + self.training_flops) / flops_per_s / 3600


def cost_of(plan: Plan, model: ModelConfig, units: int, steps: int) -> Cost:
    """The cost of a plan.

    Args:
        plan: how much is trained.
        model: the sizes.
        units: that go through the encoder.
        steps: of all runs.
    """
    (height, width), patch = model.image_size, model.patch_size
    tokens = (height // patch) * (width // patch)
    at_once = tokens * (model.steps if model.way.is_whole else 1)
    embedding = 2.0 * at_once * model.encoder_dim * 3 * model.tubelet_size * patch**2
    encoder = embedding + _layers(at_once, model.encoder_dim, model.encoder_depth, model.mlp_ratio)
    context, ahead = plan.sample(model)
    lengths = [context if model.way.is_whole else context + ahead - 1]
    # The rollout's further steps, each from as many as there are by then.
    begin = context if model.way.is_whole else 1
    lengths += [min(begin + number, model.most_context) for number in range(1, plan.rollout)]
    predictor = sum(
        _layers(length * (tokens + 2), model.predictor_dim, model.predictor_depth, _PREDICTOR_MLP) for length in lengths
    )
    frames = steps * model.stride * 3 * height * width * 2 if plan.train_encoder else 0
    return Cost(
        latent_bytes=units * kept_rows(model) * tokens * model.latent_dim * 2,
        frame_bytes=frames,
        encoding_flops=units * encoder,
        training_flops=_BACKWARD * predictor * plan.batch * plan.steps,
    )


def _layers(tokens: int, dim: int, depth: int, mlp_ratio: float) -> float:
    """One sequence through so many layers."""
    return depth * (2.0 * tokens * dim * dim * (4 + 2 * mlp_ratio) + 4.0 * tokens * tokens * dim)


def measured_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Operations per second of a square product, on this device as it is now: more than a model reaches."""
    matrix = torch.ones(_SIDE, _SIDE, device=device, dtype=dtype)
    (matrix @ matrix).sum().item()
    begin_s = time.monotonic()
    for _ in range(_TIMES):
        product = matrix @ matrix
    product.sum().item()  # waits for the device
    return _TIMES * 2.0 * _SIDE**3 / (time.monotonic() - begin_s)
