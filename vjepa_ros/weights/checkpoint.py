"""A model's weights out of a file: strictly those that it needs, copied to the dtype and the device that it runs in.

Encoder and predictor always come from one file: a predictor knows the latents of its own encoder only. What the files
look like is :mod:`vjepa_ros.weights.file`; what may stand next to a ``.safetensors`` is
:mod:`vjepa_ros.config.sidecar`. It knows no presets and no network.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vjepa_ros.config.sidecar import Sidecar, sidecar_path
from vjepa_ros.errors import CheckpointError, listed, named
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.weights.file import WeightsFile, open_weights
from vjepa_ros.weights.kinds import advice
from vjepa_ros.weights.opened import StoredTensor
from vjepa_ros.weights.values import PartHash, Weights, draw, norm_parameters, part_hash

PREFIXES = ("module.", "backbone.")
"""What training wraps around a model; names may begin with any of them, in any order, any number of times."""

ALLOWED_EXTRA: dict[str, tuple[str, ...]] = {
    "encoder": ("pos_embed",),  # a sine table that the released encoders carry but, with RoPE, do not use
    "predictor": ("extrinsics_encoder.weight", "extrinsics_encoder.bias"),  # in released files even when unused
}
"""The only names that a part may have and the model not, prefixes aside. Nothing may be missing."""

_WRAPPED = re.compile(rf"(?:{'|'.join(map(re.escape, PREFIXES))})*")
_TELLS = 64  # times that the progress is told


def read_checkpoint(
    path: str | Path,
    encoder: Encoder,
    predictor: Predictor,
    *,
    sidecar: Sidecar | None,
    device: torch.device | None = None,
    dtype: torch.dtype | None = None,
    norm_dtype: torch.dtype | None = None,
    predictor_seed: int | None = None,
    on_bytes: Callable[[int, int], None] | None = None,
) -> Weights:
    """Read the weights of these two modules; the modules themselves are left as they are.

    Every tensor is read into memory, one after the other and brought to its last place at once: the file may be
    overwritten afterwards, and memory never holds much more than what is returned.

    Args:
        path: of a ``.pt`` or ``.safetensors`` file.
        sidecar: what stands next to it about it (:meth:`vjepa_ros.config.sidecar.Sidecar.of_checkpoint`).
        encoder, predictor: the modules, on the meta device or with memory; for their names, shapes and configuration.
        device: where the tensors go; the CPU without one.
        dtype: of the tensors; without one, as they are in the file.
        norm_dtype: of those of LayerNorms; without one, that of the others.
        predictor_seed: leaves the file's predictor alone, if it has one, and draws random weights for it.
        on_bytes: called now and then with (bytes read, bytes to read), as they stand in the file.

    Raises:
        CheckpointError: where the file is not there, not a checkpoint, truncated, wants to run code, changes while it
            is read, or belongs to a model of another shape; where its sidecar tells of another configuration, or of
            other weights. The message names the file, the name in it, and both shapes.
        RuntimeError: torch's own, where memory or the device fail.
    """
    with open_weights(path) as source:
        if sidecar is not None:
            sidecar.require_sizes(encoder.config, source.path)
        fitting = {"encoder": _fit(source, source.encoder, encoder, source.key)}
        if predictor_seed is None:
            fitting["predictor"] = _fit(source, _ac_predictor(source), predictor, "predictor")
        modules = {"encoder": encoder, "predictor": predictor}
        norms = {part: norm_parameters(modules[part]) for part in fitting}

        def dtype_of(part: str, name: str) -> torch.dtype | None:
            return norm_dtype or dtype if name in norms[part] else dtype

        taken, hashes = _take(source, fitting, device or torch.device("cpu"), dtype_of, on_bytes)
    if sidecar is not None:
        sidecar.require_parts(hashes, source.path, sidecar_path(source.path))
    if predictor_seed is not None:
        drawn = draw(predictor, torch.Generator(device="cpu").manual_seed(predictor_seed))
        hashes["predictor"] = part_hash(drawn)
        taken["predictor"] = {name: tensor.to(device, dtype) for name, tensor in drawn.items()}
    return Weights(taken["encoder"], taken["predictor"], hashes, source.key, trained=predictor_seed is None)


def _ac_predictor(source: WeightsFile) -> Mapping[str, Any]:
    """The predictor of a file, or a sentence about what there is instead and what can be done."""
    found = source.predictor
    if found is not None and not any(_strip(name).startswith("mask_tokens.") for name in found):
        return found
    what = "has no predictor" if found is None else "has a predictor of masked patches, not an action-conditioned one"
    raise source.opened.refusal(f"{what}; to use its encoder alone, with a random predictor, set `random_predictor`")


def _fit(source: WeightsFile, found: Mapping[str, Any], module: nn.Module, key: str) -> dict[str, StoredTensor]:
    """The module's parameters among a file's tensors: all of them, each of the right shape, and nothing unexpected."""
    part = "predictor" if key == "predictor" else "encoder"

    def refusal(reason: str) -> CheckpointError:
        return source.opened.refusal(f"{key} {reason}")

    tensors: dict[str, Any] = {}
    for name, tensor in found.items():
        if _strip(name) in tensors:
            raise refusal(f"has {named(_strip(name))} twice, the second time as {named(name)}")
        tensors[_strip(name)] = tensor
    wanted = dict(module.named_parameters())
    missing = [name for name in wanted if name not in tensors]
    if missing:
        raise refusal(f"lacks {listed(missing, 3, named)}{advice((), found)}")
    extra = [name for name in tensors if name not in wanted and name not in ALLOWED_EXTRA[part]]
    if extra:
        raise refusal(f"has {listed(extra, 3, named)}, which this model does not{advice((), found)}")
    for name, parameter in wanted.items():
        tensor = tensors[name]
        if isinstance(tensor, Tensor) or (isinstance(tensor, StoredTensor) and not tensor.dtype.is_floating_point):
            layout = tensor.layout if isinstance(tensor, Tensor) else torch.strided
            raise refusal(f"{name} is {tensor.dtype}, {layout}, not dense and floating-point")
        if not isinstance(tensor, StoredTensor):
            raise refusal(f"{name} is a {type(tensor).__name__}, not a tensor")
        if tensor.shape != parameter.shape:
            shape = named(str(tuple(tensor.shape)))
            raise refusal(f"{name} has shape {shape}, but this model needs {tuple(parameter.shape)}")
    return {name: tensors[name] for name in wanted}


def _take(
    source: WeightsFile,
    fitting: dict[str, dict[str, StoredTensor]],
    device: torch.device,
    dtype_of: Callable[[str, str], torch.dtype | None],
    on_bytes: Callable[[int, int], None] | None,
) -> tuple[dict[str, dict[str, Tensor]], dict[str, str]]:
    """The tensors, and the hash of each part as it stands in the file."""
    total = sum(tensor.nbytes for tensors in fitting.values() for tensor in tensors.values())
    done = told = 0
    taken: dict[str, dict[str, Tensor]] = {}
    hashes: dict[str, str] = {}
    for part, tensors in fitting.items():
        digest = PartHash()
        taken[part] = {}
        for name in sorted(tensors):
            stored = tensors[name]
            # Contiguous, however it stands in the file: other strides would be another order of summation.
            target = torch.empty(stored.shape, dtype=dtype_of(part, name) or stored.dtype, device=device)
            digest.begin(name, stored.dtype, stored.shape)
            place = 0
            for piece in source.opened.pieces(stored):
                digest.update(piece)
                target.view(-1)[place : place + len(piece)].copy_(piece)
                place += len(piece)
            taken[part][name] = target
            done += stored.nbytes
            if on_bytes is not None and (done - told) * _TELLS >= total:
                on_bytes(done, total)
                told = done
        hashes[part] = digest.hexdigest()
    if on_bytes is not None:
        on_bytes(total, total)
    return taken, hashes


def _strip(name: str) -> str:
    """A name without what training wraps around it; in one pass, however often that is."""
    wrapped = _WRAPPED.match(name)
    return name[wrapped.end() :] if wrapped else name
