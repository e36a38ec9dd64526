"""Walks through the records of an mcap file once, from head to head, and finds the pieces that hold its messages:
chunks, and stretches of messages outside of them; also of a file that was cut, or is damaged in between.

It reads no message, and decompresses nothing.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass

from vjepa_ros.recordings import mcap_records as mcap
from vjepa_ros.recordings.mcap_summary import Definitions
from vjepa_ros.recordings.storage import MOST_MESSAGE_BYTES, Flaw, Unreadable

MOST_PIECES = 2**22
"""Chunks, and entries of their indexes; a recording of a day has some ten thousand."""
_STRETCH_BYTES = 2**20  # of records outside of chunks, that are read at once
_DATA_END_BYTES = mcap.RECORD.size + 4
_MOST_DEFINITION_BYTES = 2**24
_OPENING_BYTES = mcap.RECORD.size + mcap.MESSAGE_START.size


@dataclass
class Piece:
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


class Walk:
    """Finds the pieces of a file.

    Args:
        file: the file.
        definitions: types and channels that are known already; more are added.
        size_of: what its size is of, if not of the file that people know: ``decompressed ``.
        flaw: is told what is wrong.

    Attributes:
        pieces: in the order of the file.
        loose: messages outside of chunks, by channel.
        definitions: types and channels.

    Raises:
        Unreadable: by ``walk``, for a file of more pieces than one can have.
    """

    def __init__(self, file: mcap.File, definitions: Definitions, size_of: str, flaw: Callable[[Flaw], None]) -> None:
        self.pieces: list[Piece] = []
        self.loose: Counter[int] = Counter()
        self.definitions = definitions
        self._file = file
        self._size_of = size_of
        self._flaw = flaw
        self._indexed = 0  # entries of all indexes
        self._newest: int | None = None  # channel of the newest message outside of chunks

    def topics(self, channels: Collection[int]) -> frozenset[str] | None:
        """Their names; None where one is not known."""
        known = self.definitions.channels
        return frozenset(known[n].topic for n in channels) if channels and all(n in known for n in channels) else None

    def walk(self, footer: tuple[int, int, int] | None) -> None:
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
            self._flaw(Flaw(f"from byte {min(position, found):,} to {max(position, found):,} it cannot be read"))
            before = position = found
        if footer is None:
            self._cut_off(position, closed)
        elif position < end and not closed:
            # With the checksum over messages outside of chunks.
            self._flaw(Flaw(f"from byte {position:,} to {end:,} it cannot be read", whatever=bool(self.loose)))
        elif not closed:
            self._flaw(Flaw("its messages have no end where it announces one", whatever=bool(self.loose)))
        if closed and self.loose:
            self._check_data(position)

    def _search(self, start: int, end: int) -> int | None:
        return mcap.search(self._file, start, end, self.definitions.channels)

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
            self.define(operation, file.read(start, min(stop - start, _MOST_DEFINITION_BYTES)))
        elif operation == mcap.CHUNK:
            head = mcap.chunk_head(file, position)
            if head is None:
                return False
            self._add(Piece(head.first_ns, position, stop, is_chunk=True))
        elif operation == mcap.MESSAGE_INDEX and self.pieces and self.pieces[-1].is_chunk:
            piece = self.pieces[-1]
            channel, count = mcap.message_index(file, position, stop)
            if piece.counts is None:
                piece.counts = {}
            if count:
                piece.counts[channel] = piece.counts.get(channel, 0) + count
                self._indexed += 1
        return True

    def define(self, operation: int, content: bytes) -> None:
        twofold = self.definitions.add(operation, content)
        if twofold:
            topics = self.topics(twofold)
            self._flaw(Flaw("one number stands for two channels or types in it", topics, whatever=True))

    def _add(self, piece: Piece) -> None:
        if len(self.pieces) + self._indexed > MOST_PIECES:
            raise Unreadable(f"it has more than {MOST_PIECES:,} chunks and entries of indexes")
        self.pieces.append(piece)

    def _stretch(self, position: int, stop: int, time_ns: int, channel: int) -> None:
        """Add a message outside of chunks to the stretch that ends there, or begin one."""
        if stop - position > MOST_MESSAGE_BYTES:
            self._flaw(Flaw(f"the message at byte {position:,} is larger than {MOST_MESSAGE_BYTES:,} bytes"))
            return
        self.loose[channel] += 1
        last = self.pieces[-1] if self.pieces else None
        if last and not last.is_chunk and last.end == position and position - last.position < _STRETCH_BYTES:
            last.end, last.first_ns = stop, min(last.first_ns, time_ns)
        else:
            self._add(Piece(time_ns, position, stop, is_chunk=False))

    def _withdraw(self, before: int, found: int) -> None:
        """Do without the newest record, that at ``before``, if another one was found inside of it."""
        last = self.pieces[-1] if self.pieces else None
        if last and last.end > found and not last.is_chunk and self._newest is not None:
            self.loose[self._newest] -= 1
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
        self._flaw(Flaw(said, frozenset() if closed else None))

    def _check_data(self, end: int) -> None:
        """Compare the checksum over messages outside of chunks, which have no other."""
        checksum = int.from_bytes(self._file.read(end + mcap.RECORD.size, 4), "little")
        found, position = 0, 0
        while checksum and position < end:
            block = self._file.read(position, min(_STRETCH_BYTES, end - position))
            found, position = zlib.crc32(block, found), position + (len(block) or end)
        if found != checksum:
            self._flaw(Flaw("what is in it does not have the checksum that it announces", whatever=True))
