"""The episodes of a LeRobotDataset: how long they are, where their rows and their parts of the videos lie, and when
each begins on the one time line that they are put on.

They are read from the tables under ``meta/episodes``; statistics and tasks in them are left alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.errors import listed, named
from vjepa_ros.recordings import lerobot_tables
from vjepa_ros.recordings.lerobot_info import Info, grid_ns, seconds
from vjepa_ros.recordings.storage import MOST_RECEIVED_NS, Flaw, Unreadable

FOLDER = "meta/episodes"
MOST_EPISODES = 2**20
MOST_FILES = 10_000
FIRST_S = 1
"""When the first episode begins: a stamp of 0 would say that there is none."""
APART_S = 10
"""From one episode to the next, at least: an epoch ends between them, and whoever looks at stamps alone sees it too."""

_S_TO_NS = 10**9
_WHOLE = ("episode_index", "length", "data/chunk_index", "data/file_index")


@dataclass(frozen=True)
class Part:
    """Where an episode's frames lie.

    Attributes:
        path: of the video, relative to the dataset's folder.
        from_s, to_s: its times there.
    """

    path: str
    from_s: float
    to_s: float


@dataclass(frozen=True)
class Episode:
    """One of them.

    Attributes:
        index: its number in the dataset.
        length: rows.
        start_ns: stamp of its first row.
    """

    index: int
    length: int
    start_ns: int


class Episodes:
    """All of them, in the order in which their rows lie.

    Args:
        folder: the dataset's.
        info: what it says of itself.

    Attributes:
        starts_ns: stamp of the first row of each.
        frames: rows of all of them.
        flaws: what is wrong with the tables.

    Raises:
        Unreadable: where there is none, or more than there can be.
    """

    def __init__(self, folder: Path, info: Info) -> None:
        self.flaws: list[Flaw] = []
        self._info = info
        self._videos = [camera for camera, is_video in info.cameras.items() if is_video]
        columns = self._read(folder)
        keep = np.all([columns[name] >= 0 for name in _WHOLE], axis=0) & (columns["length"] > 0)
        _, first = np.unique(columns["episode_index"], return_index=True)
        alone = np.zeros(keep.shape, bool)
        alone[first] = True
        left_out = int(np.sum(~(keep & alone)))
        if left_out:
            said = f"{left_out:,} of the episodes in {FOLDER} have no number, length or place, or are there twice"
            self.flaws.append(Flaw(f"{said}, and are left out", whatever=True))
        order = np.lexsort([columns[name] for name in ("episode_index", "data/file_index", "data/chunk_index")])
        order = order[(keep & alone)[order]]
        self._columns = {name: column[order] for name, column in columns.items()}
        if not order.size:
            raise Unreadable(f"it has no episodes in {FOLDER}")
        self.frames = sum(map(int, self._columns["length"]))
        self.starts_ns = self._starts()
        if info.episodes is not None and info.episodes != order.size:
            said = f"{info.episodes:,} episodes are announced, and {order.size:,} are in {FOLDER}"
            self.flaws.append(Flaw(said, whatever=True))

    def __len__(self) -> int:
        return len(self.starts_ns)

    def _read(self, folder: Path) -> dict[str, NDArray[Any]]:
        files = sorted((folder / FOLDER).glob("*/*.parquet"))
        if len(files) > MOST_FILES:
            raise Unreadable(f"it has {len(files):,} files in {FOLDER}, more than {MOST_FILES:,}")
        found: list[dict[str, NDArray[Any]]] = []
        lost = []
        count = 0
        for path in files:
            try:
                with lerobot_tables.opened(path) as table:
                    table.require(dict.fromkeys(_WHOLE, 1))
                    count += table.rows
                    if count > MOST_EPISODES:
                        raise Unreadable(f"has more than {MOST_EPISODES:,} episodes with those before it")
                    found += self._columns_of(table)
            except Unreadable as error:
                lost.append(f"{named(str(path.relative_to(folder)), 200)}: {error}")
        self.flaws += [Flaw(what) for what in lost]
        if not found:
            raise Unreadable(listed(lost, 3, str) if lost else f"there are no tables in {FOLDER}")
        return {name: np.concatenate([columns[name] for columns in found]) for name in found[0]}

    def _columns_of(self, table: lerobot_tables.Table) -> list[dict[str, NDArray[Any]]]:
        """What is read of a table, batch by batch; of videos that it does not mention, no place."""
        whole, times = list(_WHOLE), []
        for camera in self._videos:
            whole += [f"videos/{camera}/chunk_index", f"videos/{camera}/file_index"]
            times += [f"videos/{camera}/from_timestamp", f"videos/{camera}/to_timestamp"]
        there = [name for name in (*whole, *times) if table.has(name)]
        found = []
        for batch in table.batches(there):
            size = len(batch[_WHOLE[0]])
            columns: dict[str, NDArray[Any]] = {
                name: lerobot_tables.whole_numbers(batch[name]) if name in batch else np.full(size, -1, np.int64)
                for name in whole
            }
            columns |= {
                name: lerobot_tables.numbers(batch[name]) if name in batch else np.full(size, np.nan) for name in times
            }
            found.append(columns)
        return found

    def _starts(self) -> list[int]:
        at_s, starts = FIRST_S, []
        for length in self._columns["length"]:
            starts.append(at_s * _S_TO_NS)
            at_s += seconds(int(length), self._info.fps) + APART_S
        if at_s * _S_TO_NS > MOST_RECEIVED_NS:
            raise Unreadable("its episodes claim to last longer than time does")
        return starts

    def tables(self) -> Iterator[tuple[str, range]]:
        """(place of a table, which of the episodes are in it), in order.

        Raises:
            Unreadable: for a place outside of the folder.
        """
        chunks, files = self._columns["data/chunk_index"], self._columns["data/file_index"]
        start = 0
        for end in range(1, len(self) + 1):
            if end == len(self) or (chunks[end], files[end]) != (chunks[start], files[start]):
                yield self._info.table(int(chunks[start]), int(files[start])), range(start, end)
                start = end

    def places(self, episodes: range) -> Mapping[int, int]:
        """Where episodes stand among all of them, by their numbers in the dataset."""
        return {int(self._columns["episode_index"][place]): place for place in episodes}

    def episode(self, place: int) -> Episode:
        """The one at a place."""
        columns = self._columns
        return Episode(int(columns["episode_index"][place]), int(columns["length"][place]), self.starts_ns[place])

    def part(self, place: int, camera: str) -> Part | None:
        """Where the frames of the one at a place lie; None where the tables do not say."""
        chunk, file, start, end = (
            self._columns[f"videos/{camera}/{name}"][place]
            for name in ("chunk_index", "file_index", "from_timestamp", "to_timestamp")
        )
        if chunk < 0 or file < 0 or not 0 <= start < end < np.inf:
            return None
        return Part(self._info.video(camera, int(chunk), int(file)), float(start), float(end))

    def stamp_ns(self, episode: Episode, frame: int) -> int:
        """When a row of an episode was, on the one time line."""
        return episode.start_ns + grid_ns(frame, self._info.fps)
