"""A weights file while it is read: by offsets into memory of one's own, and refused if it changes meanwhile.

It is never mapped: where a mapped file is cut, the process that reads it is killed. It knows no formats.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from types import TracebackType

import torch
from torch import Tensor

from vjepa_ros.documents import Unreadable, open_regular
from vjepa_ros.errors import CheckpointError, place

_PIECE_BYTES = 4 * 2**20  # that are read at once: a multiple of every element's size
_SETTLED_NS = 50_000_000  # longer than the tick of the clock that a change of a file is stamped by


@dataclass(frozen=True)
class StoredTensor:
    """Where a dense tensor stands in a file.

    Attributes:
        dtype, shape: of the tensor.
        stride: elements from one index to the next, by dimension.
        start: byte of the file that its first element begins at.
    """

    dtype: torch.dtype
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    start: int

    @property
    def nbytes(self) -> int:
        """Bytes of its elements, wherever they stand."""
        return torch.Size(self.shape).numel() * self.dtype.itemsize

    @property
    def is_contiguous(self) -> bool:
        """Whether its elements follow each other in the order of its indices."""
        steps = accumulate(self.shape[:0:-1], int.__mul__, initial=1)
        pairs = zip(self.shape[::-1], self.stride[::-1], steps, strict=True) if self.shape else ()
        return all(size == 1 or step == wanted for size, step, wanted in pairs)

    @property
    def reach_bytes(self) -> int:
        """Bytes of the file from its first element to its last one, both included."""
        if 0 in self.shape:
            return 0
        last = sum((size - 1) * step for size, step in zip(self.shape, self.stride, strict=True))
        return (last + 1) * self.dtype.itemsize


@dataclass(frozen=True)
class JoinedTensor:
    """Tensors of one or several files that are one along their first axis.

    Attributes:
        parts: of one dtype and one shape but for the first axis, each with the file that it stands in.
    """

    parts: tuple[tuple[OpenedFile, StoredTensor], ...]

    @property
    def dtype(self) -> torch.dtype:
        """Of all parts."""
        return self.parts[0][1].dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the whole."""
        first = self.parts[0][1].shape
        return (sum(tensor.shape[0] for _, tensor in self.parts), *first[1:]) if first else first

    @property
    def nbytes(self) -> int:
        """Bytes of all parts."""
        return sum(tensor.nbytes for _, tensor in self.parts)

    def pieces(self) -> Iterator[Tensor]:
        """The elements of one part after the other, as :meth:`OpenedFile.pieces` gives them."""
        for opened, tensor in self.parts:
            yield from opened.pieces(tensor)


class OpenedFile:
    """A regular file, open until it is left.

    Args:
        path: of the file; ``~`` stands for the home folder.

    Attributes:
        path: of the file.
        size: in bytes, when it was opened.

    Raises:
        CheckpointError: where it cannot be opened, or is empty; by every method where it changes or cannot be read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(os.path.expanduser(path))
        try:
            self.file = open_regular(self.path)
        except Unreadable as error:
            raise CheckpointError(f"{place(self.path)}: {error}{self._advice()}") from error
        self._descriptor = self.file.fileno()
        self._buffer = torch.empty(_PIECE_BYTES, dtype=torch.uint8)
        # A change within the same tick as the last one would not show.
        if abs(time.time_ns() - os.fstat(self._descriptor).st_mtime_ns) < _SETTLED_NS:
            time.sleep(_SETTLED_NS / 1e9)
        self._status = self._identity()
        self.size = os.fstat(self._descriptor).st_size
        if self.size == 0:
            self.file.close()
            raise self.refusal("is not a checkpoint: it is empty")

    def __enter__(self) -> OpenedFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.file.close()

    def refusal(self, reason: str) -> CheckpointError:
        """What is to be raised for a reason."""
        return CheckpointError(f"{place(self.path)}: {reason}")

    def read_at(self, start: int, count: int) -> bytes:
        """Bytes of the file."""
        content = bytearray(count)
        self._read_into(memoryview(content), start)
        return bytes(content)

    def pieces(self, tensor: StoredTensor) -> Iterator[Tensor]:
        """The elements of a tensor in the order of its indices: 1-D pieces on the CPU, each good until the next."""
        if not tensor.is_contiguous:
            elements = torch.empty(tensor.reach_bytes, dtype=torch.uint8)
            self._fill(elements, tensor.start)
            # One element that stands for all of them would stay one with every stride 0.
            yield elements.view(tensor.dtype).as_strided(tensor.shape, tensor.stride).reshape(-1).contiguous()
            return
        for first in range(0, tensor.nbytes, _PIECE_BYTES):
            piece = self._buffer[: min(_PIECE_BYTES, tensor.nbytes - first)]
            self._fill(piece, tensor.start + first)
            yield piece.view(tensor.dtype)

    def require_unchanged(self) -> None:
        """Refuse a file that is no longer what was opened: what was read of it may be half the one, half the other."""
        if self._identity() != self._status:
            raise self.refusal("was changed while it was read: load it again once it is whole")

    def _fill(self, elements: Tensor, start: int) -> None:
        self._read_into(memoryview(elements.numpy()), start)  # type: ignore[arg-type]

    def _read_into(self, target: memoryview, start: int) -> None:
        try:
            while target:
                count = os.preadv(self._descriptor, [target], start)
                if count == 0:
                    self.require_unchanged()
                    raise self.refusal("is truncated")
                target, start = target[count:], start + count
        except OSError as error:
            raise self.refusal(f"cannot be read ({error.strerror or error})") from error

    def _identity(self) -> tuple[int, ...]:
        status = os.fstat(self._descriptor)
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns

    def _advice(self) -> str:
        if os.path.isfile(self.path / ".metadata"):
            return ": a checkpoint in parts, of torch.distributed; make one file of it by its dcp_to_torch_save"
        return ""
