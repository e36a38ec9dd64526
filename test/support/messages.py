"""What hand-made robots send: stamped messages of frames and joints. It knows no node and no topic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sensor_msgs.msg import Image, JointState

JOINTS = [f"panda_joint{number}" for number in range(1, 8)]
MS, S = 10**6, 10**9  # ns
T0_NS = 1_700_000_000_000_000_000


def stamped(message: Any, stamp_ns: int, frame_id: str = "camera") -> Any:
    """The message with its header filled."""
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, S)
    message.header.frame_id = frame_id
    return message


def stamp_ns(message: Any) -> int:
    """The stamp of a message's header."""
    return int(message.header.stamp.sec) * S + int(message.header.stamp.nanosec)


def joint_message(stamp_ns: int, names: Sequence[str], values: Sequence[float]) -> JointState:
    """A joint state or command."""
    return stamped(JointState(name=list(names), position=[float(value) for value in values]), stamp_ns, "base")


def pixels(index: int, height: int = 48, width: int = 64) -> np.ndarray:
    """An RGB picture that differs from frame to frame, (height, width, 3) uint8."""
    y, x = np.mgrid[:height, :width]
    return np.stack([(x * 4 + index * 7) % 256, (y * 5) % 256, (x + y + index) % 256], -1).astype(np.uint8)


def rgb8(picture: np.ndarray) -> Image:
    """An image of a (height, width, 3) uint8 picture, not stamped yet."""
    height, width, channels = picture.shape
    message = Image(height=height, width=width, encoding="rgb8", step=width * channels)
    message.data.frombytes(picture.tobytes())
    return message


def image_message(stamp_ns: int, index: int) -> Image:
    """The rgb8 image of :func:`pixels`."""
    return stamped(rgb8(pixels(index)), stamp_ns)
