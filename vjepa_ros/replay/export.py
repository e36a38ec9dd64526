"""Windows, actions, states and latents as safetensors shards with an index, for fine-tuning; and loading them again.

A shard holds each frame once, however many windows it is in, and says by numbers which frames a window consists of. It
knows windows and arrays; files are written into a folder that is given to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from vjepa_ros import files
from vjepa_ros.documents import Unreadable, from_json, open_regular, read_text, to_json
from vjepa_ros.errors import BagError, brief, place
from vjepa_ros.forecast.forecaster import WindowForecast
from vjepa_ros.stream.window import Window

INDEX = "index.json"
FORMAT = 1
SHARD_BYTES = 256 * 2**20

_MOST_INDEX_BYTES = 10_000_000  # a line or two per shard, of which each has 256 MB


@dataclass(frozen=True)
class Example:
    """One window as it was exported.

    Attributes:
        epoch, number: of the window.
        frame_stamps_ns: (N,) int64, on the clock of the joints.
        step_stamps_ns: (T',) int64.
        clip: (3, N, H, W) float32, preprocessed, as the encoder wants it.
        actions, states: (T', A) and (T', S) float64, before normalisation by mean and standard deviation.
        future_actions: (H-1, A) float64, what the forecasts after the first were predicted for, which need not be what
            happened then; None for a horizon of 1.
        predicted: (steps, H', W', D), what is published of the window; None where no model ran.
        context: (T', H', W', D), the encoder's latents of the window; None where no model ran.
    """

    epoch: int
    number: int
    frame_stamps_ns: NDArray[np.int64]
    step_stamps_ns: NDArray[np.int64]
    clip: NDArray[np.float32]
    actions: NDArray[np.float64]
    states: NDArray[np.float64]
    future_actions: NDArray[np.float64] | None
    predicted: NDArray[Any] | None
    context: NDArray[Any] | None


class Exporter:
    """Writes shards.

    Args:
        folder: where to; made here.
        info: ``latent_info``, None where no model runs.
        shard_bytes: a shard is closed when it has grown to this.

    Raises:
        OSError: by every method, where the disk is full or fails; it names the file.
    """

    def __init__(self, folder: Path, info: Mapping[str, Any] | None, shard_bytes: int = SHARD_BYTES) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._info = info
        self._shard_bytes = shard_bytes
        self._shards: list[dict[str, Any]] = []
        self._clear()

    def _clear(self) -> None:
        self._frames: list[NDArray[np.float32]] = []
        self._frame_stamps_ns: list[int] = []
        self._places: dict[tuple[int, int], int] = {}  # (epoch, stamp) of a frame -> its place in the shard
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0

    def add(self, window: Window, forecast: WindowForecast | None) -> None:
        """Take in a window, and what the model says of it."""
        for frame in window.frames:
            key = (window.epoch, frame.stamp_ns)
            if key not in self._places:
                self._places[key] = len(self._frames)
                self._frames.append(frame.image)
                self._frame_stamps_ns.append(frame.stamp_ns)
                self._bytes += frame.image.nbytes
        row: dict[str, Any] = {
            "epoch": np.int64(window.epoch),
            "number": np.int64(window.number),
            "frame_indices": np.array([self._places[window.epoch, f.stamp_ns] for f in window.frames], np.int64),
            "step_stamps": np.array(window.step_stamps_ns, np.int64),
            "actions": window.actions.values,
            "states": window.states.values,
        }
        if len(window.future.values):
            row["future_actions"] = window.future.values
        if forecast is not None:
            row["predicted"] = forecast.predicted
            if forecast.context is not None:
                row["context"] = forecast.context
        self._rows.append(row)
        self._bytes += sum(value.nbytes for value in row.values())
        if self._bytes >= self._shard_bytes:
            self._write_shard()

    def _write_shard(self) -> None:
        tensors = {name: np.stack([row[name] for row in self._rows]) for name in self._rows[0]}
        tensors["frames"] = np.stack(self._frames)
        tensors["frame_stamps"] = np.array(self._frame_stamps_ns, np.int64)
        file = f"shard-{len(self._shards):05d}.safetensors"
        # Not by safetensors itself, whose own errors do not say whether the disk is full.
        data = save(tensors, metadata={"format": "np"})
        with files.naming(self._folder / file):
            (self._folder / file).write_bytes(data)
        self._shards.append({"file": file, "windows": len(self._rows), "frames": len(self._frames)})
        self._clear()

    def close(self) -> None:
        """Write what is left, and the index."""
        if self._rows:
            self._write_shard()
        index = {
            "format": FORMAT,
            "windows": sum(shard["windows"] for shard in self._shards),
            "shards": self._shards,
            "latent_info": self._info,
        }
        with files.naming(self._folder / INDEX):
            (self._folder / INDEX).write_text(to_json(index, indent=2) + "\n", encoding="utf-8")


def load(folder: Path) -> Iterator[Example]:
    """The windows of an export, in order; one shard is in memory at a time.

    Raises:
        BagError: for a folder that is no export of this format, or a shard that is missing or broken.
    """
    try:
        index = from_json(read_text(folder / INDEX, _MOST_INDEX_BYTES))
        if index["format"] != FORMAT:
            raise BagError(f"{place(folder)}: is an export of format {brief(index['format'])}, not {FORMAT}")
        for shard in index["shards"]:
            if Path(shard["file"]).name != shard["file"]:
                raise Unreadable(f"the shard {brief(shard['file'])} is not in it")
            open_regular(folder / shard["file"]).close()
            yield from _examples(load_file(folder / shard["file"]))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, SafetensorError) as error:
        said = (str(error).splitlines() or [""])[0]
        raise BagError(f"{place(folder)}: is not a whole export ({type(error).__name__}: {brief(said)})") from error


def _examples(tensors: Mapping[str, NDArray[Any]]) -> Iterator[Example]:
    for row, indices in enumerate(tensors["frame_indices"]):
        yield Example(
            epoch=int(tensors["epoch"][row]),
            number=int(tensors["number"][row]),
            frame_stamps_ns=tensors["frame_stamps"][indices],
            step_stamps_ns=tensors["step_stamps"][row],
            clip=tensors["frames"][indices].swapaxes(0, 1),  # (N, 3, H, W) -> (3, N, H, W)
            actions=tensors["actions"][row],
            states=tensors["states"][row],
            future_actions=tensors["future_actions"][row] if "future_actions" in tensors else None,
            predicted=tensors["predicted"][row] if "predicted" in tensors else None,
            context=tensors["context"][row] if "context" in tensors else None,
        )
