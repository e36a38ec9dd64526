"""A fleet's tables and videos as one LeRobotDataset of layout v3: an episode for each stretch of windows without a gap.

A row is a window: its newest step's action, state, picture and latents, at the rate at which windows come. A recording
has a table and a video of its own. It reads what the workers have written, and no recordings.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from vjepa_ros import files
from vjepa_ros.config.node import NodeConfig
from vjepa_ros.errors import BagError, OutputError, place
from vjepa_ros.fleet import lerobot_video
from vjepa_ros.fleet.lerobot_info import CAMERA, DATA, EPISODES, INFO, LATENTS, STATS, TASKS, VIDEO, Shape, info
from vjepa_ros.fleet.lerobot_stats import Stats
from vjepa_ros.fleet.plan import TOOL
from vjepa_ros.fleet.store import TABLE, Store
from vjepa_ros.fleet.store import VIDEO as FRAMES
from vjepa_ros.fleet.table import Table
from vjepa_ros.recordings.reading import Progress, Say

_FILES_PER_CHUNK = 1000
_SLOWER = 0.05  # share by which a recording's windows may come slower or faster than the dataset's rows
_ROWS = 256  # of a table at once
_ACTION, _STATE = "action", "observation.state"


@dataclass
class _Written:
    """What there is so far."""

    episodes: int = 0
    frames: int = 0
    recordings: int = 0
    shape: Shape | None = None
    fps: float = 0.0
    stats: dict[str, Stats] = field(default_factory=dict)


def write(found: Store, out: Path, config: NodeConfig, task: str, progress: Progress, say: Say) -> None:
    """Write the dataset, whole or not at all; one that lies there is replaced.

    Args:
        found: the fleet.
        out: folder of the dataset.
        config: by which the windows were made.
        task: what all episodes show.
        progress: is told how far it has come.
        say: is told of recordings that are left out.

    Raises:
        BagError: for a table that is damaged.
        OutputError: where no recording has a window.
        OSError: where the disk is full or fails; it names the file.
    """
    names = found.names()
    with files.whole([out], tool=TOOL, force=True) as places:
        folder, written = places[out], _Written()
        folder.mkdir()
        with _Episodes(folder / EPISODES.format(chunk_index=0, file_index=0)) as episodes:
            for number, name in enumerate(names, start=1):
                report = found.report(name)
                if report is not None and report["rows"]:
                    _add(folder, found.folder(name), report, config, task, written, episodes.add, say)
                progress("recordings of the dataset", number, len(names))
        if written.shape is None:
            raise OutputError(f"{place(out)}: is not written: no recording has a window for it")
        described = info(written.shape, config, written.fps, written.episodes, written.frames)
        _write_json(folder / INFO, described)
        _write_json(folder / STATS, {name: stats.values() for name, stats in written.stats.items()})
        tasks = pd.DataFrame({"task_index": [0]}, index=pd.Index([task], name="task"))
        with files.naming(folder / TASKS):
            pq.write_table(pa.Table.from_pandas(tasks), folder / TASKS)


def _add(
    folder: Path, recording: Path, report: Mapping[str, Any], config: NodeConfig, task: str, written: _Written,
    episode: Callable[[Mapping[str, Any]], None], say: Say,
) -> None:  # fmt: skip
    """Add a recording: its table, its video, and a line for each of its episodes."""
    with closing(Table(recording / TABLE)) as table:
        _add_table(folder, recording, report, config, task, written, episode, say, table)


def _add_table(
    folder: Path, recording: Path, report: Mapping[str, Any], config: NodeConfig, task: str, written: _Written,
    episode: Callable[[Mapping[str, Any]], None], say: Say, table: Table,
) -> None:  # fmt: skip
    rows = _read(table, config)
    lengths = [one["rows"] for one in report["episodes"]]
    if sum(lengths) != len(rows["stamp_ns"]):
        raise BagError(f"{place(recording)}: its table and its video do not belong together")
    fps = _rate(rows["stamp_ns"], lengths, config)
    written.fps = written.fps or fps
    if abs(fps - written.fps) > _SLOWER * written.fps:
        say(f"{recording.name}: is left out of the dataset: its windows come at {fps:g} Hz, not {written.fps:g}")
        return
    context, (height_px, width_px) = table.shape("context"), report["frame_px"]
    latents = int(np.prod(context[1:])) if context[0] else 0
    shape = Shape(rows[_ACTION].shape[1], rows[_STATE].shape[1], height_px, width_px, latents)
    written.shape = written.shape or shape
    chunk, file = divmod(written.recordings, _FILES_PER_CHUNK)
    at = {"chunk_index": chunk, "file_index": file}
    _write_rows(folder / DATA.format(**at), rows, table, lengths, written)
    video = folder / VIDEO.format(video_key=CAMERA, **at)
    video.parent.mkdir(parents=True, exist_ok=True)
    lerobot_video.at_rate(recording / FRAMES, video, written.fps)
    first = 0
    for told in report["episodes"]:
        length = told["rows"]
        own = {name: Stats.of(rows[name][first : first + length]) for name in (_ACTION, _STATE)}
        own[CAMERA] = Stats.of_picture(told["picture"], length)
        line = {
            "episode_index": written.episodes, "tasks": [task], "length": length,
            "data/chunk_index": chunk, "data/file_index": file,
            "dataset_from_index": written.frames, "dataset_to_index": written.frames + length,
            f"videos/{CAMERA}/chunk_index": chunk, f"videos/{CAMERA}/file_index": file,
            f"videos/{CAMERA}/from_timestamp": first / written.fps,
            f"videos/{CAMERA}/to_timestamp": (first + length) / written.fps,
            "recording": str(report["recording"]), "bag_hash": report["bag_hash"],
            "meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0,
        }  # fmt: skip
        for name, stats in own.items():
            line |= {f"stats/{name}/{kind}": value for kind, value in stats.values().items()}
            written.stats[name] = stats.joined(written.stats.get(name))
        episode(line)
        written.episodes += 1
        written.frames += length
        first += length
    written.recordings += 1


def _read(table: Table, config: NodeConfig) -> dict[str, NDArray[Any]]:
    """Stamps (n,), actions (n, A) and states (n, S) of the newest steps."""
    names = ("stamp_ns", "actions", "states")
    parts: dict[str, list[NDArray[Any]]] = {name: [] for name in (*names, "before")}
    for batch in table.columns(names, _ROWS):
        parts["stamp_ns"].append(batch["stamp_ns"])
        parts["before"].append(batch["actions"][:, -2 if batch["actions"].shape[1] > 1 else -1])
        parts["actions"].append(batch["actions"][:, -1])
        parts["states"].append(batch["states"][:, -1])
    whole = {name: np.concatenate(found) for name, found in parts.items()}
    actions = whole["actions"]
    # Where an action reaches ahead, a window's last one may be a guess: the next window, a step later, knows better.
    if config.stream.reaches_ahead and config.stream.hop == config.stream.stride and len(actions) > 1:
        follows = np.diff(whole["stamp_ns"]) < 1.5 * np.median(np.diff(whole["stamp_ns"]))
        actions = actions.copy()
        actions[:-1][follows] = whole["before"][1:][follows]
    return {"stamp_ns": whole["stamp_ns"], _ACTION: actions.astype(np.float32),
            _STATE: whole["states"].astype(np.float32)}  # fmt: skip


def _rate(stamps_ns: NDArray[np.int64], lengths: Sequence[int], config: NodeConfig) -> float:
    """Rows per second: as the parameters have it, or else as the camera had it."""
    if config.stream.frame_rate_hz:
        exact = config.stream.frame_rate_hz / config.stream.hop
    else:
        within = np.ones(max(len(stamps_ns) - 1, 0), np.bool_)
        within[np.cumsum(lengths)[:-1] - 1] = False  # from one episode to the next
        apart = np.diff(stamps_ns)[within]
        exact = 1e9 / float(np.median(apart)) if apart.size else 1.0
    return round(exact) if abs(exact - round(exact)) < 0.01 * exact and exact > 0.5 else round(exact, 3)


def _write_rows(
    path: Path, rows: Mapping[str, NDArray[Any]], table: Table, lengths: Sequence[int], written: _Written
) -> None:
    """Write a recording's table, some rows at a time: latents may be many."""
    count = len(rows["stamp_ns"])
    frame = np.concatenate([np.arange(length, dtype=np.int64) for length in lengths])
    numbers: dict[str, NDArray[Any]] = {
        _ACTION: rows[_ACTION],
        _STATE: rows[_STATE],
        "timestamp": (frame / written.fps).astype(np.float32),
        "frame_index": frame,
        "episode_index": np.repeat(np.arange(len(lengths), dtype=np.int64) + written.episodes, lengths),
        "index": np.arange(count, dtype=np.int64) + written.frames,
        "task_index": np.zeros(count, np.int64),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    writer, first = None, 0
    with files.naming(path):
        try:
            for batch in table.columns(("context",), _ROWS):
                own = {name: values[first : first + len(batch["context"])] for name, values in numbers.items()}
                own[LATENTS] = batch["context"][:, -1:].reshape(len(batch["context"]), -1)
                part = pa.table({name: _column(values) for name, values in own.items() if values.shape[-1]})
                writer = writer or pq.ParquetWriter(path, part.schema, compression="zstd", use_dictionary=False)
                writer.write_table(part)
                first += len(batch["context"])
        finally:
            if writer is not None:
                writer.close()


def _column(values: NDArray[Any]) -> Any:
    """(n,) or (n, d) as a column; a row of one number is a number."""
    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    width = values.shape[1] if values.ndim == 2 else 1
    return flat if width == 1 else pa.FixedSizeListArray.from_arrays(flat, width)


class _Episodes:
    """The table of episodes, written some at a time: there may be many."""

    _AT_ONCE = 1000

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True)
        self._path = path
        self._lines: list[Mapping[str, Any]] = []
        self._writer: Any = None

    def __enter__(self) -> _Episodes:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if error is None and self._lines:
            self._write()
        if self._writer is not None:
            self._writer.close()

    def add(self, line: Mapping[str, Any]) -> None:
        """Take in an episode."""
        self._lines.append(line)
        if len(self._lines) >= self._AT_ONCE:
            self._write()

    def _write(self) -> None:
        table = pa.Table.from_pylist([dict(line) for line in self._lines])
        with files.naming(self._path):
            self._writer = self._writer or pq.ParquetWriter(self._path, table.schema)
            self._writer.write_table(table.cast(self._writer.schema))
        self._lines.clear()


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    with files.naming(path):
        path.write_text(json.dumps(content, indent=4) + "\n", encoding="utf-8")
