"""Whether weights files fit a model, and what of them it takes: names, shapes and kinds, before a tensor is read.

A file that does not fit is refused with what it is instead, and what can be done. It knows no devices.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vjepa_ros.config.folder import FolderConfig, config_path
from vjepa_ros.config.sidecar import ENCODER_SIZES, SIZES, Sidecar
from vjepa_ros.errors import CheckpointError, blaming, listed, named
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.weights import pairing, shards
from vjepa_ros.weights.file import WeightsFile, open_weights
from vjepa_ros.weights.kinds import advice
from vjepa_ros.weights.opened import JoinedTensor, StoredTensor

ALLOWED_EXTRA: dict[str, tuple[str, ...]] = {
    "encoder": ("pos_embed",),  # a sine table that the released encoders carry but, with RoPE, do not use
    "predictor": ("extrinsics_encoder.weight", "extrinsics_encoder.bias"),  # in released files even when unused
}
"""The only names that a part may have and the model not, prefixes aside. Nothing may be missing."""

Found = StoredTensor | JoinedTensor
_FOUND = (StoredTensor, JoinedTensor)
_MASKS = re.compile(
    r"(embeddings\.)?mask_tokens\b"
)  # of the predictor of pre-training, as released and as transformers has it


@dataclass(frozen=True)
class Held:
    """What a model's files hold, as far as that shows without reading a tensor.

    Attributes:
        key: the key that the encoder stands under.
        nbytes: bytes of the model's tensors as they stand in the files, by part.
        dtypes: what they are stored in, by part, as torch names them.
    """

    key: str
    nbytes: dict[str, int]
    dtypes: dict[str, str]


def held_by_checkpoint(
    path: str | Path,
    encoder: Encoder,
    predictor: Predictor,
    *,
    sidecar: Sidecar | None,
    predictor_path: str | Path | None = None,
    predictor_sidecar: Sidecar | None = None,
    encoder_key: str = "",
    takes_predictor: bool = True,
) -> Held:
    """Whether files fit a model, by everything but the values of their tensors, none of which is read.

    Args:
        path, encoder, predictor, sidecar, predictor_path, predictor_sidecar, encoder_key: as for
            :func:`read_checkpoint`.
        takes_predictor: False where a random one is drawn.

    Raises:
        CheckpointError: as :func:`read_checkpoint`; what hashes tell shows only there.
    """
    with ExitStack() as stack:
        source, _, fitting = open_fitting(
            stack, path, encoder, predictor, sidecar=sidecar, predictor_path=predictor_path,
            predictor_sidecar=predictor_sidecar, believed=False, encoder_key=encoder_key,
            keeps_predictor=takes_predictor,
        )  # fmt: skip
        dtypes = {
            part: ", ".join(sorted({str(tensor.dtype).removeprefix("torch.") for tensor in tensors.values()}))
            for part, tensors in fitting.items()
        }
        return Held(
            source.key, {part: sum(t.nbytes for t in found.values()) for part, found in fitting.items()}, dtypes
        )


def open_fitting(
    stack: ExitStack,
    path: str | Path,
    encoder: Encoder,
    predictor: Predictor,
    *,
    sidecar: Sidecar | None,
    predictor_path: str | Path | None,
    predictor_sidecar: Sidecar | None,
    believed: bool,
    encoder_key: str,
    keeps_predictor: bool,
) -> tuple[WeightsFile, WeightsFile, dict[str, dict[str, Found]]]:
    """The files of encoder and predictor, open as long as the stack lasts, and what of them the model takes.

    Raises:
        CheckpointError: as :func:`read_checkpoint`, but for what only the tensors' values show.
    """
    paired = predictor_path is not None
    stack.enter_context(blaming("checkpoint"))
    source = stack.enter_context(open_weights(path, encoder_key=encoder_key))
    if sidecar is not None:  # the other file tells what windows, actions and predictor are
        sidecar.require_sizes(encoder.config, source.path, ENCODER_SIZES if paired else SIZES)
    _require_config(source, encoder)
    fitting = {"encoder": fit(source, source.encoder, encoder, source.key)}
    other = source
    if predictor_path is not None:
        stack.enter_context(blaming("predictor_checkpoint"))
        other = stack.enter_context(open_weights(predictor_path, "predictor"))
        if predictor_sidecar is not None:
            predictor_sidecar.require_sizes(predictor.config, other.path)
        elif not believed:
            raise other.opened.refusal(pairing.unknown(other.path))
    if paired or keeps_predictor:
        fitting["predictor"] = fit(other, ac_predictor(other), predictor, "predictor")
    return source, other, fitting


def _require_config(source: WeightsFile, encoder: Encoder) -> None:
    """Refuse weights of another encoder than the ``config.json`` beside them says, whatever names they have.

    Those of transformers must have one: the number of heads, for one, shows in no shape.
    """
    path = config_path(source.path)
    if not source.is_of_transformers:
        config = FolderConfig.beside(source.path)
    elif os.path.lexists(path):
        config = FolderConfig.read(path)
    else:
        raise source.opened.refusal(
            f"has the names of Hugging Face's transformers, but there is no {path.name} beside it, whose sizes "
            "are needed"
        )
    if config is not None:
        config.require_sizes(encoder.config)


def ac_predictor(source: WeightsFile) -> Mapping[str, Any]:
    """The predictor of a file, by name.

    Raises:
        CheckpointError: it has none, or one of masked patches; the sentence says what can be done.
    """
    found = source.predictor
    if found is not None and not any(map(_MASKS.match, found)):
        return found
    what = "has no predictor" if found is None else "has a predictor of masked patches, not an action-conditioned one"
    alone = "; to use its encoder alone, with a random predictor, set `random_predictor`" if source.encoder else ""
    raise source.opened.refusal(f"{what}{alone}")


def fit(source: WeightsFile, found: Mapping[str, Any], module: nn.Module, key: str) -> dict[str, Found]:
    """The module's parameters among a file's tensors: all of them, each of the right shape, and nothing unexpected."""
    part = "predictor" if key == "predictor" else "encoder"

    def refusal(reason: str) -> CheckpointError:
        return source.opened.refusal(f"{key} {reason}")

    wanted = dict(module.named_parameters())
    missing = [name for name in wanted if name not in found]
    if missing:
        what = shards.advice(source.path) or advice((), found)
        raise refusal(f"lacks {listed(missing, 3, named)}{what}")
    extra = [name for name in found if name not in wanted and name not in ALLOWED_EXTRA[part]]
    if extra:
        raise refusal(f"has {listed(extra, 3, named)}, which this model does not{advice((), found)}")
    for name, parameter in wanted.items():
        tensor = found[name]
        if isinstance(tensor, Tensor) or (isinstance(tensor, _FOUND) and not tensor.dtype.is_floating_point):
            layout = tensor.layout if isinstance(tensor, Tensor) else torch.strided
            raise refusal(f"{name} is {tensor.dtype}, {layout}, not dense and floating-point")
        if not isinstance(tensor, _FOUND):
            raise refusal(f"{name} is a {type(tensor).__name__}, not a tensor")
        if tensor.shape != parameter.shape:
            shape = named(str(tuple(tensor.shape)))
            raise refusal(f"{name} has shape {shape}, but this model needs {tuple(parameter.shape)}")
    return {name: found[name] for name in wanted}
