"""From messages to the window stream: stamps, decoding, preprocessing, joints by name (rules 1 and 5).

It reads objects with the fields of ROS messages, whether rclpy or a bag reader made them, and imports neither. What
cannot be used is dropped, counted by topic and reason and reported; it changes nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vjepa_ros.config import S_TO_NS, StreamConfig
from vjepa_ros.errors import InputError, ShapeError
from vjepa_ros.stream.align import Vector
from vjepa_ros.stream.compressed import decode_compressed
from vjepa_ros.stream.counters import Counters
from vjepa_ros.stream.frame import Frame
from vjepa_ros.stream.preprocess import Preprocess
from vjepa_ros.stream.raw import decode_raw
from vjepa_ros.stream.window import Window, WindowStream

Report = Callable[[str, str, str], None]  # (topic, reason, detail)
Decode = Callable[[Any], NDArray[np.uint8]]  # sensor_msgs/Image -> (height, width, 3) RGB; raises InputError


class JointPicker:
    """Picks the configured joints out of messages that hold them in any order, with others.

    Args:
        joint_names: the joints wanted, in the order wanted.
    """

    def __init__(self, joint_names: Sequence[str]) -> None:
        self._wanted = list(joint_names)
        self._names: list[str] | None = None  # of the last message: senders rarely change their order
        self._indices: list[int] = []

    def __call__(self, names: Sequence[str], values: Any) -> Vector:
        """The wanted joints' values.

        Args:
            names: the message's joint names.
            values: one number per name.

        Returns:
            (len(joint_names),) float64.

        Raises:
            InputError: ``missing_joints``, ``length_mismatch`` or ``not_finite``.
        """
        if list(names) != self._names:
            missing = [name for name in self._wanted if name not in names]
            if missing:
                raise InputError(
                    "missing_joints", f"no {', '.join(missing)} in a message with {', '.join(names) or 'none'}"
                )
            self._names = list(names)
            self._indices = [self._names.index(name) for name in self._wanted]
        if len(values) != len(names):
            raise InputError("length_mismatch", f"{len(names)} names but {len(values)} positions")
        picked = np.array([values[index] for index in self._indices], np.float64)
        if not np.isfinite(picked).all():
            raise InputError("not_finite", f"{dict(zip(self._wanted, picked.tolist(), strict=True))}")
        return picked


class Intake:
    """Feeds messages into a window stream.

    Each method takes a message and the time it was received, in nanoseconds, and returns the windows it completed.

    Args:
        config: the stream's configuration.
        preprocess: turns RGB pixels into the encoder's input.
        report: told of every message dropped, and once per topic of a missing stamp: (topic, reason, detail).
        fallback: decodes raw images of unknown encodings; without one they are dropped.
    """

    def __init__(
        self, config: StreamConfig, preprocess: Preprocess, report: Report, fallback: Decode | None = None
    ) -> None:
        self.counters = Counters()
        self.stream = WindowStream(config, self.counters)
        self._preprocess = preprocess
        self._report = report
        self._fallback = fallback
        self._pick_command = JointPicker(config.commands.joint_names)
        self._pick_state = JointPicker(config.states.joint_names)
        self._told_zero_stamp: set[str] = set()

    def image(self, topic: str, message: Any, received_ns: int) -> list[Window]:
        """Take in a sensor_msgs/Image."""
        return self._frame(topic, message, received_ns, lambda: self._decode_raw(message))

    def compressed_image(self, topic: str, message: Any, received_ns: int) -> list[Window]:
        """Take in a sensor_msgs/CompressedImage."""
        return self._frame(topic, message, received_ns, lambda: decode_compressed(message.format, message.data))

    def _frame(
        self, topic: str, message: Any, received_ns: int, decode: Callable[[], NDArray[np.uint8]]
    ) -> list[Window]:
        stamp_ns = self._stamp_ns(topic, message, received_ns)
        try:
            return self.stream.add_frame(
                stamp_ns, lambda: Frame(stamp_ns, message.header.frame_id, self._prepare(decode))
            )
        except InputError as error:
            return self._reject(topic, error)

    def _decode_raw(self, message: Any) -> NDArray[np.uint8]:
        m = message
        try:
            return decode_raw(m.encoding, m.height, m.width, m.step, bool(m.is_bigendian), m.data)
        except InputError as error:
            if error.reason != "unknown_encoding" or self._fallback is None:
                raise
            ours = error.detail
        try:
            return self._fallback(message)
        except InputError as error:
            raise InputError(error.reason, f"{ours}; {error.detail}") from error

    def _prepare(self, decode: Callable[[], NDArray[np.uint8]]) -> NDArray[np.float32]:
        size = "an image"
        try:
            pixels = decode()
            size = f"{pixels.shape[1]}x{pixels.shape[0]} px"
            return self._preprocess(pixels)
        except (ShapeError, cv2.error) as error:  # OpenCV's own refusals, want of memory among them
            raise InputError("unusable_image", f"{size}: {error}") from error

    def joint_command(self, topic: str, message: Any, received_ns: int) -> list[Window]:
        """Take in a sensor_msgs/JointState whose positions are joint targets."""
        try:
            value = self._pick_command(message.name, message.position)
        except InputError as error:
            return self._reject(topic, error)
        return self.stream.add_command(self._stamp_ns(topic, message, received_ns), value)

    def joint_state(self, topic: str, message: Any, received_ns: int) -> list[Window]:
        """Take in a sensor_msgs/JointState whose positions were measured."""
        try:
            value = self._pick_state(message.name, message.position)
        except InputError as error:
            return self._reject(topic, error)
        return self.stream.add_state(self._stamp_ns(topic, message, received_ns), value)

    def _stamp_ns(self, topic: str, message: Any, received_ns: int) -> int:
        stamp = message.header.stamp
        stamp_ns = int(stamp.sec) * S_TO_NS + int(stamp.nanosec)
        if stamp_ns != 0:
            return stamp_ns
        self.counters.zero_stamps += 1
        if topic not in self._told_zero_stamp:
            self._told_zero_stamp.add(topic)
            self._report(topic, "zero_stamp", "the receive time stands in: replays will not be bit-identical")
        return received_ns

    def _reject(self, topic: str, error: InputError) -> list[Window]:
        self.counters.rejected[topic, error.reason] += 1
        self._report(topic, error.reason, error.detail)
        return []
