"""A model's weights as values: what they are, where they came from, their hash, and how random ones are drawn.

It knows no files (:mod:`vjepa_ros.model.checkpoint` does) and no devices.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

INIT_STD = 0.02


@dataclass(frozen=True)
class Weights:
    """The parameters of one encoder and its predictor, by name, on the CPU.

    Attributes:
        encoder, predictor: parameters by name, exactly those of the module.
        checkpoint_key: the key of the file that the encoder came from, or None for random weights.
    """

    encoder: dict[str, Tensor]
    predictor: dict[str, Tensor]
    checkpoint_key: str | None

    def hash(self) -> str:
        """16 hex digits of the SHA-256 over names, dtypes, shapes and bytes: equal weights, equal hash.

        It is taken over the weights as they were loaded, so device and dtype of the running model do not change it.
        """
        digest = hashlib.sha256()
        for part, tensors in (("encoder", self.encoder), ("predictor", self.predictor)):
            for name in sorted(tensors):
                tensor = tensors[name].contiguous()
                digest.update(f"{part}.{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
                digest.update(tensor.view(torch.uint8).numpy().data)
        return digest.hexdigest()[:16]


def random_weights(encoder: nn.Module, predictor: nn.Module, seed: int) -> Weights:
    """Untrained weights: the same seed gives the same ones; torch's global random state is neither read nor changed.

    As V-JEPA 2 starts its training: truncated normal with std 0.02, biases zero, and the two projections that write to
    the residual stream in layer i (from 1) divided by sqrt(2*i).
    """
    generator = torch.Generator(device="cpu").manual_seed(seed)
    return Weights(_draw(encoder, generator), _draw(predictor, generator), checkpoint_key=None)


def _draw(module: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
    norms = {name for name, child in module.named_modules() if isinstance(child, nn.LayerNorm)}
    weights: dict[str, Tensor] = {}
    for name, parameter in module.named_parameters():
        owner, _, kind = name.rpartition(".")
        if kind == "bias":
            weights[name] = torch.zeros(parameter.shape)
        elif owner in norms:
            weights[name] = torch.ones(parameter.shape)
        else:
            drawn = nn.init.trunc_normal_(torch.empty(parameter.shape), std=INIT_STD, generator=generator)
            weights[name] = drawn / _residual_scale(owner)
    return weights


def _residual_scale(owner: str) -> float:
    """sqrt(2*layer) for ``[predictor_]blocks.<layer - 1>.attn.proj`` and ``.mlp.fc2``, else 1."""
    parts = owner.split(".")
    if parts[0].endswith("blocks") and parts[2:] in (["attn", "proj"], ["mlp", "fc2"]):
        return math.sqrt(2 * (int(parts[1]) + 1))
    return 1.0
