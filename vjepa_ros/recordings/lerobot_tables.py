"""Reads parquet tables of a LeRobotDataset batch by batch: columns by name, row after row, within bounds.

It knows pyarrow and what a column holds, not what a row is for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from vjepa_ros import documents
from vjepa_ros.errors import quoted
from vjepa_ros.recordings import lerobot_footer
from vjepa_ros.recordings.storage import Unreadable, reason

MOST_ROWS = 10**8
MOST_COLUMNS = 20_000  # statistics of every feature are columns of the episodes' tables
_ROWS_AT_ONCE = 1024
_PICTURES_AT_ONCE = 8
_BUFFER_BYTES = 2**20
_PICTURE_BYTES = 32 * 2**20  # of a row, on average; as many as the default of images.max_file_bytes
_NUMBER_BYTES, _SLACK_BYTES = 24, 2**20  # with what says where lists begin; dictionaries
_THRIFT_BYTES, _THRIFT_ENTRIES = 64 * 2**20, 2**20
_MOST_WHOLE = 2.0**53  # as a float
ERRORS = (pa.ArrowException, OSError, ValueError, KeyError, IndexError, OverflowError, MemoryError, UnicodeDecodeError)
"""What reading a damaged table may raise."""


class Table:
    """A parquet file.

    Args:
        file: the open file.

    Attributes:
        rows: how many rows it says that it has.

    Raises:
        Unreadable: for a file that is no such table, or claims to be larger than any.
    """

    def __init__(self, file: Any) -> None:
        try:
            self._chunks = lerobot_footer.chunks(file)
            file.seek(0)
            self._file = pq.ParquetFile(
                file, buffer_size=_BUFFER_BYTES, pre_buffer=False,
                thrift_string_size_limit=_THRIFT_BYTES, thrift_container_size_limit=_THRIFT_ENTRIES,
            )  # fmt: skip
            self._schema = self._file.schema_arrow
            self.rows = int(self._file.metadata.num_rows)
            columns = int(self._file.metadata.num_columns)
        except ERRORS as error:
            raise Unreadable(f"is no parquet table that can be read: {reason(error)}") from error
        if not 0 <= self.rows <= MOST_ROWS or columns > MOST_COLUMNS:
            raise Unreadable(f"claims {self.rows:,} rows of {columns:,} columns")

    def has(self, name: str) -> bool:
        """Whether there is exactly one column of this name."""
        return len(self._schema.get_all_field_indices(name)) == 1

    def require(self, columns: Mapping[str, int | None]) -> None:
        """Refuse columns that are not there, or hold something else than is asked for.

        Args:
            columns: how many numbers a row of each has, by name; 0 for one whole number, None for a picture.

        Raises:
            Unreadable: naming the column.
        """
        for name, width in columns.items():
            if not self.has(name):
                raise Unreadable(f"has no column {name}, or two of them")
            kind = self._schema.field(name).type
            if width is None:
                fits = _is_picture(kind)
            elif width == 0:
                fits = pa.types.is_integer(kind)
            else:
                fits = _is_number(kind) if width == 1 and not _is_list(kind) else _is_list_of_numbers(kind)
            if not fits:
                raise Unreadable(f"its column {name} is of type {quoted(str(kind))}")
        self._require_sizes(columns)

    def _require_sizes(self, columns: Mapping[str, int | None]) -> None:
        """Refuse more than rows have room for, as far as it is announced: a few bytes can stand for billions."""
        owners: dict[str, str] = {}
        for chunk in self._chunks:
            if chunk.path not in owners:
                owners[chunk.path] = self._owner(chunk.path)
            name = owners[chunk.path]
            if name not in columns:
                continue
            width = columns[name]
            each = _PICTURE_BYTES if width is None else _NUMBER_BYTES * max(width, 1)
            if chunk.values > chunk.rows * max(width or 1, 1) or chunk.bytes > chunk.rows * each + _SLACK_BYTES:
                claimed = f"{chunk.values:,} values, {chunk.bytes:,} bytes, in {chunk.rows:,} rows"
                raise Unreadable(f"its column {name} claims {claimed}")

    def _owner(self, path: str) -> str:
        """The column that a path of the file belongs to; names have dots in them too."""
        return max((name for name in self._schema.names if f"{path}.".startswith(f"{name}.")), key=len, default="")

    def batches(self, columns: Sequence[str], pictures: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
        """Arrays of pyarrow's by column, batch by batch: of each picture its bytes.

        Raises:
            Unreadable: where the table is damaged; the batches before it were given.
        """
        size = _PICTURES_AT_ONCE if pictures else _ROWS_AT_ONCE
        wanted = [*columns, *pictures]
        try:
            for batch in self._file.iter_batches(batch_size=size, columns=wanted, use_threads=False):
                found = {name: batch.column(name) for name in columns}
                for name in pictures:
                    column = batch.column(name)
                    found[name] = column.field("bytes") if pa.types.is_struct(column.type) else column
                yield found
        except ERRORS as error:
            raise Unreadable(f"is damaged: {reason(error)}") from error


@contextmanager
def opened(path: Path) -> Iterator[Table]:
    """A table, closed at the end.

    Raises:
        Unreadable: for a file that is not there, is no file, or no such table.
    """
    try:
        file = documents.open_regular(path)
    except documents.Unreadable as error:
        raise Unreadable(str(error)) from error
    with file:
        yield Table(file)


def whole_numbers(column: Any) -> NDArray[np.int64]:
    """A column of whole numbers, also where they are written as floats, as pandas does beside missing ones; -1 where
    there is none.

    Raises:
        Unreadable: where they are no numbers of 64 bits.
    """
    if pa.types.is_floating(column.type):
        values = numbers(column)
        return np.where(np.abs(values) < _MOST_WHOLE, values, -1.0).astype(np.int64)
    return np.asarray(_cast(column, pa.int64(), -1), np.int64)


def numbers(column: Any) -> NDArray[np.float64]:
    """A column of numbers; NaN where there is none.

    Raises:
        Unreadable: where they are something else.
    """
    return np.asarray(_cast(column, pa.float64(), math.nan), np.float64)


def _cast(column: Any, kind: Any, nothing: float) -> Any:
    try:
        return column.cast(kind).fill_null(nothing).to_numpy(zero_copy_only=False)
    except ERRORS as error:
        raise Unreadable("has numbers that cannot be used") from error


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def _is_list(kind: Any) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_list_of_numbers(kind: Any) -> bool:
    return _is_list(kind) and _is_number(kind.value_type)


def _is_bytes(kind: Any) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_picture(kind: Any) -> bool:
    if not pa.types.is_struct(kind):
        return _is_bytes(kind)
    index = kind.get_field_index("bytes")
    return index >= 0 and _is_bytes(kind.field(index).type)
