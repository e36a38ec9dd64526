"""Reads an mcap file: everything in it that is whole, in the order of time, whether or not it has an index, chunks, or
an end, as recorders of all kinds and killed ones leave it.

Its records are walked through once, from head to head. What the file announces of itself (index, statistics, checksums)
is nowhere trusted to find messages by, only compared with what is found. It knows channels and times, not what messages
mean.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from vjepa_ros.recordings import mcap_records as mcap
from vjepa_ros.recordings.expanding import ExpandError, expand
from vjepa_ros.recordings.mcap_records import Definitions
from vjepa_ros.recordings.merging import Run, in_order
from vjepa_ros.recordings.storage import (
    CDR,
    MOST_MESSAGE_BYTES,
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
MOST_PIECES = 2**22
"""Chunks, and entries of their indexes; a recording of a day has some ten thousand."""
_STRETCH_BYTES = 2**20  # of records outside of chunks, that are read at once
_DATA_END_BYTES = mcap.RECORD.size + 4
_MOST_DEFINITION_BYTES = 2**24
_OPENING_BYTES = mcap.RECORD.size + mcap.MESSAGE_START.size


@dataclass
class _Piece:
    """A chunk, or a stretch of records outside of chunks.

    Attributes:
        first_ns, position, end: no message is older, as far as it says; where it lies in the file.
        is_chunk: whether it is one.
        counts: messages by channel, as the index behind a chunk has them; None without one.
    """

    first_ns: int
    position: int
    end: int
    is_chunk: bool
    counts: dict[int, int] | None = None


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
        self._definitions = Definitions()
        self._pieces: list[_Piece] = []
        self._indexed = 0  # entries of all indexes
        self._loose: Counter[int] = Counter()  # messages outside of chunks, by channel
        self._newest: int | None = None  # channel of the newest of those
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
        end = mcap.footer(file)
        summary = None if end is None else mcap.read_summary(file, *end)
        if summary is not None:
            self._definitions = summary.definitions
            self._from_summary = bool(summary.definitions.channels)
        elif end is not None:
            self.flaw(Flaw("what it announces of itself is damaged", frozenset()))
        self._walk(end)
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
        known = self._definitions.channels
        return (
            set(counts) <= set(known)
            and set(self._index()) <= set(counts)
            and (not self._pieces or any(counts.values()))
        )

    def _index(self) -> dict[int, int]:
        """Messages by channel, as the indexes have them together."""
        found = Counter(self._loose)
        for piece in self._pieces:
            if piece.counts:
                for number, count in piece.counts.items():
                    found[number] += count
        return found

    def _by_topic(self, counts: Mapping[int, int]) -> dict[str, int]:
        found: Counter[str] = Counter()
        for number, count in counts.items():
            if number in self._definitions.channels:
                found[self._definitions.channels[number].topic] += count
        return found

    def _count(self) -> dict[int, int]:
        """Read it all once; what there is."""
        found = Counter(self._loose)
        for piece in self._pieces:
            if piece.is_chunk:
                content = self._content(piece)
                for operation, start, _ in self._records(piece, content):
                    if operation == mcap.MESSAGE:
                        found[mcap.MESSAGE_START.unpack_from(content, start)[0]] += 1
        unknown = sum(count for number, count in found.items() if number not in self._definitions.channels)
        if unknown:
            self.flaw(Flaw(f"{unknown:,} messages belong to no channel that it has", announced=unknown, read=0))
        return found

    def _compare(self, summary: mcap.Summary) -> None:
        """Note chunks that are announced and not there."""
        there = {piece.position for piece in self._pieces if piece.is_chunk}
        missing = {position: channels for position, channels in summary.chunks.items() if position not in there}
        for position, channels in missing.items():
            self.flaw(Flaw(f"there is no chunk at byte {position:,}, where its index has one", self._topics(channels)))
        if not missing and summary.message_counts is not None and summary.chunk_count > len(there):
            self.flaw(Flaw(f"it announces {summary.chunk_count:,} chunks and has {len(there):,}"))

    def _topics(self, channels: Collection[int]) -> frozenset[str] | None:
        """Their names; None where one is not known."""
        known = self._definitions.channels
        return frozenset(known[n].topic for n in channels) if channels and all(n in known for n in channels) else None

    def _resolve(self) -> None:
        """The channels, each with its type."""
        definitions = self._definitions
        self._by_number: dict[int, Channel] = {}
        for number, record in definitions.channels.items():
            schema = definitions.schemas.get(record.schema, mcap.Schema("", "", ""))
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

    # -- from record to record

    def _walk(self, footer: tuple[int, int, int] | None) -> None:
        """Find the pieces.

        Args:
            footer: where it has the end of the messages, and where it lies; None for a file that was not closed.
        """
        file = self._file
        data_end, end = (None, file.size) if footer is None else footer[:2]
        position = before = len(mcap.MAGIC)
        closed = False
        while position < end:
            operation, stop = file.record(position)
            if operation == mcap.DATA_END and stop - position == _DATA_END_BYTES:
                closed = stop == data_end or (data_end is None and self._search(stop, end) is None)
                if closed:
                    break
            if operation and stop <= end and self._take(operation, position, stop):
                # A chunk is what it says, whatever comes behind it; another record may be too long to be true.
                before = stop - mcap.RECORD.size if operation == mcap.CHUNK else position
                position = stop
                continue
            found = self._search(min(before + mcap.RECORD.size, position + 1), end)
            if found is None:
                break
            self._withdraw(before, found)
            self.flaw(Flaw(f"from byte {min(position, found):,} to {max(position, found):,} it cannot be read"))
            before = position = found
        if footer is None:
            self._cut_off(position, closed)
        elif not closed and position < end:
            self.flaw(Flaw(f"from byte {position:,} to {end:,} it cannot be read"))
        elif closed and self._loose:
            self._check_data(position)

    def _search(self, start: int, end: int) -> int | None:
        return mcap.search(self._file, start, end, self._definitions.channels)

    def _take(self, operation: int, position: int, stop: int) -> bool:
        """Take in a record; whether it can be what it says."""
        file = self._file
        self._newest = None
        if operation == mcap.MESSAGE:
            if stop - position < _OPENING_BYTES:
                return False
            window, offset = file.near(position)
            channel, _, time_ns, _ = mcap.MESSAGE_START.unpack_from(window, offset + mcap.RECORD.size)
            self._newest = channel
            self._stretch(position, stop, time_ns, channel)
        elif operation in (mcap.SCHEMA, mcap.CHANNEL):
            start = position + mcap.RECORD.size
            self._define(operation, file.read(start, min(stop - start, _MOST_DEFINITION_BYTES)))
        elif operation == mcap.CHUNK:
            head = mcap.chunk_head(file, position)
            if head is None:
                return False
            self._add(_Piece(head.first_ns, position, stop, is_chunk=True))
        elif operation == mcap.MESSAGE_INDEX and self._pieces and self._pieces[-1].is_chunk:
            piece = self._pieces[-1]
            channel, count = mcap.message_index(file, position, stop)
            if piece.counts is None:
                piece.counts = {}
            if count:
                piece.counts[channel] = piece.counts.get(channel, 0) + count
                self._indexed += 1
        return True

    def _define(self, operation: int, content: bytes) -> None:
        twofold = self._definitions.add(operation, content)
        if twofold:
            topics = self._topics(twofold)
            self.flaw(Flaw("one number stands for two channels or types in it", topics, whatever=True))

    def _add(self, piece: _Piece) -> None:
        if len(self._pieces) + self._indexed > MOST_PIECES:
            raise Unreadable(f"it has more than {MOST_PIECES:,} chunks and entries of indexes")
        self._pieces.append(piece)

    def _stretch(self, position: int, stop: int, time_ns: int, channel: int) -> None:
        """Add a message outside of chunks to the stretch that ends there, or begin one."""
        if stop - position > MOST_MESSAGE_BYTES:
            self.flaw(Flaw(f"the message at byte {position:,} is larger than {MOST_MESSAGE_BYTES:,} bytes"))
            return
        self._loose[channel] += 1
        last = self._pieces[-1] if self._pieces else None
        if last and not last.is_chunk and last.end == position and position - last.position < _STRETCH_BYTES:
            last.end, last.first_ns = stop, min(last.first_ns, time_ns)
        else:
            self._add(_Piece(time_ns, position, stop, is_chunk=False))

    def _withdraw(self, before: int, found: int) -> None:
        """Do without the newest record, that at ``before``, if another one was found inside of it."""
        last = self._pieces[-1] if self._pieces else None
        if last and last.end > found and not last.is_chunk and self._newest is not None:
            self._loose[self._newest] -= 1
            last.end = before

    def _cut_off(self, position: int, closed: bool) -> None:
        """Say how much of a file without an end is used; of an uncompressed chunk that was cut, what is whole."""
        if closed:
            position += _DATA_END_BYTES
        else:
            inner = mcap.plain_inside(self._file, position)
            while inner is not None:
                operation, stop = self._file.record(inner)
                if not operation or not self._take(operation, inner, stop):
                    break
                position = inner = stop
        total = f"{self._size_of}{self._file.size:,}"
        said = f"was cut off; the first {position:,} of its {total} bytes are whole and are used"
        # What is behind the end of the messages announces them, and is none.
        self.flaw(Flaw(said, frozenset() if closed else None))

    def _check_data(self, end: int) -> None:
        """Compare the checksum over messages outside of chunks, which have no other."""
        checksum = int.from_bytes(self._file.read(end + mcap.RECORD.size, 4), "little")
        found, position = 0, 0
        while checksum and position < end:
            block = self._file.read(position, min(_STRETCH_BYTES, end - position))
            found, position = zlib.crc32(block, found), position + (len(block) or end)
        if found != checksum:
            self.flaw(Flaw("what is in it does not have the checksum that it announces", whatever=True))

    # -- from pieces to messages

    def messages(self, topics: Collection[str]) -> Iterator[Stored]:
        wanted = frozenset(n for n, c in self._by_number.items() if c.topic in topics and c.kind and c.encoding == CDR)
        # An index that has as many messages as the statistics is believed where it says that a chunk has none of these.
        pieces = [
            piece
            for piece in self._pieces
            if not self._index_is_whole or piece.counts is None or not wanted.isdisjoint(piece.counts)
        ]
        channels = self._by_number
        for time_ns, number, data in in_order(pieces, lambda piece: self._load(piece, wanted)):
            yield time_ns, channels[number], data

    def _load(self, piece: _Piece, wanted: frozenset[int]) -> Run:
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

    def _content(self, piece: _Piece) -> bytes:
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
            self.flaw(Flaw(said, self._topics(counts), sum(counts.values()) or None, 0 if counts else None))
            return b""
        return content

    def _records(self, piece: _Piece, content: bytes) -> Iterator[tuple[int, int, int]]:
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
                self._define(operation, content[start:position])
            yield operation, start, position
        if position != size:
            where = f"{'the chunk' if piece.is_chunk else 'what lies'} at byte {piece.position:,}"
            self.flaw(Flaw(f"{where} cannot be used from its byte {position:,} on", self._topics(piece.counts or {})))
