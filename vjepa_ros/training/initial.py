"""The weights that a training begins with: fresh ones, or those of a predictor that was trained elsewhere.

A predictor of other actions or states gets new layers for these, and keeps the rest. It knows no data and no losses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import torch
from torch import Tensor, nn

from vjepa_ros.config.checks import require
from vjepa_ros.config.model import ModelConfig
from vjepa_ros.errors import CheckpointError, ConfigError, listed, named, place, quoted
from vjepa_ros.model.blocks import Linear
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.weights.file import open_weights
from vjepa_ros.weights.fitting import ALLOWED_EXTRA, ac_predictor
from vjepa_ros.weights.opened import JoinedTensor, StoredTensor
from vjepa_ros.weights.values import draw

HEADS = ("action_encoder", "state_encoder")
"""The layers that know the meaning of actions and states: those of another robot are of no use."""


@dataclass(frozen=True)
class Start:
    """A predictor to train, on the CPU.

    Attributes:
        predictor: the module, float32.
        new: parameters that were drawn and not taken from anywhere.
    """

    predictor: Predictor
    new: tuple[str, ...]


def fresh_predictor(config: ModelConfig, seed: int) -> Start:
    """One with random weights, as V-JEPA 2 starts its training; the same seed gives the same ones."""
    predictor = _without_weights(config)
    return _with(predictor, draw(predictor, torch.Generator().manual_seed(seed)), {})


def fresh_encoder(config: ModelConfig, seed: int) -> Encoder:
    """One with random weights, float32, on the CPU."""
    with torch.device("meta"):
        encoder = Encoder(config)
    encoder.load_state_dict(draw(encoder, torch.Generator().manual_seed(seed)), assign=True)
    return encoder.requires_grad_(True).eval()


def predictor_from(config: ModelConfig, path: str | Path, seed: int, *, new_heads: bool = False) -> Start:
    """One with the weights of a file's predictor, to be trained further.

    Layers for actions and states of other dimensions than the file's are drawn anew. Everything else must fit.

    Args:
        config: of the model to train; its encoder must be the one that the file's predictor knows.
        path: of a ``.pt`` or ``.safetensors`` file.
        seed: of what is drawn.
        new_heads: draw both layers anew even where their dimensions fit, since actions and states mean something else.

    Raises:
        CheckpointError: where the file cannot be used; it names the file, the name in it, and both shapes.
    """
    tensors = read_predictor(path)
    predictor = _without_weights(config)
    wanted = {name: tuple(parameter.shape) for name, parameter in predictor.named_parameters()}
    missing = [name for name in wanted if name not in tensors]
    if missing:
        raise CheckpointError(f"{place(path)}: predictor lacks {listed(missing, 3, named)}")
    extra = [name for name in tensors if name not in wanted and name not in ALLOWED_EXTRA["predictor"]]
    if extra:
        raise CheckpointError(f"{place(path)}: predictor has {listed(extra, 3, named)}, which this model does not")
    fitting: dict[str, Tensor] = {}
    for layer in HEADS:
        weight = tensors[f"{layer}.weight"]
        width = wanted[f"{layer}.weight"][0]
        if weight.ndim != 2 or weight.shape[0] != width:
            continue  # refused below, with both shapes
        if new_heads or weight.shape[1] != wanted[f"{layer}.weight"][1]:
            del tensors[f"{layer}.weight"], tensors[f"{layer}.bias"]
    for name, shape in wanted.items():
        if name in tensors:
            if tuple(tensors[name].shape) != shape:
                found = named(str(tuple(tensors[name].shape)))
                raise CheckpointError(f"{place(path)}: {name} has shape {found}, but this model needs {shape}")
            fitting[name] = tensors[name].float()
    return _with(predictor, draw(predictor, torch.Generator().manual_seed(seed)), fitting)


def read_predictor(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a file's action-conditioned predictor by name, without what training wraps around it.

    Raises:
        CheckpointError: where the file has none, or it is broken.
    """
    with open_weights(path, "predictor") as source:
        tensors: dict[str, Tensor] = {}
        for name, stored in ac_predictor(source).items():
            if not isinstance(stored, (StoredTensor, JoinedTensor)) or not stored.dtype.is_floating_point:
                raise source.opened.refusal(f"predictor's {named(name)} is no dense floating-point tensor")
            pieces = [piece.clone() for piece in source.pieces(stored)]
            flat = torch.cat(pieces) if pieces else torch.empty(0, dtype=stored.dtype)
            tensors[name] = flat.view(stored.shape)
    return tensors


def freeze(module: nn.Module, patterns: Iterable[str]) -> tuple[str, ...]:
    """Take parameters out of the training, by patterns of their names as a shell has them (``predictor_blocks.0.*``).

    Returns:
        The names of what is frozen.

    Raises:
        ConfigError: for a pattern that no name follows, or where nothing is left to learn.
    """
    parameters = dict(module.named_parameters())
    frozen: set[str] = set()
    for pattern in patterns:
        found = {name for name in parameters if fnmatchcase(name, pattern)}
        if not found:
            parts = sorted({name.split(".")[0] for name in parameters})
            raise ConfigError("freeze", f"{quoted(pattern)} is no name of the predictor; names begin with "
                              f"{listed(parts, 10, named)}")  # fmt: skip
        frozen |= found
    require(len(frozen) < len(parameters), "freeze", "leaves nothing to learn")
    for name in frozen:
        parameters[name].requires_grad_(False)
    return tuple(sorted(frozen))


def require_trainable(module: nn.Module) -> None:
    """Refuse modules that were packed for inference, and those without memory.

    Raises:
        ConfigError: saying which.
    """
    packed = any(isinstance(part, Linear) and part._kernel is not None for part in module.modules())
    require(not packed, "fast", "what is packed for inference cannot be trained: load it with fast=False")
    empty = any(parameter.is_meta for parameter in module.parameters())
    require(not empty, "predictor", "has no weights yet")


def _without_weights(config: ModelConfig) -> Predictor:
    with torch.device("meta"):
        return Predictor(config)


def _with(predictor: Predictor, drawn: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> Start:
    predictor.load_state_dict({**drawn, **given}, strict=True, assign=True)
    predictor.requires_grad_(True).eval()
    return Start(predictor, tuple(name for name in drawn if name not in given))
