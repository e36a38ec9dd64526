"""``.safetensors`` files: a header in JSON that says where each tensor stands, then their bytes.

Read here by offsets, since the package of that name maps the file; written by that package. It knows nothing of models.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vjepa_ros.documents import Unreadable, from_json
from vjepa_ros.errors import CheckpointError, brief, named, place
from vjepa_ros.weights.opened import OpenedFile, StoredTensor

MOST_HEADER_BYTES = 10_000_000  # the largest model's header has some 100,000

_LENGTH = 8  # bytes that say how long the header is
_DTYPES: dict[str, torch.dtype] = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2, "I64": torch.int64, "I32": torch.int32,
    "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip


def read_content(opened: OpenedFile) -> dict[str, StoredTensor]:
    """The tensors of a file, by name.

    Raises:
        CheckpointError: where it is none, truncated or damaged.
    """
    start = opened.read_at(0, min(_LENGTH + 1, opened.size))
    if start[_LENGTH:] != b"{":
        raise opened.refusal("is not a safetensors file")
    length = int.from_bytes(start[:_LENGTH], "little")
    if length > opened.size - _LENGTH:
        raise _damaged(opened, "its header is incomplete")
    if length > MOST_HEADER_BYTES:
        raise _damaged(opened, f"its header has {length:,} bytes, more than {MOST_HEADER_BYTES:,}")
    try:
        header = from_json(opened.read_at(_LENGTH, length).decode("utf-8"))
    except UnicodeDecodeError as error:
        raise _damaged(opened, "its header is no text") from error
    except Unreadable as error:
        raise _damaged(opened, f"its header {error}") from error
    if not isinstance(header, dict):
        raise _damaged(opened, "its header is no table")
    header.pop("__metadata__", None)
    content = {name: _tensor(opened, name, entry, _LENGTH + length) for name, entry in header.items()}
    end = _LENGTH + length
    for name, tensor in sorted(content.items(), key=lambda item: (item[1].start, item[1].nbytes)):
        if tensor.start != end:
            raise _damaged(opened, f"{named(name)} does not begin where the tensor before it ends")
        end += tensor.nbytes
    if end != opened.size:
        raise _damaged(opened, f"its tensors end at byte {end:,}, and the file at {opened.size:,}")
    return content


def _tensor(opened: OpenedFile, name: str, entry: Any, base: int) -> StoredTensor:
    try:
        dtype, shape, (first, last) = entry["dtype"], entry["shape"], entry["data_offsets"]
    except (LookupError, TypeError, ValueError):
        raise _damaged(opened, f"{named(name)} lacks its type, shape or place") from None
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise _damaged(opened, f"{named(name)} is of the unknown type {brief(dtype)}")
    if not isinstance(shape, list) or not all(map(_is_count, (*shape, first, last))):
        raise _damaged(opened, f"{named(name)} has no whole numbers for its shape and place")
    stride = tuple(accumulate([1, *shape[:0:-1]], int.__mul__))[::-1] if shape else ()
    tensor = StoredTensor(_DTYPES[dtype], tuple(shape), stride, base + first)
    if tensor.nbytes != last - first:
        raise _damaged(opened, f"{named(name)} has {last - first:,} bytes for the shape {brief(shape)} of {dtype}")
    return tensor


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _damaged(opened: OpenedFile, why: str) -> CheckpointError:
    return opened.refusal(f"is a truncated or damaged safetensors file ({why})")


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
            f"{place(path)}: writing it needs the package safetensors, which is not installed: pip install safetensors"
        ) from error
    tensors = {f"{part}.{name}": tensor for part, of_part in parts.items() for name, tensor in of_part.items()}
    try:
        save_file(tensors, path, metadata={"format": "pt"})
    except (SafetensorError, OSError) as error:
        said = (str(error) or type(error).__name__).splitlines()[0]
        raise CheckpointError(f"{place(path)}: cannot be written ({said})") from error
