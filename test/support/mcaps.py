"""Writes mcap files as recorders of all kinds do, and as none should; like the oracle, it imports nothing of the
package.

After the public description of the format: records with an operation, a length and a content, some of them in chunks.
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import lz4.frame
from rosbags.rosbag2 import Reader

from support.bags import TYPES
from support.recorded import BAG

MAGIC = b"\x89MCAP0\r\n"
HEADER, FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, MESSAGE_INDEX, CHUNK_INDEX = range(1, 9)
ATTACHMENT, STATISTICS, DATA_END = 0x09, 0x0B, 0x0F


class Raw(NamedTuple):
    """A serialised message."""

    topic: str
    kind: str
    received_ns: int
    data: bytes
    encoding: str = "cdr"


def sample() -> list[Raw]:
    """The messages of the sample bag."""
    with Reader(BAG) as bag:
        return [Raw(c.topic, c.msgtype, received_ns, bytes(data)) for c, received_ns, data in bag.messages()]


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<I", len(data)) + data


def record(operation: int, content: bytes) -> bytes:
    return struct.pack("<BQ", operation, len(content)) + content


def schema(number: int, name: str, encoding: str = "ros2msg", definition: str = "") -> bytes:
    return record(SCHEMA, struct.pack("<H", number) + text(name) + text(encoding) + text(definition))


def channel(number: int, of: int, topic: str, encoding: str = "cdr") -> bytes:
    return record(CHANNEL, struct.pack("<HH", number, of) + text(topic) + text(encoding) + struct.pack("<I", 0))


def message(number: int, received_ns: int, data: bytes) -> bytes:
    return record(MESSAGE, struct.pack("<HIQQ", number, 0, received_ns, received_ns) + data)


def compressed(data: bytes, how: str) -> bytes:
    if how == "zstd":
        from backports import zstd

        return zstd.compress(data)
    return lz4.frame.compress(data) if how == "lz4" else data


def chunk(
    content: bytes,
    first_ns: int,
    last_ns: int,
    how: str = "",
    checksum: int | None = None,
    size: int | None = None,
    data: bytes | None = None,
) -> bytes:
    """A chunk; its checksum and size are those of the content unless others are claimed."""
    crc = zlib.crc32(content) if checksum is None else checksum
    data = compressed(content, how) if data is None else data
    head = struct.pack("<QQQI", first_ns, last_ns, len(content) if size is None else size, crc)
    return record(CHUNK, head + text(how) + struct.pack("<Q", len(data)) + data)


@dataclass
class Form:
    """How a file is written.

    Attributes:
        chunk_messages: messages in a chunk; 0 for none.
        compression: of the chunks: none, ``lz4`` or ``zstd``.
        message_index, chunk_index, statistics: whether there is such a thing.
        repeated: whether the summary has types and channels again.
        summary, end: whether there is one; whether the file was closed.
        checksums: whether chunks have them, and what is outside of them.
        profile: of the header.
        schemas_last: whether types come behind the channels that have them.
        times_known: whether chunks say from when to when they are.
        extra: records between the header and the first message.
    """

    chunk_messages: int = 100
    compression: str = ""
    message_index: bool = True
    chunk_index: bool = True
    statistics: bool = True
    repeated: bool = True
    summary: bool = True
    end: bool = True
    checksums: bool = True
    profile: str = "ros2"
    schemas_last: bool = False
    times_known: bool = True
    extra: bytes = b""
    _kinds: dict[str, int] = field(default_factory=dict)
    _channels: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def write(self, path: Path, messages: Sequence[Raw]) -> Path:
        """Write messages in the order in which they are given."""
        path.write_bytes(self.contents(messages))
        return path

    def contents(self, messages: Sequence[Raw]) -> bytes:
        """The same as bytes."""
        self._kinds, self._channels = {}, {}
        out = bytearray(MAGIC + record(HEADER, text(self.profile) + text("a test")) + self.extra)
        counts: Counter[int] = Counter()
        indexes: list[bytes] = []
        per_chunk = self.chunk_messages or len(messages) or 1
        for start in range(0, len(messages), per_chunk):
            part, index = messages[start : start + per_chunk], {}
            content = bytearray()
            for raw in part:
                number, definitions = self._number(raw)
                content += definitions
                index.setdefault(number, []).append((raw.received_ns, len(content)))
                content += message(number, raw.received_ns, raw.data)
                counts[number] += 1
            if not self.chunk_messages:
                out += content
                continue
            times = [raw.received_ns for raw in part] if self.times_known else [0]
            position, size = len(out), len(content)
            piece = chunk(bytes(content), min(times), max(times), self.compression, None if self.checksums else 0)
            out += piece
            offsets = {}
            for number, entries in index.items() if self.message_index else ():
                offsets[number] = len(out)
                packed = b"".join(struct.pack("<QQ", *entry) for entry in entries)
                out += record(MESSAGE_INDEX, struct.pack("<HI", number, len(packed)) + packed)
            packed = b"".join(struct.pack("<HQ", *entry) for entry in offsets.items())
            indexes.append(
                record(
                    CHUNK_INDEX,
                    struct.pack("<QQQQI", min(times), max(times), position, len(piece), len(packed))
                    + packed + struct.pack("<Q", len(out) - position - len(piece)) + text(self.compression)
                    + struct.pack("<QQ", len(piece), size),
                )
            )  # fmt: skip
        if not self.end:
            return bytes(out)
        out += record(DATA_END, struct.pack("<I", zlib.crc32(out) if self.checksums else 0))
        return bytes(out + self._summary(len(out), messages, counts, indexes))

    def _number(self, raw: Raw) -> tuple[int, bytes]:
        """The channel of a message, and the records that define it where it is new."""
        key = raw.topic, raw.kind, raw.encoding
        if key in self._channels:
            return self._channels[key], b""
        self._channels[key] = number = len(self._channels) + 1
        of = self._kinds.get(raw.kind)
        definitions = b""
        if of is None:
            of = self._kinds[raw.kind] = len(self._kinds) + 1
            definitions = self._schema(raw.kind)
        defined = channel(number, of, raw.topic, raw.encoding)
        return number, defined + definitions if self.schemas_last else definitions + defined

    def _schema(self, kind: str) -> bytes:
        if kind not in TYPES.fielddefs:
            return schema(self._kinds[kind], kind, "jsonschema", "{}")
        return schema(self._kinds[kind], kind, "ros2msg", TYPES.generate_msgdef(kind, ros_version=2)[0])

    def _summary(self, start: int, messages: Sequence[Raw], counts: Counter[int], indexes: list[bytes]) -> bytes:
        parts = b""
        if self.summary:
            if self.repeated:
                parts += b"".join(self._schema(kind) for kind in self._kinds)
                parts += b"".join(
                    channel(number, self._kinds[kind], topic, encoding)
                    for (topic, kind, encoding), number in self._channels.items()
                )
            if self.statistics:
                times = [raw.received_ns for raw in messages] or [0]
                packed = b"".join(struct.pack("<HQ", *entry) for entry in sorted(counts.items()))
                numbers = (
                    len(messages),
                    len(self._kinds),
                    len(self._channels),
                    0,
                    0,
                    len(indexes),
                    min(times),
                    max(times),
                )
                parts += record(STATISTICS, struct.pack("<QHIIIIQQI", *numbers, len(packed)) + packed)
            if self.chunk_index:
                parts += b"".join(indexes)
        head = struct.pack("<BQQQ", FOOTER, 20, start if parts else 0, 0)
        return parts + head + struct.pack("<I", zlib.crc32(parts + head) if self.checksums else 0) + MAGIC


def chunks(data: bytes) -> Iterator[tuple[int, int]]:
    """Where the chunks of a whole file lie: from, to."""
    position = len(MAGIC)
    while position < len(data) - len(MAGIC):
        operation, length = struct.unpack_from("<BQ", data, position)
        end = position + 9 + length
        if operation == CHUNK:
            yield position, end
        position = end
