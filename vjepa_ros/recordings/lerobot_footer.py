"""What a parquet file announces of each of its column chunks: rows, values, bytes.

pyarrow would say it too, but ends the process over some damaged statistics while it does. So the description at the end
of the file, in Thrift's compact form, is walked through here, as far as these numbers. It knows no pyarrow.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from vjepa_ros.recordings.storage import Unreadable

MOST_BYTES = 16 * 2**20
_MAGIC = b"PAR1"
_DEEPEST = 16
_MOST_DIGITS = 10  # bytes of a whole number of 64 bits
# Numbers of fields: of the file, a group of rows, a chunk, what is said of it.
_GROUPS, _CHUNKS, _ROWS, _DETAILS, _PATH, _VALUES, _BYTES = 4, 1, 3, 3, 3, 5, 6


@dataclass(frozen=True)
class Chunk:
    """A column's part of a group of rows.

    Attributes:
        path: of the column, with dots.
        rows, values, bytes: how many it announces; bytes before they are compressed.
    """

    path: str
    rows: int
    values: int
    bytes: int


def chunks(file: BinaryIO) -> list[Chunk]:
    """All of them.

    Raises:
        Unreadable: where there is no such description.
        OSError: where the file cannot be read.
    """
    size = file.seek(0, 2)
    if size < 12:
        raise Unreadable("is no parquet table that can be read: it has no end")
    file.seek(size - 8)
    length, magic = struct.unpack("<I4s", file.read(8))
    if magic != _MAGIC or length > min(MOST_BYTES, size - 8):
        raise Unreadable("is no parquet table that can be read: it has no end, or one that is too long")
    file.seek(size - 8 - length)
    try:
        return list(_found(_Compact(file.read(length)).structure(0)))
    except (IndexError, KeyError, TypeError, ValueError, AttributeError, struct.error) as error:
        raise Unreadable("is no parquet table that can be read: what it says of itself is damaged") from error


def _found(description: dict[int, Any]) -> Iterator[Chunk]:
    for group in description[_GROUPS]:
        for chunk in group[_CHUNKS]:
            details = chunk[_DETAILS]
            path = b".".join(details[_PATH]).decode("utf-8", "replace")
            yield Chunk(path, int(group[_ROWS]), int(details[_VALUES]), int(details[_BYTES]))


class _Compact:
    """Thrift's compact protocol: structures as dictionaries by the numbers of their fields."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _count(self) -> int:
        value = 0
        for place in range(_MOST_DIGITS):
            byte = self._byte()
            value |= (byte & 0x7F) << (7 * place)
            if byte < 0x80:
                return value
        raise ValueError

    def _take(self, count: int) -> bytes:
        if count > len(self._data) - self._at:
            raise ValueError
        self._at += count
        return self._data[self._at - count : self._at]

    def structure(self, depth: int) -> dict[int, Any]:
        """The one that begins here."""
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            kind, step = head & 0x0F, head >> 4
            number = number + step if step else self._signed()
            # Of a field, the kind is the value of a truth.
            fields[number] = kind == 1 if kind in (1, 2) else self._value(kind, depth + 1)
        return fields

    def _signed(self) -> int:
        value = self._count()
        return (value >> 1) ^ -(value & 1)

    def _value(self, kind: int, depth: int) -> Any:
        if depth > _DEEPEST:
            raise ValueError
        if kind in (1, 2, 3):
            return self._byte()
        if kind in (4, 5, 6):
            return self._signed()
        if kind == 7:
            return self._take(8)
        if kind == 8:
            return self._take(self._count())
        if kind in (9, 10):
            head = self._byte()
            count = head >> 4 if head >> 4 < 15 else self._count()
            return [self._value(head & 0x0F, depth + 1) for _ in range(count)]  # each takes a byte at least
        if kind == 12:
            return self.structure(depth)
        raise ValueError  # maps and sets of maps: there are none in a parquet file
