"""Windows as rows of a Parquet table: how they are written, and read again.

One row is one window: numbers as they are, arrays as lists of a fixed size, flattened, latents rounded to float16.
Their shapes, ``latent_info`` and where the rows come from stand in the table's metadata under ``vjepa_ros``. It knows
forecasts and pyarrow, not where a table lies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from vjepa_ros import files
from vjepa_ros.documents import Unreadable, from_json, to_json
from vjepa_ros.errors import BagError, place
from vjepa_ros.forecast.outcome import Outcome
from vjepa_ros.forecast.prediction_error import PredictionError

LATENTS = ("forecast", "context", "summary")
METADATA = b"vjepa_ros"
_GROUP_BYTES = 16 * 2**20  # of rows that are held, and written or read as one
_PLAIN = {
    "epoch": pa.int64(), "window": pa.int64(), "stamp_ns": pa.int64(), "late": pa.int64(), "held": pa.int64(),
    "prediction_error": pa.float32(), "no_change_error": pa.float32(), "error_steps": pa.int64(),
    "bag_hash": pa.string(), "info_id": pa.string(),
}  # fmt: skip
_ARRAYS: dict[str, np.dtype[Any]] = {
    "frame_stamps_ns": np.dtype(np.int64), "step_stamps_ns": np.dtype(np.int64), "actions": np.dtype(np.float64),
    "states": np.dtype(np.float64), "future_actions": np.dtype(np.float64), "forecast": np.dtype(np.float16),
    "context": np.dtype(np.float16), "summary": np.dtype(np.float16),
}  # fmt: skip
_ERRORS = (pa.ArrowException, OSError, ValueError, KeyError, TypeError, AttributeError)


@dataclass(frozen=True)
class Row:
    """A window as a table has it.

    Attributes:
        epoch, number: of the window.
        stamp_ns: of the newest frame, as its message has it.
        frame_stamps_ns, step_stamps_ns: (N,) and (T',) int64, on the clock of the joints.
        actions, states: (T', A) and (T', S) float64, before normalisation by mean and standard deviation.
        forecast: (steps, H', W', D) float16, what would be published of the window.
        context: (c, H', W', D) float16, the encoder's latents of its newest c steps; c may be 0.
        prediction_error, no_change_error: how far an earlier forecast was from the newest step, and how far expecting
            no change; None where there was none.
    """

    epoch: int
    number: int
    stamp_ns: int
    frame_stamps_ns: NDArray[np.int64]
    step_stamps_ns: NDArray[np.int64]
    actions: NDArray[np.float64]
    states: NDArray[np.float64]
    forecast: NDArray[np.float16]
    context: NDArray[np.float16]
    prediction_error: float | None
    no_change_error: float | None


class Writer:
    """Writes a table; without any row there is none.

    Args:
        path: the file to make.
        about: what goes into its metadata: values that JSON has.
        bag_hash, info_id: of every row.
        kept_steps: how many steps of the context are kept, the newest ones; None for all.

    Attributes:
        rows: so many came.

    Raises:
        OSError: by every method, where the disk is full or fails; it names the file.
    """

    def __init__(
        self, path: Path, about: Mapping[str, Any], bag_hash: str, info_id: str, kept_steps: int | None
    ) -> None:
        self._path = path
        self._about = dict(about)
        self._same = {"bag_hash": bag_hash, "info_id": info_id}
        self._kept = kept_steps
        self._columns: dict[str, list[Any]] = {name: [] for name in (*_PLAIN, *_ARRAYS)}
        self._bytes = self.rows = 0
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._file: Any = None
        self._writer: Any = None

    def add(self, outcome: Outcome, error: PredictionError | None) -> None:
        """Take in a window with what the model says of it."""
        window, forecast = outcome.window, outcome.forecast
        assert forecast.context is not None, "it was asked for"
        first = 0 if self._kept is None else max(len(forecast.context) - self._kept, 0)
        values: dict[str, Any] = {
            "epoch": window.epoch, "window": window.number, "stamp_ns": window.stamp_ns, "late": window.late,
            "held": window.held, "prediction_error": error and error.error,
            "no_change_error": error and error.no_change, "error_steps": error and error.ahead, **self._same,
            "frame_stamps_ns": [frame.stamp_ns for frame in window.frames], "step_stamps_ns": window.step_stamps_ns,
            "actions": window.actions.values, "states": window.states.values, "future_actions": window.future.values,
            "forecast": forecast.predicted, "context": forecast.context[first:],
            "summary": forecast.context[-1].mean(axis=(0, 1), dtype=np.float32),
        }  # fmt: skip
        for name, dtype in _ARRAYS.items():
            values[name] = np.ascontiguousarray(values[name], dtype)
            self._shapes.setdefault(name, values[name].shape)
            self._bytes += values[name].nbytes
        for name, value in values.items():
            self._columns[name].append(value)
        self.rows += 1
        if self._bytes >= _GROUP_BYTES:
            self._write()

    def close(self) -> None:
        """Write what is left."""
        if self._columns["epoch"]:
            self._write()
        if self._writer is not None:
            with files.naming(self._path):
                self._writer.close()
                self._file.close()

    def abort(self) -> None:
        """Leave it as it is: it will be removed. What was closed stays whole."""
        if self._file is not None and not self._file.closed:
            self._file.close()

    def _write(self) -> None:
        arrays = [pa.array(self._columns[name], kind) for name, kind in _PLAIN.items()]
        for name, dtype in _ARRAYS.items():
            flat = np.concatenate([value.reshape(-1) for value in self._columns[name]])
            size = int(np.prod(self._shapes[name]))
            arrays.append(pa.FixedSizeListArray.from_arrays(pa.array(flat, pa.from_numpy_dtype(dtype)), size)
                          if size else pa.array([[]] * len(self._columns[name]), _list_of(dtype, 0)))  # fmt: skip
        names = [*_PLAIN, *_ARRAYS]
        table = pa.Table.from_arrays(arrays, schema=self._schema())
        with files.naming(self._path):
            if self._writer is None:
                self._file = self._path.open("wb")
                # Latents are noise to a compressor and a dictionary: both would cost time and save nothing.
                compression = {**dict.fromkeys(names, "zstd"), **dict.fromkeys(LATENTS, "none")}
                dictionary = [name for name, kind in _PLAIN.items() if kind == pa.string()]
                self._writer = pq.ParquetWriter(
                    self._file, table.schema, use_dictionary=dictionary, write_statistics=[*_PLAIN],
                    compression=_by_path(table.schema, compression),
                )  # fmt: skip
            self._writer.write_table(table)
        for values in self._columns.values():
            values.clear()
        self._bytes = 0

    def _schema(self) -> Any:
        fields = [pa.field(name, kind) for name, kind in _PLAIN.items()]
        fields += [pa.field(name, _list_of(dtype, int(np.prod(self._shapes[name])))) for name, dtype in _ARRAYS.items()]
        about = {**self._about, "shapes": {name: list(shape) for name, shape in self._shapes.items()}}
        return pa.schema(fields, metadata={METADATA: to_json(about).encode()})


def _list_of(dtype: np.dtype[Any], size: int) -> Any:
    """Parquet has no lists of no values: those have no fixed size."""
    kind = pa.from_numpy_dtype(dtype)
    return pa.list_(kind, size) if size else pa.list_(kind)


def _by_path(schema: Any, compression: Mapping[str, str]) -> dict[str, str]:
    """By the names that Parquet itself has for columns: those of lists go on."""
    return {
        f"{field.name}.list.element" if field.name in _ARRAYS else field.name: compression[field.name]
        for field in schema
    }


class Table:
    """A table that was written here.

    Args:
        path: the file.

    Attributes:
        about: what stands in its metadata; ``shapes`` are those of the arrays.
        rows: how many it has.

    Raises:
        BagError: by every method, for a file that is none, or damaged; it names the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = pq.ParquetFile(path)
            text = (self._file.schema_arrow.metadata or {})[METADATA].decode()
            self.about: dict[str, Any] = from_json(text)
            self._shapes = {name: tuple(map(int, self.about["shapes"][name])) for name in _ARRAYS}
            self.rows = int(self._file.metadata.num_rows)
        except (*_ERRORS, Unreadable) as error:
            raise self._damaged(error) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _damaged(self, error: BaseException) -> BagError:
        said = (str(error).splitlines() or [""])[0][:200]
        return BagError(f"{place(self.path)}: is no whole table of windows ({type(error).__name__}: {said})")

    def shape(self, name: str) -> tuple[int, ...]:
        """Of an array of every row."""
        return self._shapes[name]

    def columns(self, names: Sequence[str]) -> Iterator[dict[str, NDArray[Any]]]:
        """Columns, some MB at once: arrays of (rows, *shape); numbers that are not there as NaN."""
        sizes = (int(np.prod(self._shapes[name])) * _ARRAYS[name].itemsize if name in _ARRAYS else 8 for name in names)
        rows = max(1, _GROUP_BYTES // sum(sizes))
        try:
            for batch in self._file.iter_batches(batch_size=rows, columns=list(names), use_threads=False):
                yield {name: self._array(name, batch.column(name)) for name in names}
        except _ERRORS as error:
            raise self._damaged(error) from error

    def _array(self, name: str, column: Any) -> NDArray[Any]:
        if name not in _ARRAYS:
            return np.asarray(column.to_numpy(zero_copy_only=False))
        shape = (len(column), *self._shapes[name])
        return np.asarray(column.flatten().to_numpy(zero_copy_only=False)).reshape(shape)

    def __iter__(self) -> Iterator[Row]:
        """The rows, in order."""
        names = ("epoch", "window", "stamp_ns", "prediction_error", "no_change_error", *_ARRAYS)
        for part in self.columns(names):
            for index in range(len(part["epoch"])):
                values = {name: part[name][index] for name in names}
                error, no_change = (
                    None if np.isnan(values[name]) else float(values[name])
                    for name in ("prediction_error", "no_change_error")
                )
                yield Row(
                    int(values["epoch"]), int(values["window"]), int(values["stamp_ns"]), values["frame_stamps_ns"],
                    values["step_stamps_ns"], values["actions"], values["states"], values["forecast"],
                    values["context"], error, no_change,
                )  # fmt: skip
