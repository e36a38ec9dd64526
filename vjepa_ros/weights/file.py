"""What a weights file holds, whatever model it belongs to: ``.pt`` in the released layout, and ``.safetensors``.

* ``.pt``: the encoder under the first of ``target_encoder``, ``ema_encoder``, ``encoder`` that is there, the predictor
  under ``predictor``.
* ``.safetensors``: names ``encoder.*`` and ``predictor.*``.

The tensors that it gives are mapped to the file: they cost no memory until they are read, and must be copied before the
file may change. It never runs code from a file. It knows no models and no sidecars.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vjepa_ros.errors import CheckpointError

ENCODER_KEYS = ("target_encoder", "ema_encoder", "encoder")
"""In order of preference: the averaged encoder is the one whose latents the predictor was trained on."""

PARTS = ("encoder", "predictor")

_LIBC = ctypes.CDLL(None)  # Python can advise on its own mappings only, not on torch's


@dataclass(frozen=True)
class WeightsFile:
    """An opened file.

    Attributes:
        path: the file.
        key: the key that the encoder stands under.
        encoder: what stands there; names as in the file, values not yet checked.
        predictor: the same of the predictor; None where the file has none.
    """

    path: Path
    key: str
    encoder: Mapping[str, Any]
    predictor: Mapping[str, Any] | None

    def drop_pages(self) -> None:
        """Let the system take back the memory through which the file was read so far; reading on reads it again.

        Such pages are the file's own and no burden when memory is short, but they count as the process's.
        """
        for start, length in self._mappings:
            _LIBC.madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), mmap.MADV_DONTNEED)

    @cached_property
    def _mappings(self) -> list[tuple[int, int]]:
        """(address, bytes) of where this process has the file mapped, as Linux lists it."""
        own = " " + str(self.path.resolve())
        lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
        ranges = [line.split(" ", 1)[0].split("-") for line in lines if line.endswith(own)]
        return [(int(start, 16), int(end, 16) - int(start, 16)) for start, end in ranges]


def open_weights(path: str | Path) -> WeightsFile:
    """Open a weights file by its ending: ``.safetensors``, or anything else for torch's own format.

    Raises:
        CheckpointError: where the file is not there, cannot be read, is not a checkpoint, is truncated, has no encoder,
            or wants to run code. The message names the file.
    """
    path = Path(os.path.expanduser(path))
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "there is no such file"
        raise CheckpointError(f"{path}: {what}")
    try:
        if path.stat().st_size == 0:
            raise CheckpointError(f"{path}: is not a checkpoint: it is empty")
        return _open_safetensors(path) if path.suffix == ".safetensors" else _open_pt(path)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from error


def _open_pt(path: Path) -> WeightsFile:
    with path.open("rb") as file:
        starts_as_zip = file.read(4) == b"PK\x03\x04"
    if not starts_as_zip:
        raise CheckpointError(f"{path}: is not a checkpoint (torch.save writes a zip archive; this is none)")
    if not zipfile.is_zipfile(path):  # the table of contents stands at the end of a zip
        raise CheckpointError(f"{path}: is truncated (it begins as a checkpoint, but its end is missing)")
    try:
        with zipfile.ZipFile(path) as archive:
            if not any(name.endswith("data.pkl") for name in archive.namelist()):
                raise CheckpointError(f"{path}: is not a checkpoint, but another zip archive (it has no data.pkl)")
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{path}: {_unpickling_failure(str(error))}") from error
    except (RuntimeError, EOFError, LookupError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path}: is a damaged checkpoint ({_first_line(error)})") from error
    return _parts_of(content, path)


def _unpickling_failure(message: str) -> str:
    """torch's answer is long, and advises to switch this protection off."""
    wanted = re.search(r"GLOBAL ([\w.]+\w)", message)
    if wanted is None:
        return "is a damaged checkpoint, or holds more than weights: refused"
    return (
        f"wants to run {wanted[1]} when it is read, which is no weight: refused, and nothing was run; "
        "save it again with nothing but its weights"
    )


def _parts_of(content: Any, path: Path) -> WeightsFile:
    found = {str(key): value for key, value in content.items()} if isinstance(content, dict) else {}
    key = next((key for key in ENCODER_KEYS if key in found), None)
    if key is None:
        keys = ", ".join(found) or "no keys"
        raise CheckpointError(f"{path}: has no {' or '.join(ENCODER_KEYS)}; it has {keys}")
    for name, value in found.items():
        if name in (key, "predictor"):
            if not isinstance(value, dict):
                raise CheckpointError(f"{path}: {name} is a {type(value).__name__}, not a dictionary of weights")
        elif (
            name not in ENCODER_KEYS and isinstance(value, dict) and any(isinstance(v, Tensor) for v in value.values())
        ):
            # Counters and the optimizer's nested state are of no use here; this looks like a part of the model.
            raise CheckpointError(f"{path}: has weights under {name}, which belong to no part of this model")
    return WeightsFile(path, key, found[key], found.get("predictor"))


def _open_safetensors(path: Path) -> WeightsFile:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise CheckpointError(
            f"{path}: reading it needs the package safetensors, which is not installed: pip install safetensors"
        ) from error
    with path.open("rb") as file:
        if file.read(9)[8:] != b"{":  # eight bytes of length, then a header in JSON
            raise CheckpointError(f"{path}: is not a safetensors file")
    try:
        content = load_file(path)
    except SafetensorError as error:
        raise CheckpointError(f"{path}: is a truncated or damaged safetensors file ({_first_line(error)})") from error
    parts = {
        part: {name[len(part) + 1 :]: tensor for name, tensor in content.items() if name.startswith(f"{part}.")}
        for part in PARTS
    }
    if not parts["encoder"]:
        raise CheckpointError(f"{path}: has no names that begin with encoder.")
    unknown = sorted(name for name in content if not name.startswith(tuple(f"{part}." for part in PARTS)))
    if unknown:
        raise CheckpointError(f"{path}: {unknown[0]} belongs neither to encoder. nor to predictor.")
    return WeightsFile(path, "encoder", parts["encoder"], parts["predictor"] or None)


def write_safetensors(path: Path, parts: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Write parts of a model, by name, to a new file, and see it on the disk.

    Raises:
        CheckpointError: where the package safetensors is not installed, or the disk is full or fails.
    """
    try:
        from safetensors import SafetensorError
        from safetensors.torch import save_file
    except ImportError as error:
        raise CheckpointError(
            f"{path}: writing it needs the package safetensors, which is not installed: pip install safetensors"
        ) from error
    tensors = {f"{part}.{name}": tensor for part, of_part in parts.items() for name, tensor in of_part.items()}
    try:
        save_file(tensors, path, metadata={"format": "pt"})
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: cannot be written ({_first_line(error)})") from error


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
