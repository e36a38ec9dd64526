"""``joint_commands`` of the simulated robot: messages in, commands for the arm out, or a warning that says why not.

They are read as the predictor reads them: by name, in any order, among others, all joints or some of them.
"""

from __future__ import annotations

from collections.abc import Callable
from pkgutil import resolve_name
from typing import Any

import numpy as np
from rclpy.node import Node

from vjepa_ros.config.inputs import INPUTS, CommandType
from vjepa_ros.config.limits import MESSAGES
from vjepa_ros.config.stream import SignalConfig
from vjepa_ros.errors import ConfigError, InputError
from vjepa_ros.ros import qos
from vjepa_ros.ros.inputs import message_class
from vjepa_ros.ros.last_line import LastLine
from vjepa_ros.simulation import panda
from vjepa_ros.simulation.live import Command, LiveArm
from vjepa_ros.stream.bounds import check_size, checked_stamp_ns
from vjepa_ros.stream.joint_signal import Part

_TOPIC = "joint_commands"


class Commands:
    """The subscription.

    Args:
        node: that is commanded.
        kind: of the messages.
        last_line: takes what a callback lets through.
        warn: told of what cannot be used: (topic, reason, detail).
        arm: gives the arm that obeys.

    Raises:
        ConfigError: where the messages are not installed here.
    """

    def __init__(
        self,
        node: Node,
        kind: CommandType,
        last_line: LastLine,
        warn: Callable[[str, str, str], None],
        arm: Callable[[], LiveArm],
    ) -> None:
        self._is_trajectory, self._warn, self._arm = kind.is_trajectory, warn, arm
        ones, zeros = (1.0,) * len(panda.JOINTS), (0.0,) * len(panda.JOINTS)
        self._read = resolve_name(kind.decoder)(
            SignalConfig("commands", panda.JOINTS, "position", "hold", 1.0, "hold", ones, zeros)
        )
        try:
            messages = message_class(kind.ros_type)
        except (ImportError, AttributeError) as error:
            raise ConfigError("commands.type", f"{kind.ros_type} is not installed here ({error})") from error
        self._said_of_stamps = False
        self._topic = node.resolve_topic_name(_TOPIC)
        take = last_line.guarded(self._topic, self._take, lambda _message: None)
        profile = qos.OF_INPUTS[INPUTS[_TOPIC].quality]()
        node.create_subscription(messages, _TOPIC, take, profile, qos_overriding_options=qos.overridable())

    def _take(self, message: Any) -> None:
        try:
            command = self._command(message)
            if command is None:
                self._warn(self._topic, "foreign", "none of the arm's joints is in it")
            else:
                self._arm().command(command)
        except InputError as error:
            self._warn(self._topic, error.reason, error.detail)

    def _command(self, message: Any) -> Command | None:
        """What a message asks for; None where it asks for nothing of this arm.

        Raises:
            InputError: for what cannot be used.
        """
        check_size(message, MESSAGES)
        values = self._read(message)
        if values is None:
            return None
        if isinstance(values, Part):
            which, rows = values.joints, values.values
        else:
            which, rows = np.arange(len(panda.JOINTS), dtype=np.intp), values
        if not self._is_trajectory:
            rows = np.concatenate([[0.0], rows])[None]  # a trajectory of one point, at its stamp
        return Command(self._stamp_ns(message), which, rows[:, 1:], rows[:, 0])

    def _stamp_ns(self, message: Any) -> int:
        """When a message is meant: its stamp, or now where it has none."""
        header = getattr(message, "header", None)
        stamp_ns = 0 if header is None else checked_stamp_ns(header.stamp)
        if header is not None and not stamp_ns and not self._said_of_stamps:
            self._said_of_stamps = True
            self._warn(self._topic, "no_stamp", "commands have no stamps: each is taken for one of when it came")
        return stamp_ns or self._arm().now_ns
