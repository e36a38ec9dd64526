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
from vjepa_ros.units import S_TO_NS

_FILES_PER_CHUNK = 1000
_SLOWER = 0.05  # share by which a recording's windows may come slower or faster than the dataset's rows
_ACTION, _STATE = "action", "observation.state"


@dataclass
class _Written:
    """What there is so far."""

    fps: float
    episodes: int = 0
    frames: int = 0
    recordings: int = 0
    shape: Shape | None = None
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
        folder, written = places[out], _Written(_rate(found, names, config))
        folder.mkdir()
        with _Episodes(folder / EPISODES.format(chunk_index=0, file_index=0)) as episodes:
            for number, name in enumerate(names, start=1):
                report = found.report(name, frames=True)
                if report is not None and report["rows"]:
                    _add(folder, found.folder(name), report, config, task, written, episodes.add, say)
                progress("recordings of the dataset", number, len(names))
        if written.shape is None:
            raise OutputError(f"{place(out)}: is not written: no recording has a window for it")
        if written.fps != int(written.fps):
            say(f"the dataset has {written.fps:g} rows per second: lerobot reads it, but can add to whole numbers only")
        described = info(written.shape, config, written.fps, written.episodes, written.frames)
        _write_json(folder / INFO, described)
        _write_json(folder / STATS, {name: stats.told() for name, stats in written.stats.items()})
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
    own_hz = None if config.stream.frame_rate_hz else _measured_hz(rows["stamp_ns"], lengths)
    if own_hz is not None and abs(own_hz - written.fps) > _SLOWER * written.fps:
        say(f"{report['name']}: is left out of the dataset: its windows come at {own_hz:g} Hz, not {written.fps:g}")
        return
    context, (height_px, width_px) = table.shape("context"), report["frame_px"]
    latents = int(np.prod(context[1:])) if context[0] else 0
    shape = Shape(rows[_ACTION].shape[1], rows[_STATE].shape[1], height_px, width_px, latents)
    written.shape = written.shape or shape
    chunk, file = divmod(written.recordings, _FILES_PER_CHUNK)
    at = {"chunk_index": chunk, "file_index": file}
    numbers = _numbers(rows, lengths, written)
    _write_rows(folder / DATA.format(**at), numbers, table)
    video = folder / VIDEO.format(video_key=CAMERA, **at)
    video.parent.mkdir(parents=True, exist_ok=True)
    lerobot_video.at_rate(recording / FRAMES, video, written.fps)
    first = 0
    for told in report["episodes"]:
        length = told["rows"]
        stats = {name: Stats.of(values[first : first + length]) for name, values in numbers.items()}
        stats[CAMERA] = Stats.of_picture(told["picture"])
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
        for name, own in stats.items():
            line |= {f"stats/{name}/{kind}": value for kind, value in own.told().items()}
            written.stats[name] = own.joined(written.stats.get(name))
        episode(line)
        written.episodes += 1
        written.frames += length
        first += length
    written.recordings += 1


def _read(table: Table, config: NodeConfig) -> dict[str, NDArray[Any]]:
    """Stamps (n,), actions (n, A) and states (n, S) of the newest steps, the last two by the dataset's names.

    Where an action reaches ahead, a window's last one is a guess. The next window has the same step before its last,
    where it reaches back so far, with what was really commanded; in an episode's last row the guess stays.
    """
    back = config.stream.hop // config.stream.stride
    is_known = config.stream.reaches_ahead and back < table.shape("actions")[0]
    earlier = -1 - back if is_known else -1
    parts: dict[str, list[NDArray[Any]]] = {}
    for batch in table.columns(("stamp_ns", "step_stamps_ns", "actions", "states")):
        for name, values in (
            ("stamp_ns", batch["stamp_ns"]), ("step", batch["step_stamps_ns"][:, -1]),
            (_ACTION, batch["actions"][:, -1]), (_STATE, batch["states"][:, -1]),
            ("known", batch["actions"][:, earlier]), ("known_step", batch["step_stamps_ns"][:, earlier]),
        ):  # fmt: skip
            parts.setdefault(name, []).append(values)
    whole = {name: np.concatenate(found) for name, found in parts.items()}
    if is_known:
        same = np.flatnonzero(whole["known_step"][1:] == whole["step"][:-1])
        whole[_ACTION][same] = whole["known"][same + 1]
    return {"stamp_ns": whole["stamp_ns"], **{name: whole[name].astype(np.float32) for name in (_ACTION, _STATE)}}


def _rate(found: Store, names: Sequence[str], config: NodeConfig) -> float:
    """Rows per second: as the parameters have it, or as windows came in the first recording in which some follow each
    other; 1 where they never do."""
    if config.stream.frame_rate_hz:
        exact = config.stream.frame_rate_hz / config.stream.hop
        return int(exact) if exact == int(exact) else exact
    for name in names:
        report = found.report(name, frames=True)
        if report is None or not report["rows"]:
            continue
        with closing(Table(found.folder(name) / TABLE)) as table:
            stamps_ns = np.concatenate([batch["stamp_ns"] for batch in table.columns(("stamp_ns",))])
        rate = _measured_hz(stamps_ns, [one["rows"] for one in report["episodes"]])
        if rate is not None:
            return rate
    return 1


def _measured_hz(stamps_ns: NDArray[np.int64], lengths: Sequence[int]) -> float | None:
    """How often windows came, a whole number where it is near one; None where none follows another."""
    within = np.ones(max(len(stamps_ns) - 1, 0), np.bool_)
    within[np.cumsum(lengths)[:-1] - 1] = False  # from one episode to the next
    apart = np.diff(stamps_ns)[within]
    if not apart.size:
        return None
    exact = S_TO_NS / float(np.median(apart))
    return round(exact) if abs(exact - round(exact)) < 0.01 * exact and exact > 0.5 else round(exact, 3)


def _numbers(rows: Mapping[str, NDArray[Any]], lengths: Sequence[int], written: _Written) -> dict[str, NDArray[Any]]:
    """The columns of a recording's rows, (n, d) or (n,), but for the latents."""
    count = len(rows["stamp_ns"])
    frame = np.concatenate([np.arange(length, dtype=np.int64) for length in lengths])
    return {
        **{name: rows[name] for name in (_ACTION, _STATE) if rows[name].shape[1]},
        "timestamp": (frame / written.fps).astype(np.float32),
        "frame_index": frame,
        "episode_index": np.repeat(np.arange(len(lengths), dtype=np.int64) + written.episodes, lengths),
        "index": np.arange(count, dtype=np.int64) + written.frames,
        "task_index": np.zeros(count, np.int64),
    }


def _write_rows(path: Path, numbers: Mapping[str, NDArray[Any]], table: Table) -> None:
    """Write a recording's table, some rows at a time: latents may be many."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer, first = None, 0
    with files.naming(path):
        try:
            for batch in table.columns(("context",)):
                latents = batch["context"][:, -1:].reshape(len(batch["context"]), -1)
                own = {name: values[first : first + len(latents)] for name, values in numbers.items()}
                own |= {LATENTS: latents} if latents.shape[1] else {}
                part = pa.table({name: _column(values) for name, values in own.items()})
                writer = writer or pq.ParquetWriter(path, part.schema, compression="zstd", use_dictionary=False)
                writer.write_table(part)
                first += len(latents)
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
