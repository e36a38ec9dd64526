"""Reads an mcap file: everything in it that is whole, in the order of time, whether or not it has an index, chunks, or
an end, as recorders of all kinds and killed ones leave it.

What the file announces of itself (index, statistics, checksums) is not trusted to find messages by, only compared with
what is found. It knows channels and times, not what messages mean.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from vjepa_ros.recordings import mcap_records as mcap
from vjepa_ros.recordings.expanding import ExpandError, expand
from vjepa_ros.recordings.mcap_summary import Definitions, Schema, Summary, footer, read_summary
from vjepa_ros.recordings.mcap_walk import Piece, Walk
from vjepa_ros.recordings.merging import Run, in_order
from vjepa_ros.recordings.storage import (
    CDR,
    MOST_RECEIVED_NS,
    Channel,
    Flaw,
    Storage,
    Stored,
    Unreadable,
    named,
    reason,
)

MOST_CHUNK_BYTES = 256 * 2**20
"""What a chunk may decompress to; recorders close theirs at 1 to 4 MiB, or behind a single message that is larger."""


class McapFile(Storage):
    """An mcap file.

    Args:
        path: the file.
        called: what people know it as, where it is another: one that was decompressed.

    Raises:
        Unreadable: for a file that is not an mcap, or that was cut before its first whole record.
        OSError: where it cannot be opened.
    """

    def __init__(self, path: Path, called: Path | None = None) -> None:
        super().__init__(called or path)
        self._handle = path.open("rb")
        self._size_of = "" if self.path == path else "decompressed "
        self._from_summary = False
        try:
            self._file = mcap.File(self._handle.fileno(), path.stat().st_size)
            self._open()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._handle.close()

    # -- what there is

    def _open(self) -> None:
        file = self._file
        if file.read(0, len(mcap.MAGIC)) != mcap.MAGIC:
            raise Unreadable("it is not an mcap file" if file.size else "it is empty, so not an mcap file")
        if file.record(len(mcap.MAGIC))[0] == 0:
            raise Unreadable("it was cut off before its first message")
        end = footer(file)
        summary = None if end is None else read_summary(file, *end)
        definitions = Definitions()
        if summary is not None:
            definitions = summary.definitions
            self._from_summary = bool(definitions.channels)
        elif end is not None:
            self.flaw(Flaw("what it announces of itself is damaged", frozenset()))
        self._walk = Walk(file, definitions, self._size_of, self.flaw)
        self._walk.walk(end)
        counts = None if summary is None else summary.message_counts
        if counts is not None and self._explains(counts):
            self.announced = self._by_topic(counts)
            self.counts = self.announced
        else:
            self.counts = self._by_topic(self._count())
        if summary is not None:
            self._compare(summary)
        self._resolve()
        self._index_is_whole = counts is not None and self._index() == {n: c for n, c in counts.items() if c}

    def _explains(self, counts: dict[int, int]) -> bool:
        """Whether statistics can be all there is to know: nothing lies in the file that they do not speak of."""
        known = self._walk.definitions.channels
        return (
            set(counts) <= set(known)
            and set(self._index()) <= set(counts)
            and (not self._walk.pieces or any(counts.values()))
        )

    def _index(self) -> dict[int, int]:
        """Messages by channel, as the indexes have them together."""
        found = Counter(self._walk.loose)
        for piece in self._walk.pieces:
            if piece.counts:
                for number, count in piece.counts.items():
                    found[number] += count
        return found

    def _by_topic(self, counts: Mapping[int, int]) -> dict[str, int]:
        found: Counter[str] = Counter()
        for number, count in counts.items():
            if number in self._walk.definitions.channels:
                found[self._walk.definitions.channels[number].topic] += count
        return found

    def _count(self) -> dict[int, int]:
        """Read it all once; what there is."""
        found = Counter(self._walk.loose)
        for piece in self._walk.pieces:
            if piece.is_chunk:
                content = self._content(piece)
                for operation, start, _ in self._records(piece, content):
                    if operation == mcap.MESSAGE:
                        found[mcap.MESSAGE_START.unpack_from(content, start)[0]] += 1
        unknown = sum(count for number, count in found.items() if number not in self._walk.definitions.channels)
        if unknown:
            self.flaw(Flaw(f"{unknown:,} messages belong to no channel that it has", announced=unknown, read=0))
        return found

    def _compare(self, summary: Summary) -> None:
        """Note chunks that are announced and not there."""
        there = {piece.position for piece in self._walk.pieces if piece.is_chunk}
        missing = {position: channels for position, channels in summary.chunks.items() if position not in there}
        for position, channels in missing.items():
            self.flaw(
                Flaw(f"there is no chunk at byte {position:,}, where its index has one", self._walk.topics(channels))
            )
        if not missing and summary.message_counts is not None and summary.chunk_count > len(there):
            self.flaw(Flaw(f"it announces {summary.chunk_count:,} chunks and has {len(there):,}"))

    def _resolve(self) -> None:
        """The channels, each with its type."""
        definitions = self._walk.definitions
        self._by_number: dict[int, Channel] = {}
        for number, record in definitions.channels.items():
            schema = definitions.schemas.get(record.schema, Schema("", "", ""))
            # What the summary says once counts, whatever a damaged chunk says.
            kind = "" if number in definitions.twofold and not self._from_summary else schema.name
            channel = named(
                record.topic, kind, record.encoding, definition=schema.definition, definition_format=schema.encoding
            )
            if channel is not None:
                self._by_number[number] = channel
        self.channels = list(dict.fromkeys(self._by_number.values()))
        strange = len(definitions.channels) - len(self._by_number)
        if strange:
            self.notes.append(f"{strange:,} of its channels have names that no topic of ROS has, and are left out")

    # -- from pieces to messages

    def messages(self, topics: Collection[str]) -> Iterator[Stored]:
        wanted = frozenset(n for n, c in self._by_number.items() if c.topic in topics and c.kind and c.encoding == CDR)
        # An index that has as many messages as the statistics is believed where it says that a chunk has none of these.
        pieces = [
            piece
            for piece in self._walk.pieces
            if not self._index_is_whole or piece.counts is None or not wanted.isdisjoint(piece.counts)
        ]
        channels = self._by_number
        for time_ns, number, data in in_order(pieces, lambda piece: self._load(piece, wanted)):
            yield time_ns, channels[number], data

    def _load(self, piece: Piece, wanted: frozenset[int]) -> Run:
        """The messages of these channels in a piece."""
        content = self._content(piece)
        run, beyond, unpack = Run(content), 0, mcap.MESSAGE_START.unpack_from
        first_ns = piece.first_ns
        for operation, start, stop in self._records(piece, content):
            if operation == mcap.MESSAGE:
                number, _, time_ns, _ = unpack(content, start)
                if number in wanted:
                    if time_ns > MOST_RECEIVED_NS:
                        beyond += 1
                        continue
                    first_ns = min(first_ns, time_ns)
                    run.add(time_ns, number, start + mcap.MESSAGE_START.size, stop)
        where = f"{'the chunk' if piece.is_chunk else 'what lies'} at byte {piece.position:,}"
        if beyond:
            self.flaw(
                Flaw(
                    f"{beyond:,} messages of {where} were recorded beyond all time, and are left out",
                    read=0,
                    announced=beyond,
                )
            )
        if first_ns < piece.first_ns:
            self.flaw(Flaw(f"{where} begins before it says so: its messages come too late", whatever=True))
        return run

    def _content(self, piece: Piece) -> bytes:
        """The records of a piece, one after another; nothing where they are damaged."""
        file, position = self._file, piece.position
        if not piece.is_chunk:
            return file.read(position, piece.end - position)
        head = mcap.chunk_head(file, position)
        try:
            if head is None:
                raise ExpandError("it has changed")
            if max(head.expanded_bytes, head.data_end - head.data_start) > MOST_CHUNK_BYTES:
                raise ExpandError(f"it announces {head.expanded_bytes:,} bytes, more than {MOST_CHUNK_BYTES:,}")
            data = file.read(head.data_start, head.data_end - head.data_start)
            content = expand(data, head.compression, head.expanded_bytes)
            if len(content) != head.expanded_bytes:
                raise ExpandError(f"it has {len(content):,} of the {head.expanded_bytes:,} bytes that it announces")
            if head.checksum and zlib.crc32(content) != head.checksum:
                raise ExpandError("it does not have the checksum that it announces")
        except (ExpandError, OSError) as error:
            said = f"the chunk at byte {position:,} cannot be used: {reason(error)}"
            counts = piece.counts or {}
            self.flaw(Flaw(said, self._walk.topics(counts), sum(counts.values()) or None, 0 if counts else None))
            return b""
        return content

    def _records(self, piece: Piece, content: bytes) -> Iterator[tuple[int, int, int]]:
        """(operation, start, end) of the content of each whole record of a piece; definitions are taken in."""
        position, size, record, head_bytes = 0, len(content), mcap.RECORD.unpack_from, mcap.RECORD.size
        while position + head_bytes <= size:
            operation, length = record(content, position)
            start = position + head_bytes
            position = start + length
            if position > size or not operation or (operation == mcap.MESSAGE and length < mcap.MESSAGE_START.size):
                position = start - head_bytes
                break
            if operation in (mcap.SCHEMA, mcap.CHANNEL):
                self._walk.define(operation, content[start:position])
            yield operation, start, position
        if position != size:
            where = f"{'the chunk' if piece.is_chunk else 'what lies'} at byte {piece.position:,}"
            self.flaw(
                Flaw(f"{where} cannot be used from its byte {position:,} on", self._walk.topics(piece.counts or {}))
            )
