"""A model's weights as values: what they are, where they came from, their hash, and how random ones are drawn.

It knows no files (:mod:`vjepa_ros.weights.checkpoint` does).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

INIT_STD = 0.02


class PartHash:
    """SHA-256 over the names, dtypes, shapes and bytes of tensors; to be added sorted by name."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, name: str, tensor: Tensor) -> None:
        """Add one tensor, on the CPU."""
        self.begin(name, tensor.dtype, tensor.shape)
        self.update(tensor.contiguous().view(-1))

    def begin(self, name: str, dtype: torch.dtype, shape: Sequence[int]) -> None:
        """Begin a tensor, whose elements follow by :meth:`update`."""
        self._digest.update(f"{name} {dtype} {tuple(shape)}\n".encode())

    def update(self, elements: Tensor) -> None:
        """Add further elements of the tensor that was begun: 1-D, on the CPU."""
        self._digest.update(elements.view(torch.uint8).numpy().data)

    def hexdigest(self) -> str:
        """64 hex digits."""
        return self._digest.hexdigest()


def part_hash(tensors: Mapping[str, Tensor]) -> str:
    """64 hex digits that stand for one part's tensors, on the CPU: equal tensors, equal hash.

    Of an encoder, this is what a predictor is paired with it by. It is taken over the parameters of the module that is
    not packed, by their names there, in the dtype that they are stored in: not over what a file calls them, the key
    that they stand under, or what else it holds. Other dtypes are other weights: they round differently.
    """
    digest = PartHash()
    for name in sorted(tensors):
        digest.add(name, tensors[name])
    return digest.hexdigest()


def model_hash(hashes: Mapping[str, str]) -> str:
    """16 hex digits that stand for a whole model, out of the hashes of its parts by name."""
    lines = "".join(f"{part} {hashes[part]}\n" for part in sorted(hashes))
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Weights:
    """The parameters of one encoder and its predictor, by name.

    Attributes:
        encoder, predictor: parameters by name, exactly those of the module.
        hashes: of ``encoder`` and ``predictor``, see :func:`part_hash`, as they were in the file or drawn: neither the
            device nor the dtype that they were brought to changes them.
        checkpoint_key: the key of the file that the encoder came from, or None for random weights.
        trained: whether both parts came from a file.
        notes: what users should know about where they came from, a sentence each.
    """

    encoder: dict[str, Tensor]
    predictor: dict[str, Tensor]
    hashes: dict[str, str]
    checkpoint_key: str | None
    trained: bool
    notes: tuple[str, ...] = ()

    @property
    def notice(self) -> str:
        """What users must be told about weights that are not trained, empty where all are."""
        if self.trained:
            return ""
        which = "seeded random weights" if self.checkpoint_key is None else "the predictor has seeded random weights"
        return f"UNTRAINED: {which}"

    def hash(self) -> str:
        """16 hex digits: equal weights, equal hash."""
        return model_hash(self.hashes)


def random_weights(encoder: nn.Module, predictor: nn.Module, seed: int) -> Weights:
    """Untrained weights: the same seed gives the same ones; torch's global random state is neither read nor changed.

    As V-JEPA 2 starts its training: truncated normal with std 0.02, biases zero, and the two projections that write to
    the residual stream in layer i (from 1) divided by sqrt(2*i).
    """
    generator = torch.Generator(device="cpu").manual_seed(seed)
    drawn = {"encoder": draw(encoder, generator), "predictor": draw(predictor, generator)}
    hashes = {part: part_hash(tensors) for part, tensors in drawn.items()}
    return Weights(drawn["encoder"], drawn["predictor"], hashes, checkpoint_key=None, trained=False)


def norm_parameters(module: nn.Module) -> set[str]:
    """Names of the weights and biases of LayerNorms, which the reference keeps in float32 under autocast."""
    norms = (name for name, child in module.named_modules() if isinstance(child, nn.LayerNorm))
    return {f"{name}.{kind}" for name in norms for kind in ("weight", "bias")}


def draw(module: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
    """Random float32 parameters of one module, on the CPU, as in :func:`random_weights`."""
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
