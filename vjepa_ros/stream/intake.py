"""From messages to the window stream: stamps, decoding, preprocessing, joints by name (rules 1 and 5).

It reads objects with the fields of ROS messages, whether rclpy or a bag reader made them, and imports neither. What
cannot be used is dropped, counted by topic and reason and reported; it changes nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pkgutil import resolve_name
from types import MethodType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.config.inputs import CAMERAS, INPUTS, Input
from vjepa_ros.config.limits import IMAGES, MESSAGES, ImageLimits, MessageLimits
from vjepa_ros.config.node import NodeConfig
from vjepa_ros.config.stream import StreamConfig
from vjepa_ros.errors import InputError
from vjepa_ros.geometry import Vector
from vjepa_ros.images.preprocess import Preprocess
from vjepa_ros.images.video import require_decoder
from vjepa_ros.stream.bounds import check_description, check_size
from vjepa_ros.stream.common_clock import NO_OFFSETS, CommonClock
from vjepa_ros.stream.counters import Counters
from vjepa_ros.stream.end_effector import EndEffector
from vjepa_ros.stream.frames import Frames, Report
from vjepa_ros.stream.joints import Values
from vjepa_ros.stream.pictures import Decode, Pictures
from vjepa_ros.stream.watch import Watch
from vjepa_ros.stream.watched import Watched
from vjepa_ros.stream.window import EpochCause, Window
from vjepa_ros.stream.window_stream import WindowStream

T = TypeVar("T")
Take = Callable[[str, Any, int], list[Window]]  # (topic, message, time of receipt in ns)


def build_intake(config: NodeConfig, report: Report, fallback: Decode | None) -> Intake:
    """The intake of a node: what is made of messages, from their bytes to windows.

    Args:
        config: the node's.
        report, fallback: as for :class:`Intake`.

    Raises:
        ConfigError: where frames come as video, and no decoder is installed.
    """
    if config.camera.transport == "ffmpeg":
        require_decoder("image_transport")
    preprocess = Preprocess(config.model.preprocessing, config.model.image_size, config.camera.view)
    return Intake(
        config.stream, preprocess, report, config.clocks.offsets_s, config.clocks.max_skew_s, fallback,
        images=config.images, messages=config.messages,
    )  # fmt: skip


class Intake:
    """Feeds messages into a window stream.

    Each method takes a message and the time it was received, in nanoseconds, and returns the windows it completed.

    Args:
        config: the stream's configuration.
        preprocess: turns RGB pixels into the encoder's input.
        report: told of messages dropped, missing stamps and clocks that do not agree: (topic, reason, detail).
        offsets_s: added to the stamps, by stream: ``image``, ``joint_commands``, ``joint_states``.
        max_skew_s: clocks of camera and joints further apart than this are reported.
        fallback: decodes raw images of unknown encodings; without one they are dropped.
        images, messages: what one of them may cost.
    """

    def __init__(
        self,
        config: StreamConfig,
        preprocess: Preprocess,
        report: Report,
        offsets_s: Mapping[str, float] = NO_OFFSETS,
        max_skew_s: float = math.inf,
        fallback: Decode | None = None,
        *,
        images: ImageLimits = IMAGES,
        messages: MessageLimits = MESSAGES,
    ) -> None:
        self.counters = Counters()
        self._end_effector = EndEffector(config) if config.pose.is_made_here else None
        made = {} if self._end_effector is None else {"pose": self._end_effector.pose}
        self.stream = WindowStream(config, self.counters, max_signal_bytes=messages.max_stream_bytes, **made)
        self.watch = Watch(report, max_skew_s, config.jump_back_s)
        self._pictures = Pictures(preprocess, images, fallback)
        self._messages = messages
        self._config = config
        self._report = report
        self._clock = CommonClock(offsets_s, self.watch, self.counters, report)
        self._frames = Frames(self.stream, self._clock, self.watch, self._pictures, messages, report, self._reject)
        commands, states = config.command_kind.decoder, config.state_kind.decoder
        self._command_values = Watched.of(commands, config.commands, "joint_names")
        self._state_values = Watched.of(states, config.states, "state_names, or joint_names where that is empty")
        self._measured_values = Watched.of(states, config.commands, "joint_names")
        self._wanted = self._wanted_joints()
        self._topics: dict[str, str] = {}  # where the messages of an input come from
        self._missing = 0  # steps so far

    def change(self, config: StreamConfig) -> None:
        """As :meth:`WindowStream.change`."""
        self._config = config
        self.stream.change(config)

    @property
    def take(self) -> dict[str, Take]:
        """What takes the messages of each topic, by the node's name for it: :mod:`vjepa_ros.config.inputs`."""
        return {row.topic: self.taker(row) for row in (*CAMERAS.values(), *INPUTS.values())}

    def taker(self, row: Input) -> Take:
        """What takes the messages of an input."""
        return MethodType(resolve_name(row.take), self)

    @property
    def waits_for(self) -> str:
        """What nothing can be done without and has not come yet, in words; empty where nothing is missing."""
        return "" if self._end_effector is None else self._end_effector.waits_for

    @property
    def complaints(self) -> list[str]:
        """What is said of wanted joints that no message so far had, though messages came; one text per input."""
        return [f"{self._topics.get(name, name)}: {r.complaint}" for name, r in self._readers() if r.complaint]

    def image(self, topic: str, message: Any, received_ns: int) -> list[Window]:
        """Take in a sensor_msgs/Image."""
        return self._looked(self._frames.image(topic, message, received_ns))

    def compressed_image(self, topic: str, message: Any, received_ns: int) -> list[Window]:
        """Take in a sensor_msgs/CompressedImage: a JPEG or PNG file, or a packet of H.264."""
        return self._looked(self._frames.compressed_image(topic, message, received_ns))

    def video_packet(self, topic: str, message: Any, received_ns: int) -> list[Window]:
        """Take in an ffmpeg_image_transport_msgs/FFMPEGPacket."""
        return self._looked(self._frames.video_packet(topic, message, received_ns))

    def still(self, message: Any) -> NDArray[np.float32]:
        """A sensor_msgs/Image that is no frame, decoded and preprocessed as the camera's are.

        Returns:
            (3, H, W) float32.

        Raises:
            InputError: where it cannot be used, for the same reasons as a frame.
        """
        return self._pictures.prepared(self._pictures.raw, message)

    def compressed_still(self, message: Any) -> NDArray[np.float32]:
        """The same of a sensor_msgs/CompressedImage."""
        return self._pictures.prepared(self._pictures.compressed, message)

    def joint_command(self, topic: str, message: Any, received_ns: int) -> list[Window]:
        """Take in a command, of the type that the configuration names."""
        self._topics["joint_commands"] = topic
        read = self._command_values if self._end_effector is None else self._end_effector.of_command
        add: Callable[[int, Any], list[Window]] = self.stream.add_command
        return self._values("joint_commands", topic, message, received_ns, read, add)

    def joint_state(self, topic: str, message: Any, received_ns: int) -> list[Window]:
        """Take in what was measured, of the type that the configuration names."""
        self._topics["joint_states"] = topic
        read: Callable[[Any], tuple[Values, Values] | None] = self._measured
        add_other: Callable[[int, Any], list[Window]] = self.stream.add_measured
        if self._end_effector is not None:
            read, add_other = self._end_effector.of_state, self.stream.add_gripper

        def add(stamp_ns: int, values: tuple[Values, Values]) -> list[Window]:
            state, other = values
            windows = [] if other is None else add_other(stamp_ns, other)
            return windows if state is None else windows + self.stream.add_state(stamp_ns, state)

        return self._values("joint_states", topic, message, received_ns, read, add)

    def _measured(self, message: Any) -> tuple[Values, Values] | None:
        """The state, and the measured values of the commanded joints, each where it is read; None for neither."""
        state = self._state_values(message) if self._config.state_source == "joint_states" else None
        other = self._measured_values(message) if self._config.reads_measured_commands else None
        return None if state is None and other is None else (state, other)

    def end_effector_pose(self, topic: str, message: Any, received_ns: int) -> list[Window]:
        """Take in a geometry_msgs/PoseStamped with what was measured; its clock is that of the joint states."""
        return self._values("joint_states", topic, message, received_ns, self._pose, self.stream.add_state)

    def commanded_pose(self, topic: str, message: Any, received_ns: int) -> list[Window]:
        """Take in a geometry_msgs/PoseStamped with what was commanded; its clock is that of the joint commands."""
        return self._values("joint_commands", topic, message, received_ns, self._pose, self.stream.add_command)

    def _pose(self, message: Any) -> Vector:
        assert self._end_effector is not None, "nothing else subscribes to poses"
        return self._end_effector.of_pose(message)

    def _values(
        self, clock: str, topic: str, message: Any, received_ns: int,
        read: Callable[[Any], T | None], add: Callable[[int, T], list[Window]],
    ) -> list[Window]:  # fmt: skip
        """Take in a message of numbers. It is stamped once it has been read, so that one which cannot be used changes
        nothing; a frame is stamped before, since only one that is in order is worth decoding. One that is about other
        joints is counted and no fault."""
        try:
            check_size(message, self._messages)
            values = read(message)
            self.watch.joints(topic, clock, message, self._wanted.get(clock, frozenset()))
            if values is None:
                self.counters.foreign += 1
                return []
            stamp_ns, _ = self._clock.stamp_ns(clock, topic, message, received_ns, self.stream.epoch)
        except InputError as error:
            self._reject(topic, error)
            return []
        return self._looked(add(stamp_ns, values))

    def _readers(self) -> Iterable[tuple[str, Watched]]:
        """What reads joints by name, with the input that it reads."""
        if self._end_effector is not None:
            return self._end_effector.watched
        states = (self._state_values, self._measured_values)
        return [("joint_commands", self._command_values), *(("joint_states", reader) for reader in states)]

    def _wanted_joints(self) -> dict[str, frozenset[str]]:
        """The joints that are read, by input."""
        wanted: dict[str, frozenset[str]] = {}
        for name, reader in self._readers():
            wanted[name] = wanted.get(name, frozenset()).union(reader.wanted)
        return wanted

    def _looked(self, windows: list[Window]) -> list[Window]:
        """The windows; where steps went without a value, the wanted joints that nobody sends are reported."""
        missing = self.counters.missing_commands + self.counters.missing_states
        if missing != self._missing:
            self._missing = missing
            for name, reader in self._readers():
                if reader.complaint and name in self._topics:
                    self._report(self._topics[name], "missing_joints", reader.complaint)
        return windows

    def robot_description(self, topic: str, message: Any, _received_ns: int) -> list[Window]:
        """Take in a std_msgs/String with a URDF. One that replaces another starts a new epoch: it is another robot."""
        try:
            self.describe(message.data, topic)
        except InputError as error:
            self._reject(topic, error)
        return []

    def describe(self, text: str, topic: str = "robot_description") -> None:
        """Take in a robot description.

        Args:
            text: the URDF.
            topic: where it came, for what is said of it.

        Raises:
            InputError: ``bad_description``; the one before it stays.
        """
        assert self._end_effector is not None, "nothing else reads a description"
        check_description(text, self._messages)
        said = self._end_effector.ignored
        is_another = self._end_effector.describe(text)
        if self._end_effector.ignored not in ("", said):
            self._report(topic, "rotation_ignored", self._end_effector.ignored)
        self._wanted = self._wanted_joints()
        if is_another:
            self.stream.reset(EpochCause.DESCRIPTION)

    def _reject(self, topic: str, error: InputError) -> None:
        self.counters.rejected[topic, error.reason] += 1
        self._report(topic, error.reason, error.detail)
