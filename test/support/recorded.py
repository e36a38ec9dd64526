"""The sample bag as plain lists for the oracle; like the oracle, it imports nothing of the package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

BAG = Path(__file__).resolve().parents[2] / "examples" / "data" / "panda_pick"
CAMERA, COMMANDS, STATES = "/camera/image_raw/compressed", "/joint_commands", "/joint_states"
JOINTS = tuple(f"panda_joint{number}" for number in range(1, 8))


def messages(bag: Path = BAG) -> list[tuple[str, Any]]:
    """(topic, message) in the order of recording."""
    with AnyReader([bag], default_typestore=get_typestore(Stores.ROS2_JAZZY)) as reader:
        return [(c.topic, reader.deserialize(raw, c.msgtype)) for c, _, raw in reader.messages()]


def oracle_lists(bag: Path = BAG) -> tuple[list[Any], list[Any], list[Any]]:
    """Frames (stamp,), commands and states (stamp, positions of the seven joints), as the oracle wants them."""
    frames: list[Any] = []
    joints: dict[str, list[Any]] = {COMMANDS: [], STATES: []}
    for topic, message in messages(bag):
        stamp_ns = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        if topic == CAMERA:
            frames.append((stamp_ns,))
        elif topic in joints:
            positions = dict(zip(message.name, message.position, strict=True))
            joints[topic].append((stamp_ns, np.array([positions[name] for name in JOINTS])))
    return frames, joints[COMMANDS], joints[STATES]


def oracle_arguments(frame_rate: float = 0.0, hop: int = 2) -> dict[str, Any]:
    """The oracle's keyword arguments for the preset tiny_random and default parameters."""
    return {
        "num_frames": 16, "stride": 2, "phase": 0, "hop": hop, "frame_rate": frame_rate,
        "max_gap_ns": round((2.5 / frame_rate if frame_rate else 1.0) * 1e9), "jump_back_ns": 10**9,
        "max_wait_ns": 200_000_000, "timeout_ns": 10**9, "on_missing": "skip",
    }  # fmt: skip
