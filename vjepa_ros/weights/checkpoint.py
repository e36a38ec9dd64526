"""A model's weights out of a file: strictly those that it needs, copied to the dtype and the device that it runs in.

Encoder and predictor always come from one file: a predictor knows the latents of its own encoder only. What the files
look like is :mod:`vjepa_ros.weights.file`; what may stand next to a ``.safetensors`` is
:mod:`vjepa_ros.config.sidecar`. It knows no presets and no network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vjepa_ros.config.sidecar import Sidecar, sidecar_path
from vjepa_ros.errors import CheckpointError
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.weights.file import WeightsFile, open_weights
from vjepa_ros.weights.values import PartHash, Weights, draw, norm_parameters, part_hash

PREFIXES = ("module.", "backbone.")
"""What training wraps around a model; names may begin with any of them, in any order, any number of times."""

ALLOWED_EXTRA: dict[str, tuple[str, ...]] = {
    "encoder": ("pos_embed",),  # a sine table that the released encoders carry but, with RoPE, do not use
    "predictor": ("extrinsics_encoder.weight", "extrinsics_encoder.bias"),  # in released files even when unused
}
"""The only names that a part may have and the model not, prefixes aside. Nothing may be missing."""

_DROPS = 64  # times that the pages of a file are given back while it is read: at most 1/64 of it, or a tensor, stays


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

    Every tensor is copied, one after the other and into its last place at once: the file may be overwritten afterwards,
    and memory never holds much more than what is returned.

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
        CheckpointError: where the file is not there, not a checkpoint, truncated, wants to run code, or belongs to a
            model of another shape; where its sidecar tells of another configuration, or of other weights. The message
            names the file, the name in it, and both shapes.
        RuntimeError: torch's own, where memory or the device fail.
    """
    opened = open_weights(path)
    if sidecar is not None:
        sidecar.require_sizes(encoder.config, opened.path)
    fitting = {"encoder": _fit(opened.encoder, encoder, "encoder", f"{opened.path}: {opened.key}")}
    if predictor_seed is None:
        fitting["predictor"] = _fit(_ac_predictor(opened), predictor, "predictor", f"{opened.path}: predictor")
    modules = {"encoder": encoder, "predictor": predictor}
    norms = {part: norm_parameters(modules[part]) for part in fitting}

    def dtype_of(part: str, name: str) -> torch.dtype | None:
        return norm_dtype or dtype if name in norms[part] else dtype

    taken, hashes = _take(opened, fitting, device or torch.device("cpu"), dtype_of, on_bytes)
    if sidecar is not None:
        sidecar.require_parts(hashes, opened.path, sidecar_path(opened.path))
    if predictor_seed is not None:
        drawn = draw(predictor, torch.Generator(device="cpu").manual_seed(predictor_seed))
        hashes["predictor"] = part_hash(drawn)
        taken["predictor"] = {name: tensor.to(device, dtype) for name, tensor in drawn.items()}
    return Weights(taken["encoder"], taken["predictor"], hashes, opened.key, trained=predictor_seed is None)


def _ac_predictor(opened: WeightsFile) -> Mapping[str, Any]:
    """The predictor of a file, or a sentence about what there is instead and what can be done."""
    found = opened.predictor
    if found is not None and not any(_strip(name).startswith("mask_tokens.") for name in found):
        return found
    what = "has no predictor" if found is None else "has a predictor of masked patches, not an action-conditioned one"
    raise CheckpointError(
        f"{opened.path}: {what}; to use its encoder alone, with a random predictor, set `random_predictor`"
    )


def _fit(found: Mapping[str, Any], module: nn.Module, part: str, where: str) -> dict[str, Tensor]:
    """The module's parameters among a file's tensors: all of them, each of the right shape, and nothing unexpected."""
    tensors: dict[str, Any] = {}
    for name, tensor in found.items():
        if _strip(name) in tensors:
            raise CheckpointError(f"{where} has {_strip(name)} twice, the second time as {name}")
        tensors[_strip(name)] = tensor
    wanted = dict(module.named_parameters())
    missing = [name for name in wanted if name not in tensors]
    if missing:
        raise CheckpointError(f"{where} lacks {_some(missing)}")
    extra = [name for name in tensors if name not in wanted and name not in ALLOWED_EXTRA[part]]
    if extra:
        raise CheckpointError(f"{where} has {_some(extra)}, which this model does not")
    for name, parameter in wanted.items():
        tensor = tensors[name]
        if not isinstance(tensor, Tensor):
            raise CheckpointError(f"{where} {name} is a {type(tensor).__name__}, not a tensor")
        if not tensor.is_floating_point() or tensor.layout != torch.strided:
            raise CheckpointError(f"{where} {name} is {tensor.dtype}, {tensor.layout}, not dense and floating-point")
        if tensor.shape != parameter.shape:
            raise CheckpointError(
                f"{where} {name} has shape {tuple(tensor.shape)}, but this model needs {tuple(parameter.shape)}"
            )
    return {name: tensors[name].detach() for name in wanted}


def _take(
    opened: WeightsFile,
    fitting: dict[str, dict[str, Tensor]],
    device: torch.device,
    dtype_of: Callable[[str, str], torch.dtype | None],
    on_bytes: Callable[[int, int], None] | None,
) -> tuple[dict[str, dict[str, Tensor]], dict[str, str]]:
    """Copies of the mapped tensors, and the hash of each part as it stands in the file."""
    total = sum(tensor.nbytes for tensors in fitting.values() for tensor in tensors.values())
    done = dropped = 0
    taken: dict[str, dict[str, Tensor]] = {}
    hashes: dict[str, str] = {}
    for part, tensors in fitting.items():
        digest = PartHash()
        taken[part] = {}
        for name in sorted(tensors):
            mapped = tensors[name]
            digest.add(name, mapped)
            # contiguous_format: a transposed view would keep its strides, and with them another order of summation
            dtype = dtype_of(part, name) or mapped.dtype
            taken[part][name] = mapped.to(device, dtype, copy=True, memory_format=torch.contiguous_format)
            done += mapped.nbytes
            if (done - dropped) * _DROPS >= total:
                opened.drop_pages()
                dropped = done
                if on_bytes is not None:
                    on_bytes(done, total)
        hashes[part] = digest.hexdigest()
    if on_bytes is not None:
        on_bytes(total, total)
    return taken, hashes


def _strip(name: str) -> str:
    while name.startswith(PREFIXES):
        name = name.split(".", 1)[1]
    return name


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
