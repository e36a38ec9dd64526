"""A LeRobotDataset of layout v3 as a file of messages: rows of numbers as JointState, cameras as images.

Its features keep their names, as topics. The rate makes the times: row k of an episode is k/fps after its start, and
one episode is put behind the other, each a beginning (``episodes_ns``). Messages are serialised here as a bag has them,
so that whoever reads bags reads datasets. It knows no streams.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.config.inputs import CAMERAS, JOINT_STATE
from vjepa_ros.errors import listed
from vjepa_ros.recordings import lerobot_info, lerobot_tables
from vjepa_ros.recordings.definitions import ROS_TYPES
from vjepa_ros.recordings.lerobot_episodes import FOLDER, Episode, Episodes
from vjepa_ros.recordings.lerobot_frames import Frames
from vjepa_ros.recordings.storage import MOST_MESSAGE_BYTES, Flaw, Storage, Stored, Unreadable, named

INPUTS = {"joint_commands": "action", "joint_states": "observation.state"}
"""The features that the node's inputs are, where nothing else is said."""

_RAW, _COMPRESSED = CAMERAS["raw"].ros_type, CAMERAS["compressed"].ros_type
_S_TO_NS = 10**9
_MOST_MISPLACED = 2**20  # rows of a table
_COUNTED = ("episode_index", "frame_index")


class LerobotDataset(Storage):
    """A dataset.

    Args:
        path: its folder.

    Raises:
        Unreadable: for another layout, or where it does not say what is in it.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._info = info = lerobot_info.read(path)
        self._episodes = Episodes(path, info)
        for flaw in self._episodes.flaws:
            self.flaw(flaw)
        kinds = dict.fromkeys(info.rows, JOINT_STATE)
        kinds |= {camera: _RAW if is_video else _COMPRESSED for camera, is_video in info.cameras.items()}
        found = {key: named(key, kind, "cdr") for key, kind in kinds.items()}
        self._by_topic = {key: channel for key, channel in found.items() if channel is not None}
        self.channels = list(self._by_topic.values())
        self.unusable = info.unusable
        self.inputs = {name: key for name, key in INPUTS.items() if key in self._by_topic or key in info.unusable}
        self.episodes_ns = self._episodes.starts_ns
        self.announced = dict.fromkeys(self._by_topic, self._episodes.frames if info.frames is None else info.frames)
        self.counts = dict.fromkeys(self._by_topic, self._episodes.frames)
        self._note()

    def _note(self) -> None:
        info = self._info
        self.notes.append(f"is a LeRobotDataset: {len(self._episodes):,} episodes at {info.fps:g} Hz")
        if info.unusable:
            self.notes.append(f"its features {listed(info.unusable, show=str)} are not read")
        if info.strange:
            self.notes.append(f"{info.strange:,} of its features have names that ROS does not know, and are left out")
        made_up = [f"{key} (dim_0 to dim_{len(info.rows[key]) - 1})" for key in info.made_up if len(info.rows[key]) > 1]
        if made_up:
            self.notes.append(f"names are made up for the numbers of {listed(made_up, show=str)}, which have none")

    def close(self) -> None:
        """Nothing of it stays open."""

    def messages(self, topics: Collection[str]) -> Iterator[Stored]:
        wanted = [topic for topic in self._by_topic if topic in topics]
        with ExitStack() as stack:
            frames = {
                topic: Frames(self.path, self._episodes, topic, self._info.fps, self.flaw, stack)
                for topic in wanted
                if self._info.cameras.get(topic)
            }
            try:
                for place, episodes in self._episodes.tables():
                    yield from self._table(place, episodes, wanted, frames)
            except Unreadable as error:  # a place outside of the folder
                self.flaw(Flaw(str(error), whatever=True))
            for found in frames.values():
                found.tell()

    def _table(self, place: str, episodes: range, wanted: list[str], frames: dict[str, Frames]) -> Iterator[Stored]:
        """The messages of the episodes that are in one table."""
        info = self._info
        rows = {topic: len(info.rows[topic]) for topic in wanted if topic in info.rows}
        pictures = [topic for topic in wanted if topic in info.cameras and topic not in frames]
        try:
            with lerobot_tables.opened(self.path / place) as table:
                columns = dict.fromkeys(_COUNTED, 0) | rows | dict.fromkeys(pictures)
                table.require(columns)
                yield from self._rows(place, table, episodes, rows, pictures, frames)
        except Unreadable as error:
            self.flaw(Flaw(f"{place}: {error}"))

    def _rows(
        self, place: str, table: lerobot_tables.Table, episodes: range, rows: dict[str, int],
        pictures: list[str], frames: dict[str, Frames],
    ) -> Iterator[Stored]:  # fmt: skip
        places, fps = self._episodes.places(episodes), self._info.fps
        expected = sum(self._episodes.episode(number).length for number in episodes)
        if table.rows > expected:
            self.notes.append(f"{place} has {table.rows:,} rows, of which {expected:,} belong to episodes")
        timed = ["timestamp"] if table.has("timestamp") else []
        write = {topic: partial(_joints, self._info.rows[topic]) for topic in rows}
        misplaced = unlike = 0
        last, current, episode = (-1, -1), -1, Episode(-1, 0, 0)
        for batch in table.batches([*_COUNTED, *timed, *rows], pictures):
            numbers = lerobot_tables.whole_numbers(batch["episode_index"])
            indices = lerobot_tables.whole_numbers(batch["frame_index"])
            times_s = lerobot_tables.numbers(batch["timestamp"]) if timed else indices / fps
            unlike += int(np.sum(np.abs(times_s - indices / fps) > 0.5 / fps))
            values = {topic: batch[topic].to_pylist() for topic in (*rows, *pictures)}
            for row in range(numbers.size):
                at, index = places.get(int(numbers[row]), -1), int(indices[row])
                if at >= 0 and at != current:
                    current, episode = at, self._episodes.episode(at)
                if at < 0 or not 0 <= index < episode.length or (at, index) <= last:
                    misplaced += 1
                    if misplaced > _MOST_MISPLACED:
                        self.flaw(Flaw(f"{place}: more than {_MOST_MISPLACED:,} rows are not where {FOLDER} has them"))
                        return
                    continue
                last = (at, index)
                stamp_ns = self._episodes.stamp_ns(episode, index)
                for topic, width in rows.items():
                    if (vector := _vector(values[topic][row], width)) is not None:
                        yield stamp_ns, self._by_topic[topic], write[topic](stamp_ns, vector)
                for topic in pictures:
                    content = values[topic][row]
                    if isinstance(content, bytes) and 0 < len(content) <= MOST_MESSAGE_BYTES:
                        yield stamp_ns, self._by_topic[topic], _picture(topic, stamp_ns, content)
                for topic, found in frames.items():
                    rgb = found.at(at, index)
                    if rgb is not None:
                        yield stamp_ns, self._by_topic[topic], _frame(topic, stamp_ns, rgb)
        if misplaced:
            self.flaw(Flaw(f"{place}: {misplaced:,} rows are not where {FOLDER} has them, and are left out"))
        if unlike:
            self.notes.append(f"{place}: {unlike:,} rows have a timestamp that is not frame_index / fps, which decides")


def _vector(value: Any, width: int) -> NDArray[np.float64] | None:
    """(width,) of a row's numbers; None where it has others."""
    try:
        vector = np.atleast_1d(np.asarray(value, np.float64))
    except (TypeError, ValueError):
        return None
    return vector if vector.shape == (width,) else None


def _header(stamp_ns: int, frame_id: str) -> Any:
    types = ROS_TYPES.types
    time = types["builtin_interfaces/msg/Time"](*divmod(stamp_ns, _S_TO_NS))
    return types["std_msgs/msg/Header"](time, frame_id)


def _joints(names: tuple[str, ...], stamp_ns: int, vector: NDArray[np.float64]) -> bytes:
    none = np.zeros(0)
    message = ROS_TYPES.types[JOINT_STATE](_header(stamp_ns, ""), list(names), vector, none, none)
    return bytes(ROS_TYPES.serialize_cdr(message, JOINT_STATE))


def _frame(topic: str, stamp_ns: int, rgb: NDArray[np.uint8]) -> bytes:
    height, width, _ = rgb.shape
    message = ROS_TYPES.types[_RAW](_header(stamp_ns, topic), height, width, "rgb8", 0, 3 * width, rgb.reshape(-1))
    return bytes(ROS_TYPES.serialize_cdr(message, _RAW))


def _picture(topic: str, stamp_ns: int, content: bytes) -> bytes:
    data = np.frombuffer(content, np.uint8)
    message = ROS_TYPES.types[_COMPRESSED](_header(stamp_ns, topic), "png", data)
    return bytes(ROS_TYPES.serialize_cdr(message, _COMPRESSED))
