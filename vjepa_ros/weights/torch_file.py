"""``.pt`` files: zip archives of a pickle and the tensors' bytes, read without running, mapping or unpacking anything.

torch reads the pickle, and restores none but its own kinds of objects. What it is given is a copy of the archive in
memory that has everything but the tensors' bytes, so that it cannot change meanwhile; where torch sees a tensor in the
copy, its bytes stand in the file. It knows nothing of models.
"""

from __future__ import annotations

import os
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vjepa_ros.errors import named
from vjepa_ros.weights import pickle_text
from vjepa_ros.weights.opened import OpenedFile, StoredTensor

MOST_ENTRIES = 100_000
MOST_BYTES_BESIDE_TENSORS = 16_000_000
"""Of the pickle and whatever else is no tensor; a training checkpoint of the largest model has about one million."""

_START = b"PK\x03\x04"
_LOCAL_HEADER = 30  # bytes; the lengths of what follows it stand in the last four
_MOST_SAID = 300  # characters of what torch says


def read_content(opened: OpenedFile) -> Any:
    """What a file holds, with a :class:`StoredTensor` in place of each dense tensor of its first two levels.

    Raises:
        CheckpointError: where the file is no checkpoint, is truncated or damaged, or wants to run code.
    """
    if opened.read_at(0, min(4, opened.size)) != _START:
        raise opened.refusal("is not a checkpoint (torch.save writes a zip archive; this is none)")
    try:
        has_end = zipfile.is_zipfile(opened.file)  # the table of contents stands at the end of a zip
    except Exception as error:  # a damaged one is read as if it were whole
        raise opened.refusal(f"is a damaged checkpoint ({_first_line(error)})") from error
    if not has_end:
        raise opened.refusal("is truncated (it begins as a checkpoint, but its end is missing)")
    copy = os.memfd_create("vjepa_ros", os.MFD_CLOEXEC)
    try:
        _copy_but_tensors(opened, copy)
        try:
            content = torch.load(f"/proc/self/fd/{copy}", map_location="cpu", weights_only=True, mmap=True)
        except pickle.UnpicklingError as error:
            raise opened.refusal(_unpickling_failure(str(error))) from error
        except Exception as error:  # what a damaged pickle does to torch's reader is anybody's guess
            raise opened.refusal(f"is a damaged checkpoint ({_first_line(error)})") from error
        mapped = _mapped(os.fstat(copy).st_ino)
    finally:
        os.close(copy)
    return _with_places(content, mapped, levels=2)


def _copy_but_tensors(opened: OpenedFile, copy: int) -> None:
    """Write the archive to a file in memory, with holes where the tensors' bytes are."""
    try:
        with zipfile.ZipFile(opened.file) as archive:
            entries, table = archive.infolist(), archive.start_dir
    except Exception as error:  # nor does Python's reader of archives fail in one way only
        raise opened.refusal(f"is a damaged checkpoint ({_first_line(error)})") from error
    _require_plain(opened, entries)
    os.ftruncate(copy, opened.size)
    beside = opened.size - table
    pieces = [(table, beside)]
    for entry in entries:
        header = opened.read_at(entry.header_offset, _LOCAL_HEADER)
        length = _LOCAL_HEADER + int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        if not re.search(r"(^|/)data/", entry.filename):
            length += entry.file_size
            beside += entry.file_size
        pieces.append((entry.header_offset, length))
    if beside > MOST_BYTES_BESIDE_TENSORS:
        raise opened.refusal(
            f"has {beside:,} bytes beside its tensors, more than {MOST_BYTES_BESIDE_TENSORS:,}: refused; save it again "
            "with nothing but its weights"
        )
    for start, length in pieces:
        os.pwrite(copy, opened.read_at(start, min(length, opened.size - start)), start)
    for entry, (start, length) in zip(entries, pieces[1:], strict=True):
        if entry.filename.endswith("data.pkl"):
            _require_readable(opened, os.pread(copy, entry.file_size, start + length - entry.file_size))


def _require_readable(opened: OpenedFile, pickled: bytes) -> None:
    """Refuse a pickle whose reading would not end, or would fill the memory."""
    try:
        why = pickle_text.trouble(pickled)
    except Exception as error:  # a damaged one breaks off in any way
        raise opened.refusal(f"is a damaged checkpoint ({_first_line(error)})") from error
    if why:
        raise opened.refusal(f"{why}: refused; save it again with nothing but its weights")


def _require_plain(opened: OpenedFile, entries: list[zipfile.ZipInfo]) -> None:
    """Refuse archives that torch.save does not write, whoever might understand them."""
    names = [entry.filename for entry in entries]
    if not any(name.endswith("data.pkl") for name in names):
        raise opened.refusal("is not a checkpoint, but another zip archive (it has no data.pkl)")
    if any(name.endswith("constants.pkl") for name in names):
        raise opened.refusal("is a TorchScript archive, a program: save the state_dict() of its model instead")
    if len(set(names)) != len(names) or len(names) > MOST_ENTRIES:
        raise opened.refusal("is a damaged checkpoint (it has something twice, or too much)")
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
            raise opened.refusal(
                f"has {named(entry.filename)} in compressed form, which torch.save does not write: unpack the archive, "
                "and pack it again without compression"
            )
        if not 0 <= entry.header_offset <= opened.size - _LOCAL_HEADER or entry.file_size > opened.size:
            raise opened.refusal(f"is a damaged checkpoint ({named(entry.filename)} lies outside of it)")
        if entry.filename.endswith("byteorder") and entry.file_size != len("little"):
            raise opened.refusal("was written by a machine of another byte order: save it again on one of this kind")


def _unpickling_failure(message: str) -> str:
    """torch's answer is long, and advises to switch this protection off."""
    wanted = re.search(r"GLOBAL ([\w.]+\w)", message)
    if wanted is None:
        return "is a damaged checkpoint, or holds more than weights: refused"
    return (
        f"wants to run {named(wanted[1])} when it is read, which is no weight: refused, and nothing was run; "
        "save it again with nothing but its weights"
    )


def _mapped(inode: int) -> list[tuple[int, int, int]]:
    """(first address, end, place in the file) of where this process has the copy mapped, as Linux lists it."""
    ranges = []
    for line in Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines():
        addresses, _, offset, _, number, *name = line.split(maxsplit=5)
        if int(number) == inode and name and name[0].startswith("/memfd:vjepa_ros"):
            start, end = (int(address, 16) for address in addresses.split("-"))
            ranges.append((start, end, int(offset, 16)))
    return ranges


def _with_places(content: Any, mapped: list[tuple[int, int, int]], levels: int) -> Any:
    if isinstance(content, Tensor):
        return _stored(content.detach(), mapped)
    if isinstance(content, dict) and levels > 0:
        return {key: _with_places(value, mapped, levels - 1) for key, value in content.items()}
    return content


def _stored(tensor: Tensor, mapped: list[tuple[int, int, int]]) -> Any:
    """Where a tensor's bytes are; one of another kind as it is, for whoever refuses it by name."""
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
        return tensor
    shape, stride = tuple(tensor.shape), tuple(tensor.stride())
    if tensor.numel() == 0:
        return StoredTensor(tensor.dtype, shape, stride, 0)
    address = tensor.data_ptr()
    for start, end, offset in mapped:
        if start <= address < end:
            return StoredTensor(tensor.dtype, shape, stride, address - start + offset)
    return tensor


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:_MOST_SAID]
