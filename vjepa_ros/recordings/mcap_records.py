"""The records of an mcap file: where each begins and ends, and where the next one is when one is damaged.

A record is an operation, the length of its content, and the content; a chunk holds more of them, compressed or not. It
knows neither topics nor time.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Mapping
from typing import NamedTuple

from vjepa_ros.recordings.expanding import METHODS

MAGIC = b"\x89MCAP0\r\n"
FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, MESSAGE_INDEX, CHUNK_INDEX = 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08
STATISTICS, DATA_END = 0x0B, 0x0F
LAST_KNOWN = 0x0F
RECORD = struct.Struct("<BQ")  # operation, bytes of content
MESSAGE_START = struct.Struct("<HIQQ")  # channel, sequence, time of recording, time of publishing
_CHUNK_START = struct.Struct("<QQQII")  # first, last time, uncompressed bytes, checksum, length of compression's name
_WINDOW_BYTES = 2**14
_SEARCH_BYTES = 2**20
_MOST_TRIES = 200_000  # places that looked like a record and were none, in a file
# As chunks of less than 1 TiB and messages of less than 4 GiB begin.
_BEGINNINGS = re.compile(rb"\x06[\s\S]{5}\x00{3}|\x05[\s\S]{4}\x00{4}")


class File:
    """A file that is read in places; what lies near the last place is there already.

    Args:
        descriptor: of the open file, which somebody else closes.
        size: of the file in bytes.

    Attributes:
        tries: how often a place was looked at in search of a record.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self.size = size
        self.tries = 0
        self._start, self._window = 0, b""

    def read(self, position: int, count: int) -> bytes:
        """Bytes of the file, fewer where it ends."""
        parts = []
        while count > 0 and (part := os.pread(self._descriptor, min(count, 2**30), position)):
            parts.append(part)
            position, count = position + len(part), count - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def near(self, position: int, count: int = 64) -> tuple[bytes, int]:
        """Bytes of the file, and where in them a position is; that many follow it, fewer where the file ends."""
        offset = position - self._start
        if not 0 <= offset <= len(self._window) - count:
            self._start, self._window, offset = position, self.read(position, max(count, _WINDOW_BYTES)), 0
        return self._window, offset

    def record(self, position: int) -> tuple[int, int]:
        """(operation, where it ends) of the record at a position; operation 0 for none that is whole."""
        window, offset = self.near(position)
        if len(window) - offset < RECORD.size:
            return 0, position
        operation, length = RECORD.unpack_from(window, offset)
        end = position + RECORD.size + length
        return (operation, end) if end <= self.size else (0, end)


class ChunkHead(NamedTuple):
    """What a chunk says of itself: its times in ns, bytes and checksum when it is decompressed (0: none), its
    compression, and where in the file its data lies."""

    first_ns: int
    last_ns: int
    expanded_bytes: int
    checksum: int
    compression: str
    data_start: int
    data_end: int


def chunk_head(file: File, position: int) -> ChunkHead | None:
    """What the chunk at a position says; None where its lengths do not agree with each other."""
    window, offset = file.near(position, 128)
    length = int(RECORD.unpack_from(window, offset)[1])
    start = offset + RECORD.size
    if len(window) - start < _CHUNK_START.size:
        return None
    first_ns, last_ns, expanded_bytes, checksum, name_bytes = _CHUNK_START.unpack_from(window, start)
    name_start = start + _CHUNK_START.size
    data_length_at = name_start + name_bytes
    if name_bytes > 32 or len(window) - data_length_at < 8:
        return None
    name = window[name_start:data_length_at].decode("utf-8", "replace")
    data_bytes = int.from_bytes(window[data_length_at : data_length_at + 8], "little")
    if _CHUNK_START.size + name_bytes + 8 + data_bytes != length:
        return None
    data_start = position + data_length_at + 8 - offset
    return ChunkHead(first_ns, last_ns, expanded_bytes, checksum, name, data_start, data_start + data_bytes)


def plain_inside(file: File, position: int) -> int | None:
    """Where the records begin that lie uncompressed in the chunk at a position, which need not be whole; None for
    anything else."""
    window, offset = file.near(position)
    if len(window) - offset < RECORD.size + _CHUNK_START.size or window[offset] != CHUNK:
        return None
    *_, name_bytes = _CHUNK_START.unpack_from(window, offset + RECORD.size)
    return None if name_bytes else position + RECORD.size + _CHUNK_START.size + 8


def message_index(file: File, position: int, end: int) -> tuple[int, int]:
    """(channel, number of messages) of the message index at a position."""
    if end - position < RECORD.size + 6:
        return 0, 0
    window, offset = file.near(position)
    channel, size = struct.unpack_from("<HI", window, offset + RECORD.size)
    return int(channel), int(size) // 16


def search(file: File, start: int, end: int, channels: Mapping[int, object]) -> int | None:
    """Where the first chunk or message is from a position on that can be believed; None if there is none, or
    too much that looks like one.

    Args:
        file: the file.
        start, end: where in it.
        channels: numbers of those that are known.
    """
    while start < end:
        window = file.read(start, min(_SEARCH_BYTES, end - start))
        for found in _BEGINNINGS.finditer(window):
            file.tries += 1
            if file.tries > _MOST_TRIES:
                return None
            position = start + found.start()
            if _believable(file, position, end, channels):
                return position
        if len(window) < RECORD.size:
            return None
        start += len(window) - (RECORD.size - 1)
        if len(window) < _SEARCH_BYTES:
            return None
    return None


def _believable(file: File, position: int, end: int, channels: Mapping[int, object]) -> bool:
    operation, stop = file.record(position)
    if operation == CHUNK:
        head = chunk_head(file, position)
        return head is not None and head.compression in METHODS and stop <= end
    if operation != MESSAGE or stop - position < RECORD.size + MESSAGE_START.size:
        return False
    window, offset = file.near(position)
    if MESSAGE_START.unpack_from(window, offset + RECORD.size)[0] not in channels:
        return False
    for _ in range(2):  # and what follows looks like records
        if stop == end:
            return True
        operation, stop = file.record(stop)
        if not 0 < operation <= LAST_KNOWN or stop > end:
            return False
    return True
