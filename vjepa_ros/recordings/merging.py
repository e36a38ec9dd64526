"""Puts the messages of many pieces of a file into the order of time, with no more of them in memory than is allowed.

A piece is opened when the time has come to where it says that it begins. What does not fit into memory waits in a file
without a name in the folder for temporary files. It knows no format: numbers of channels, times and bytes.
"""

from __future__ import annotations

import heapq
import os
import struct
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from tempfile import TemporaryFile
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

MOST_HELD_BYTES = 256 * 2**20
_SPILLED = struct.Struct("<QHQ")  # time, channel, bytes of data

Entry = tuple[int, int, bytes]
"""(time of recording in ns, number of the channel, data)."""


class Run:
    """Messages that lie in one block of bytes, to be given out in the order of time.

    Args:
        content: the block.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._times_ns = array("Q")
        self._channels = array("H")
        self._starts = array("Q")
        self._ends = array("Q")
        self._sorted = True

    def add(self, time_ns: int, channel: int, start: int, end: int) -> None:
        """Add the message that lies at a place of the block."""
        if self._times_ns and time_ns < self._times_ns[-1]:
            self._sorted = False
        self._times_ns.append(time_ns)
        self._channels.append(channel)
        self._starts.append(start)
        self._ends.append(end)

    @property
    def held_bytes(self) -> int:
        """What it takes in memory, about."""
        return len(self._content) + 34 * len(self._times_ns)

    def entries(self) -> Iterator[Entry]:
        """The messages in the order of time, those of one time as they lie."""
        order: Iterable[int] = range(len(self._times_ns))
        if not self._sorted:
            order = np.argsort(np.frombuffer(self._times_ns, np.uint64), kind="stable")
        content, times_ns, channels = self._content, self._times_ns, self._channels
        for i in order:
            yield times_ns[i], channels[i], content[self._starts[i] : self._ends[i]]


class Piece(Protocol):
    """A part of a file that is opened as a whole."""

    @property
    def first_ns(self) -> int:
        """No message of it is older, as far as it says."""

    @property
    def position(self) -> int:
        """Where it lies in the file: what comes first of two messages of one time."""


AnyPiece = TypeVar("AnyPiece", bound=Piece)


class _Open(NamedTuple):
    """A piece that is being given out; the smallest is the one whose next message comes next."""

    time_ns: int
    position: int
    entry: Entry
    rest: Iterator[Entry]
    held_bytes: int


def in_order(pieces: Iterable[AnyPiece], load: Callable[[AnyPiece], Run]) -> Iterator[Entry]:
    """The messages of pieces in the order of time.

    Args:
        pieces: all of them.
        load: opens one.

    Raises:
        OSError: where there is no room on the disk for what does not fit into memory.
    """
    waiting = sorted(pieces, key=lambda piece: (piece.first_ns, piece.position), reverse=True)
    opened: list[_Open] = []
    held_bytes = 0
    with ExitStack() as stack:
        spill: _Spill | None = None
        while waiting or opened:
            while waiting and (not opened or waiting[-1].first_ns <= opened[0].time_ns):
                piece = waiting.pop()
                run = load(piece)
                rest, more_bytes = run.entries(), run.held_bytes
                if opened and held_bytes + more_bytes > MOST_HELD_BYTES:
                    spill = spill or _Spill(stack)
                    rest, more_bytes = spill.put(rest), 0
                del run
                first = next(rest, None)
                if first is not None:
                    heapq.heappush(opened, _Open(first[0], piece.position, first, rest, more_bytes))
                    held_bytes += more_bytes
            if not opened:
                continue
            time_ns, position, entry, rest, more_bytes = opened[0]
            if len(opened) == 1:  # as nearly always: nothing to compare with but the next piece
                until_ns = waiting[-1].first_ns if waiting else 2**64
                while entry[0] < until_ns:
                    yield entry
                    following = next(rest, None)
                    if following is None:
                        opened.clear()
                        held_bytes -= more_bytes
                        break
                    entry = following
                else:
                    opened[0] = _Open(entry[0], position, entry, rest, more_bytes)
                continue
            yield entry
            following = next(rest, None)
            if following is None:
                heapq.heappop(opened)
                held_bytes -= more_bytes
            else:
                heapq.heapreplace(opened, _Open(following[0], position, following, rest, more_bytes))


class _Spill:
    """Messages on the disk."""

    def __init__(self, stack: ExitStack) -> None:
        self._file: Any = stack.enter_context(TemporaryFile(prefix="vjepa_ros_"))  # noqa: SIM115
        self._end = 0

    def put(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Write messages down; they come back one by one."""
        start = self._end
        self._file.seek(start)
        for time_ns, channel, data in entries:
            self._file.write(_SPILLED.pack(time_ns, channel, len(data)))
            self._file.write(data)
        self._file.flush()
        self._end = self._file.tell()
        return self._get(start, self._end)

    def _get(self, start: int, end: int) -> Iterator[Entry]:
        descriptor = self._file.fileno()
        while start < end:
            time_ns, channel, size = _SPILLED.unpack(os.pread(descriptor, _SPILLED.size, start))
            start += _SPILLED.size
            yield time_ns, channel, os.pread(descriptor, size, start)
            start += size
