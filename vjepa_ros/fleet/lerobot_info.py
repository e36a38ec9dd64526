"""What a LeRobotDataset of layout v3 says of itself, and how its files are called. Values in, values out.

:mod:`vjepa_ros.recordings.lerobot_info` reads the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vjepa_ros.config.node import NodeConfig
from vjepa_ros.recordings.lerobot_info import NAME as INFO
from vjepa_ros.recordings.lerobot_info import VERSION

__all__ = ["CAMERA", "DATA", "EPISODES", "INFO", "LATENTS", "STATS", "TASKS", "VIDEO", "Shape", "info"]

DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
EPISODES = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
TASKS, STATS = "meta/tasks.parquet", "meta/stats.json"
CAMERA, LATENTS = "observation.images.camera", "observation.latents"
_CHUNK, _DATA_MB, _VIDEO_MB = 1000, 100, 200  # files per folder; sizes that lerobot aims at when it adds to a dataset


@dataclass(frozen=True)
class Shape:
    """Sizes of what a row has.

    Attributes:
        action, state, latents: numbers in each.
        height_px, width_px: of the picture.
    """

    action: int
    state: int
    height_px: int
    width_px: int
    latents: int


def info(shape: Shape, config: NodeConfig, fps: float, episodes: int, frames: int) -> dict[str, Any]:
    """The content of ``meta/info.json``."""
    stream = config.stream
    names = {"action": list(stream.commands.joint_names), "observation.state": list(stream.commands.joint_names)}
    if stream.state_source == "joint_states":
        names["observation.state"] = list(stream.states.joint_names)
    features: dict[str, Any] = {}
    for key, size in (("action", shape.action), ("observation.state", shape.state)):
        if size:
            known = names[key] if len(names[key]) == size else [f"dim_{number}" for number in range(size)]
            features[key] = {"dtype": "float32", "shape": [size], "names": known}
    if shape.latents:
        features[LATENTS] = {"dtype": "float16", "shape": [shape.latents], "names": None}
    features[CAMERA] = {
        "dtype": "video",
        "shape": [shape.height_px, shape.width_px, 3],
        "names": ["height", "width", "channels"],
        "info": {
            "video.height": shape.height_px, "video.width": shape.width_px, "video.codec": "h264",
            "video.pix_fmt": "yuv444p" if shape.height_px % 2 or shape.width_px % 2 else "yuv420p",
            "video.is_depth_map": False, "video.fps": fps, "video.channels": 3, "has_audio": False,
        },
    }  # fmt: skip
    features["timestamp"] = {"dtype": "float32", "shape": [1], "names": None}
    for key in ("frame_index", "episode_index", "index", "task_index"):
        features[key] = {"dtype": "int64", "shape": [1], "names": None}
    return {
        "codebase_version": VERSION, "robot_type": "unknown", "total_episodes": episodes, "total_frames": frames,
        "total_tasks": 1, "chunks_size": _CHUNK, "data_files_size_in_mb": _DATA_MB,
        "video_files_size_in_mb": _VIDEO_MB, "fps": fps, "splits": {"train": f"0:{episodes}"}, "data_path": DATA,
        "video_path": VIDEO, "features": features,
    }  # fmt: skip
