"""Writes LeRobotDatasets of layout v3 by the format's rules, several episodes per file, and bags of the same content.

It imports nothing of the package. Videos are lossless unless a codec is named, so that pixels come back as they were.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from support import bags

S = 10**9
LOSSLESS = ("libx264rgb", "rgb24", {"qp": "0", "preset": "ultrafast"})
JOINTS = tuple(f"panda_joint{number}" for number in range(1, 8))
IMAGE, JOINT_STATE = "sensor_msgs/msg/Image", "sensor_msgs/msg/JointState"
CAMERAS = ("observation.images.front", "observation.images.wrist")


@dataclass
class Episode:
    """Rows of one episode: (n, A) float32, (n, S) float32, and (n, h, w, 3) uint8 by camera."""

    action: np.ndarray
    state: np.ndarray
    frames: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.action)


def episode(length: int, seed: int, size: tuple[int, int] = (48, 64), joints: int = len(JOINTS)) -> Episode:
    """One in which every frame and every row is another, and nothing is smooth."""
    rng = np.random.default_rng(seed)
    tiles = {camera: rng.integers(0, 256, (length, 6, 8, 3), np.uint8) for camera in CAMERAS}
    frames = {c: np.repeat(np.repeat(t, size[0] // 6, 1), size[1] // 8, 2) for c, t in tiles.items()}
    action, state = rng.normal(size=(2, length, joints)).astype(np.float32)
    return Episode(action, state, frames)


@dataclass
class Form:
    """How a dataset is written.

    Attributes:
        fps: rows per second.
        in_videos: cameras as videos rather than as PNG files in the tables.
        per_table, per_video: episodes per file.
        names: of the numbers, as info.json has them.
        codec: (encoder, pixel format, options).
        more: features and their columns besides: {key: (feature, column as a function of the number of rows)}.
        info: what replaces entries of info.json.
    """

    fps: float = 20
    in_videos: bool = True
    per_table: int = 2
    per_video: int = 3
    names: Any = field(default_factory=lambda: {"motors": list(JOINTS)})
    codec: tuple[str, str, dict[str, str]] = LOSSLESS
    more: dict[str, tuple[dict[str, Any], Any]] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)

    def write(self, folder: Path, episodes: list[Episode]) -> Path:
        """Write one."""
        rows = self._tables(folder, episodes)
        if self.in_videos:
            for camera in episodes[0].frames:
                self._videos(folder, camera, episodes, rows)
        (place := folder / "meta/episodes/chunk-000/file-000.parquet").parent.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(rows), place)
        pq.write_table(pa.table({"task_index": [0], "task": ["pick"]}), folder / "meta/tasks.parquet")
        described = self.describe(episodes)
        (folder / "meta/info.json").write_text(json.dumps({**described, **self.info}, indent=4))
        return folder

    def describe(self, episodes: list[Episode]) -> dict[str, Any]:
        """What info.json says of them."""
        numbers = {"dtype": "float32", "names": self.names}
        features: dict[str, Any] = {
            "action": {**numbers, "shape": [episodes[0].action.shape[1]]},
            "observation.state": {**numbers, "shape": [episodes[0].state.shape[1]]},
        }
        for camera, frames in episodes[0].frames.items():
            features[camera] = {
                "dtype": "video" if self.in_videos else "image", "shape": list(frames.shape[1:]),
                "names": ["height", "width", "channels"],
            }  # fmt: skip
        features |= {key: feature for key, (feature, _) in self.more.items()}
        counted = ("frame_index", "episode_index", "index", "task_index")
        features |= {"timestamp": {"dtype": "float32", "shape": [1], "names": None}}
        features |= {name: {"dtype": "int64", "shape": [1], "names": None} for name in counted}
        return {
            "codebase_version": "v3.0", "robot_type": "panda", "total_episodes": len(episodes),
            "total_frames": sum(map(len, episodes)), "total_tasks": 1, "chunks_size": 1000, "fps": self.fps,
            "splits": {"train": f"0:{len(episodes)}"},
            "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
            "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
            if self.in_videos else None,
            "features": features,
        }  # fmt: skip

    def _tables(self, folder: Path, episodes: list[Episode]) -> list[dict[str, Any]]:
        """Write the rows; what the episodes' table says of each."""
        told = []
        start = 0
        for first in range(0, len(episodes), self.per_table):
            file = first // self.per_table
            tables = []
            for number, one in enumerate(episodes[first : first + self.per_table], start=first):
                tables.append(self._table(one, number, start))
                told.append({
                    "episode_index": number, "tasks": ["pick"], "length": len(one), "data/chunk_index": 0,
                    "data/file_index": file, "dataset_from_index": start, "dataset_to_index": start + len(one),
                    "stats/action/mean": one.action.mean(0).tolist(),
                    "meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0,
                })  # fmt: skip
                start += len(one)
            (place := folder / f"data/chunk-000/file-{file:03d}.parquet").parent.mkdir(parents=True, exist_ok=True)
            with pq.ParquetWriter(place, tables[0].schema) as writer:
                for table in tables:
                    writer.write_table(table)
        return told

    def _table(self, one: Episode, number: int, start: int) -> pa.Table:
        length = len(one)
        steps = np.arange(length)
        columns: dict[str, Any] = {
            "action": pa.FixedSizeListArray.from_arrays(one.action.reshape(-1), one.action.shape[1]),
            "observation.state": pa.array(one.state.tolist(), pa.list_(pa.float32())),
            "timestamp": pa.array((steps / self.fps).astype(np.float32)),
            "frame_index": steps, "episode_index": np.full(length, number), "index": steps + start,
            "task_index": np.zeros(length, np.int64),
        }  # fmt: skip
        if not self.in_videos:
            kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
            for camera, frames in one.frames.items():
                files = [{"bytes": png(frame), "path": f"frame-{k:06d}.png"} for k, frame in enumerate(frames)]
                columns[camera] = pa.array(files, kind)
        columns |= {key: column(length) for key, (_, column) in self.more.items() if column is not None}
        return pa.table(columns)

    def _videos(self, folder: Path, camera: str, episodes: list[Episode], rows: list[dict[str, Any]]) -> None:
        for first in range(0, len(episodes), self.per_video):
            file = first // self.per_video
            place = folder / f"videos/{camera}/chunk-000/file-{file:03d}.mp4"
            place.parent.mkdir(parents=True, exist_ok=True)
            chosen = episodes[first : first + self.per_video]
            encode(place, [one.frames[camera] for one in chosen], self.fps, self.codec)
            at_s = 0.0
            for row, one in zip(rows[first:], chosen, strict=False):
                until_s = at_s + len(one) / self.fps
                told = {"chunk_index": 0, "file_index": file, "from_timestamp": at_s, "to_timestamp": until_s}
                row |= {f"videos/{camera}/{name}": value for name, value in told.items()}
                at_s = until_s


def encode(place: Path, parts: list[np.ndarray], fps: float, codec: tuple[str, str, dict[str, str]] = LOSSLESS) -> None:
    """Frames as an mp4 file, those of each episode from a frame that hangs on no other."""
    name, pixels, options = codec
    with av.open(str(place), "w", format="mp4") as container:
        stream = container.add_stream(name, rate=round(fps), options=options)
        stream.height, stream.width = parts[0].shape[1:3]
        stream.pix_fmt = pixels
        for frames in parts:
            for number, frame in enumerate(frames):
                made = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format=pixels)
                made.pict_type = av.video.frame.PictureType.I if number == 0 else av.video.frame.PictureType.NONE
                container.mux(stream.encode(made))
        container.mux(stream.encode())


def join(place: Path, files: list[Path]) -> list[tuple[float, float]]:
    """One mp4 file of several, without encoding them again; from when to when each lies in it, by their durations."""
    (listing := place.with_suffix(".txt")).write_text("".join(f"file '{file}'\n" for file in files))
    spans, at_s = [], 0.0
    for file in files:
        with av.open(str(file)) as container:
            stream = container.streams.video[0]
            spans.append((at_s, at_s := at_s + float(stream.duration * stream.time_base)))
    with (
        av.open(str(listing), "r", format="concat", options={"safe": "0"}) as source,
        av.open(str(place), "w", format="mp4") as target,
    ):
        stream = source.streams.video[0]
        copied = target.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.dts is not None:
                packet.stream = copied
                target.mux(packet)
    return spans


def png(frame: np.ndarray) -> bytes:
    """A PNG file of RGB pixels."""
    return bytes(cv2.imencode(".png", frame[..., ::-1])[1])


def starts_ns(episodes: list[Episode], fps: float) -> list[int]:
    """When each begins: the first after a second, each other on the first whole second 10 s behind the one before."""
    at_s, found = 1, []
    for one in episodes:
        found.append(at_s * S)
        at_s += -int(-len(one) // fps) + 10
    return found


def bag(folder: Path, one: Episode, start_ns: int, fps: float, camera: str, names: Sequence[str] = JOINTS) -> Path:
    """A bag of one episode, on the topics that the node has."""
    types = bags.TYPES.types
    none = np.zeros(0)
    messages = []
    for k in range(len(one)):
        stamp_ns = start_ns + round(k * S / fps)
        header = types["std_msgs/msg/Header"](types["builtin_interfaces/msg/Time"](0, 0), camera)
        rgb = one.frames[camera][k]
        height, width, _ = rgb.shape
        image = types[IMAGE](header, height, width, "rgb8", 0, 3 * width, rgb.reshape(-1))
        messages.append(bags.Message(stamp_ns, "/image", IMAGE, stamp_ns, image))
        for topic, values in (("/joint_commands", one.action), ("/joint_states", one.state)):
            joints = types[JOINT_STATE](header, list(names), values[k].astype(np.float64), none, none)
            messages.append(bags.Message(stamp_ns, topic, JOINT_STATE, stamp_ns, joints))
    return bags.write(folder, messages)


def overlapping(file: bytes, count: int) -> bytes:
    """An mp4 file that has its first frame so many times, each time at the same place."""

    def made(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I4s", 8 + len(content), kind) + content

    def rewritten(content: bytes) -> bytes:
        out, at = b"", 0
        while at < len(content):
            size, kind = struct.unpack_from(">I4s", content, at)
            inner = content[at + 8 : at + size]
            if kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
                inner = rewritten(inner)
            elif kind == b"stsz":  # version, size of all (0: each has its own), count, sizes
                first = struct.unpack_from(">I", inner, 12)[0]
                inner = struct.pack(">III", 0, first, count)
            elif kind == b"stsc":  # one frame in each chunk
                inner = struct.pack(">IIIII", 0, 1, 1, 1, 1)
            elif kind == b"stco":
                inner = struct.pack(">II", 0, count) + inner[8:12] * count
            elif kind == b"stts":
                inner = struct.pack(">IIII", 0, 1, count, struct.unpack_from(">I", inner, 12)[0])
            if kind not in (b"stss", b"ctts", b"edts"):
                out += made(kind, inner)
            at += size
        return out

    return rewritten(file)
