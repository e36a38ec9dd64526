"""Reads an mcap file that was cut off, as a recorder that was killed leaves it: everything complete before the cut.

Such a file has neither the index nor the footer that readers start from. Its records still stand one after another,
each with its length, so the whole ones are found from the front; of a chunk that the cut went through, the whole
records are taken where it is not compressed. The records themselves are read by ``rosbags``. It knows
no topics and no messages.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO

from rosbags.interfaces import Connection
from rosbags.rosbag2 import ReaderError
from rosbags.rosbag2.storage_mcap import McapReader

_MAGIC = b"\x89MCAP0\r\n"
_FOOTER, _CHUNK, _DATA_END = 0x02, 0x06, 0x0F
_RECORD = struct.Struct("<BQ")  # operation, bytes of content
_CHUNK_START = struct.Struct(
    "<QQQII"
)  # first and last time, uncompressed bytes, checksum, length of compression's name


class CutMcap:
    """The messages of a cut mcap file, in the order of the file.

    Args:
        path: the file.

    Attributes:
        connections: its topics, with the numbers of messages that can be read.
        used_bytes, total_bytes: how much of the file is whole, and how much there is.

    Raises:
        ReaderError: for a file that is not an mcap, or that was cut before its first whole record.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.total_bytes = path.stat().st_size
        with path.open("rb") as file:
            self._ranges, self.used_bytes = _whole_records(file, self.total_bytes)
        counts: dict[int, int] = {}
        connections: dict[int, Connection] = {}
        self._reader = McapReader(path)
        self._reader.bio = path.open("rb")
        try:
            for _ in self._each_range():
                self._reader.meta_scan()
                statistics = self._reader.statistics
                assert statistics is not None
                for number, count in statistics.channel_message_counts.items():
                    counts[number] = counts.get(number, 0) + count
                connections.update({connection.id: connection for connection in self._reader.connections})
        except BaseException:
            self.close()
            raise
        self.connections = [c._replace(msgcount=counts.get(c.id, 0)) for c in connections.values()]

    def _each_range(self) -> Iterator[None]:
        """Point the reader at one stretch after the other."""
        for start, end in self._ranges:
            self._reader.data_start, self._reader.data_end = start, end
            yield

    def messages(self, connections: Collection[Connection]) -> Iterator[tuple[Connection, int, bytes]]:
        """(connection, time of recording in ns, serialised message) of these connections."""
        for _ in self._each_range():
            yield from self._reader.messages_scan(connections)

    def close(self) -> None:
        """Close the file."""
        if self._reader.bio is not None:
            self._reader.bio.close()


def _whole_records(file: BinaryIO, total_bytes: int) -> tuple[list[tuple[int, int]], int]:
    """The stretches (from, to) of the file that hold whole records, and where the last one ends."""
    if file.read(len(_MAGIC)) != _MAGIC:
        raise ReaderError("it is not an mcap file")
    start = _end_of_record(file, len(_MAGIC), total_bytes)
    if start is None:
        raise ReaderError("it was cut off before its first message")
    end = start
    while (next_end := _end_of_record(file, end, total_bytes)) is not None:
        if _operation(file, end) in (_DATA_END, _FOOTER):
            return [(start, end)], end
        end = next_end
    ranges = [(start, end)]
    file.seek(end + _RECORD.size)
    opening = file.read(_CHUNK_START.size)
    if _operation(file, end) == _CHUNK and len(opening) == _CHUNK_START.size and _CHUNK_START.unpack(opening)[-1] == 0:
        # Not compressed: its records lie in the file as they are, after the (empty) name and the length of the data.
        inner_start = inner_end = end + _RECORD.size + _CHUNK_START.size + 8
        while (next_end := _end_of_record(file, inner_end, total_bytes)) is not None:
            inner_end = next_end
        if inner_end > inner_start:
            ranges.append((inner_start, inner_end))
            end = inner_end
    return ranges, end


def _operation(file: BinaryIO, position: int) -> int | None:
    file.seek(position)
    first = file.read(1)
    return first[0] if first else None


def _end_of_record(file: BinaryIO, position: int, total_bytes: int) -> int | None:
    """Where the record at a position ends; None where it is not whole."""
    file.seek(position)
    opening = file.read(_RECORD.size)
    if len(opening) < _RECORD.size:
        return None
    operation, size = _RECORD.unpack(opening)
    end = position + _RECORD.size + int(size)
    return end if operation and end <= total_bytes else None  # zeros stand where the disk never got the data
