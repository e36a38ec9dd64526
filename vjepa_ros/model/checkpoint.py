"""Weights from files: ``.pt`` in the released layout, and ``.safetensors``. Strict; never runs code from a file.

* ``.pt``: the encoder under the first of ``target_encoder``, ``ema_encoder``, ``encoder`` that is there, the AC
  predictor under ``predictor``; names may carry the prefixes ``module.`` and ``backbone.``.
* ``.safetensors``: names ``encoder.*`` and ``predictor.*``.

Encoder and predictor always come from one file: a predictor knows the latents of its own encoder only. It knows no
presets, no devices and no network.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vjepa_ros.errors import CheckpointError
from vjepa_ros.model.weights import Weights

ENCODER_KEYS = ("target_encoder", "ema_encoder", "encoder")
"""In order of preference: the averaged encoder is the one whose latents the predictor was trained on."""

PREFIXES = ("module.", "backbone.")

ALLOWED_EXTRA: dict[str, tuple[str, ...]] = {
    "encoder": ("pos_embed",),  # a sine table that the released encoders carry but, with RoPE, do not use
    "predictor": ("extrinsics_encoder.weight", "extrinsics_encoder.bias"),  # in released files even when unused
}
"""The only names that a file may have and the model not. Nothing may be missing."""


def read_checkpoint(path: str | Path, encoder: nn.Module, predictor: nn.Module) -> Weights:
    """Read the weights of these two modules; the modules themselves are left as they are.

    The tensors are copies in the file's dtype, so that nothing that happens to the file later can change a running
    model.

    Raises:
        CheckpointError: where the file is not there, not a checkpoint, truncated, wants to run code, or belongs to a
            model of another shape. The message names the file, the name in it, and both shapes.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise CheckpointError(f"{path}: {'is a folder, not a file' if path.is_dir() else 'there is no such file'}")
    parts, key = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pt(path)
    return Weights(
        encoder=_fit(parts["encoder"], encoder, "encoder", path),
        predictor=_fit(parts["predictor"], predictor, "predictor", path),
        checkpoint_key=key,
    )


def _read_pt(path: Path) -> tuple[dict[str, Mapping[str, Any]], str]:
    with path.open("rb") as file:
        starts_as_zip = file.read(4) == b"PK\x03\x04"
    if not starts_as_zip:
        raise CheckpointError(f"{path}: is not a checkpoint (torch.save writes a zip archive; this is none)")
    if not zipfile.is_zipfile(path):  # the table of contents stands at the end of a zip
        raise CheckpointError(f"{path}: is truncated (it begins as a checkpoint, but its end is missing)")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{path}: holds more than weights and could run code: refused ({reason})") from error
    except (RuntimeError, OSError, EOFError, KeyError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{path}: is not a checkpoint, or is damaged ({reason})") from error
    found = [str(key) for key in content] if isinstance(content, dict) else []
    key = next((key for key in ENCODER_KEYS if key in found), None)
    if key is None or "predictor" not in found:
        wanted = "predictor" if key else " or ".join(ENCODER_KEYS)
        raise CheckpointError(f"{path}: has no {wanted}; it has {', '.join(found) or 'no keys'}")
    for part in (key, "predictor"):
        if not isinstance(content[part], dict):
            raise CheckpointError(f"{path}: {part} is a {type(content[part]).__name__}, not a dictionary of weights")
    return {"encoder": content[key], "predictor": content["predictor"]}, key


def _read_safetensors(path: Path) -> tuple[dict[str, Mapping[str, Any]], str]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise CheckpointError(f"{path}: reading it needs the package safetensors, which is not installed") from error
    try:
        content = load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: is not a safetensors file, or is truncated ({error})") from error
    parts: dict[str, Mapping[str, Any]] = {}
    for part in ("encoder", "predictor"):
        start = f"{part}."
        parts[part] = {name[len(start) :]: tensor for name, tensor in content.items() if name.startswith(start)}
        if not parts[part]:
            raise CheckpointError(f"{path}: has no names that begin with {start}")
    unknown = sorted(name for name in content if not name.startswith(("encoder.", "predictor.")))
    if unknown:
        raise CheckpointError(f"{path}: {_some(unknown)} belong(s) neither to encoder. nor to predictor.")
    return parts, "encoder"


def _fit(found: Mapping[str, Any], module: nn.Module, part: str, path: Path) -> dict[str, Tensor]:
    """The module's parameters out of a file's tensors: all of them, each of the right shape, and nothing unexpected."""
    tensors = {_strip(name): tensor for name, tensor in found.items()}
    wanted = dict(module.named_parameters())
    missing = [name for name in wanted if name not in tensors]
    if missing:
        raise CheckpointError(f"{path}: {part} lacks {_some(missing)}")
    extra = [name for name in tensors if name not in wanted and name not in ALLOWED_EXTRA[part]]
    if extra:
        raise CheckpointError(f"{path}: {part} has {_some(extra)}, which this model does not")
    for name, parameter in wanted.items():
        tensor = tensors[name]
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
            kind = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
            raise CheckpointError(f"{path}: {part} {name} is {kind}, not a floating-point tensor")
        if tensor.shape != parameter.shape:
            raise CheckpointError(
                f"{path}: {part} {name} has shape {tuple(tensor.shape)}, but this model needs {tuple(parameter.shape)}"
            )
    return {name: tensors[name].detach().clone() for name in wanted}


def _strip(name: str) -> str:
    while name.startswith(PREFIXES):
        name = name.split(".", 1)[1]
    return name


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
