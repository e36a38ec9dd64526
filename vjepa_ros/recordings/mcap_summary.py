"""What an mcap file says of itself: its types and channels, and the statistics and index behind its messages.

It knows the content of records, not where in the file they come from.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from vjepa_ros.recordings.mcap_records import CHANNEL, CHUNK_INDEX, FOOTER, MAGIC, RECORD, SCHEMA, STATISTICS, File

_FOOTER = struct.Struct("<BQQQI")  # record, start of summary, of its offsets, checksum
_FOOTER_BYTES = _FOOTER.size + len(MAGIC)
_CHUNK_INDEX_START = struct.Struct("<QQQQI")  # first, last time, position, length, bytes of the map that follows
_STATISTICS = struct.Struct("<QHIIIIQQI")
MOST_SUMMARY_BYTES = 256 * 2**20


class Schema(NamedTuple):
    """A type: its name, and its definition in an encoding such as ``ros2msg``."""

    name: str
    encoding: str
    definition: str


class ChannelRecord(NamedTuple):
    """A channel: the number of its type (0: none), its topic, and how messages are serialised."""

    schema: int
    topic: str
    encoding: str


@dataclass
class Definitions:
    """The types and channels of a file by number, as they were met; the first one counts.

    Attributes:
        schemas, channels: by number.
        twofold: numbers of channels that mean two things, or whose type does.
    """

    schemas: dict[int, Schema] = field(default_factory=dict)
    channels: dict[int, ChannelRecord] = field(default_factory=dict)
    twofold: set[int] = field(default_factory=set)

    def add(self, operation: int, content: bytes) -> set[int]:
        """Take in a schema or a channel; one that is damaged defines nothing.

        Returns:
            The channels that mean two things since then, and did not before.
        """
        before = set(self.twofold)
        try:
            reader = _Reader(content)
            number = reader.number(2)
            if operation == SCHEMA:
                schema = Schema(reader.text(), reader.text(), reader.text())
                if self.schemas.setdefault(number, schema) != schema:
                    self.twofold |= {n for n, channel in self.channels.items() if channel.schema == number}
            else:
                channel = ChannelRecord(reader.number(2), reader.text(), reader.text())
                if self.channels.setdefault(number, channel) != channel:
                    self.twofold.add(number)
        except _Cut:
            pass
        return self.twofold - before


@dataclass
class Summary:
    """What stands behind the messages of a file that was closed.

    Attributes:
        definitions: types and channels.
        message_counts: by channel, as the statistics have them; None where there are none.
        chunk_count: as the statistics have it.
        chunks: the numbers of the channels in each chunk, by its position; of those that are indexed.
    """

    definitions: Definitions = field(default_factory=Definitions)
    message_counts: dict[int, int] | None = None
    chunk_count: int = 0
    chunks: dict[int, tuple[int, ...]] = field(default_factory=dict)


def footer(file: File) -> tuple[int, int, int] | None:
    """(where the records of messages end, where the summary ends, checksum) as the footer has it, None without one."""
    position = file.size - _FOOTER_BYTES
    if position < len(MAGIC):
        return None
    end = file.read(position, _FOOTER_BYTES)
    if len(end) < _FOOTER_BYTES or end[-len(MAGIC) :] != MAGIC:
        return None
    operation, length, start, _, checksum = _FOOTER.unpack_from(end)
    if operation != FOOTER or length != _FOOTER.size - RECORD.size:
        return None
    start = start or position
    return (start, position, checksum) if len(MAGIC) <= start <= position else None


def read_summary(file: File, start: int, end: int, checksum: int) -> Summary | None:
    """What stands in the summary; None where it is damaged or too large."""
    if end - start > MOST_SUMMARY_BYTES:
        return None
    data = file.read(start, end - start)
    # The checksum is over the footer too, up to itself.
    if checksum and zlib.crc32(file.read(end, _FOOTER.size - 4), zlib.crc32(data)) != checksum:
        return None
    found = Summary()
    try:
        for operation, content in _inside(data):
            _summarise(found, operation, content)
    except (_Cut, struct.error):
        return None
    return found


def _summarise(found: Summary, operation: int, content: bytes) -> None:
    if operation in (SCHEMA, CHANNEL):
        found.definitions.add(operation, content)
    elif operation == CHUNK_INDEX:
        _, _, position, _, size = _CHUNK_INDEX_START.unpack_from(content)
        indexed = content[_CHUNK_INDEX_START.size : _CHUNK_INDEX_START.size + size]
        found.chunks[position] = tuple(
            channel for channel, _ in struct.iter_unpack("<HQ", indexed[: len(indexed) // 10 * 10])
        )
    elif operation == STATISTICS:
        total, *_, found.chunk_count, _, _, size = _STATISTICS.unpack_from(content)
        counts = content[_STATISTICS.size : _STATISTICS.size + size]
        by_channel = dict(struct.iter_unpack("<HQ", counts[: len(counts) // 10 * 10]))
        found.message_counts = by_channel if sum(by_channel.values()) == total else None


def _inside(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(data):
        if len(data) - position < RECORD.size:
            raise _Cut
        operation, length = RECORD.unpack_from(data, position)
        position += RECORD.size
        if not operation or length > len(data) - position:
            raise _Cut
        yield operation, data[position : position + length]
        position += length


class _Cut(Exception):
    """There are fewer bytes than a length says."""


class _Reader:
    """Takes numbers and texts out of the content of a record, one after another."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._position = 0

    def _take(self, count: int) -> bytes:
        taken = self._content[self._position : self._position + count]
        if len(taken) < count:
            raise _Cut
        self._position += count
        return taken

    def number(self, count: int) -> int:
        return int.from_bytes(self._take(count), "little")

    def text(self) -> str:
        return self._take(self.number(4)).decode("utf-8", "replace")
