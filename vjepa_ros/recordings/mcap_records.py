"""The records of an mcap file: where each begins and ends, what those say that are no messages, and where the next one
is when one is damaged.

A record is an operation, the length of its content, and the content; a chunk holds more of them, compressed or not. It
knows neither topics nor time.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from vjepa_ros.recordings.expanding import METHODS

MAGIC = b"\x89MCAP0\r\n"
FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, MESSAGE_INDEX, CHUNK_INDEX = 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08
STATISTICS, DATA_END = 0x0B, 0x0F
LAST_KNOWN = 0x0F
RECORD = struct.Struct("<BQ")  # operation, bytes of content
MESSAGE_START = struct.Struct("<HIQQ")  # channel, sequence, time of recording, time of publishing
_CHUNK_START = struct.Struct("<QQQII")  # first, last time, uncompressed bytes, checksum, length of compression's name
_FOOTER = struct.Struct("<BQQQI")  # record, start of summary, of its offsets, checksum
FOOTER_BYTES = _FOOTER.size + len(MAGIC)
_CHUNK_INDEX_START = struct.Struct("<QQQQI")  # first, last time, position, length, bytes of the map that follows
_STATISTICS = struct.Struct("<QHIIIIQQI")
MOST_SUMMARY_BYTES = 256 * 2**20
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
    position = file.size - FOOTER_BYTES
    if position < len(MAGIC):
        return None
    end = file.read(position, FOOTER_BYTES)
    if len(end) < FOOTER_BYTES or end[-len(MAGIC) :] != MAGIC:
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
