"""What the planner reads of the robot: its description, and where its joints are. Wiring only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pkgutil import resolve_name
from typing import Any

import numpy as np

from vjepa_ros.config.node import NodeConfig
from vjepa_ros.errors import InputError
from vjepa_ros.kinematics.urdf import ignored_rotations, root_link
from vjepa_ros.planning.arm import Arm
from vjepa_ros.planning.execution import Execution
from vjepa_ros.stream.bounds import check_description, check_size
from vjepa_ros.stream.common_clock import own_stamp_ns
from vjepa_ros.stream.frames import Report
from vjepa_ros.stream.intake import Take
from vjepa_ros.stream.joint_signal import Part
from vjepa_ros.stream.joints import Read
from vjepa_ros.stream.window import Window
from vjepa_ros.units import to_ns


class RobotInputs:
    """Takes in descriptions and measured joints.

    Args:
        config: the node's.
        joint_names: those that actions are about.
        execution: told of each.
        tell: called with each new arm, or None where it has no limits that would do; and the link that poses are
            relative to.
        report: told of what cannot be used: (topic, reason, detail).
    """

    def __init__(
        self,
        config: NodeConfig,
        joint_names: tuple[str, ...],
        execution: Execution,
        tell: Callable[[Arm | None, str], None],
        report: Report,
    ) -> None:
        self._config = config
        self._joint_names = joint_names
        self._execution = execution
        self._tell = tell
        self._report = report
        self._offset_ns = to_ns(config.clocks.offsets_s["joint_states"])
        self._base = config.stream.pose.base_link
        self._text: str | None = None
        self._read: Read | None = None  # the arm's joints
        self._told = False  # that they have no stamps

    @property
    def takes(self) -> dict[str, Take]:
        """What takes the messages of each topic that is read, by the node's name for it."""
        takes: dict[str, Take] = {}
        is_there = self._config.stream.pose.source == "forward_kinematics"
        if self._config.planner.needs_robot or is_there:
            takes["robot_description"] = self._description
        if self._config.planner.execute:
            takes["joint_states"] = self._joints
        return takes

    def _description(self, topic: str, message: Any, _received_ns: int) -> list[Window]:
        """Take in a std_msgs/String; where it cannot be used the one before it is gone too: it is another robot."""
        text, stream = message.data, self._config.stream
        if text == self._text:
            return []
        try:
            check_description(text, self._config.messages)
            self._base = root_link(text, stream.pose.base_link, stream.pose.tip_link)
            arm = Arm(text, self._config.planner, stream.pose, self._joint_names)
            ignored = ignored_rotations(text, stream.pose.base_link, stream.pose.tip_link)
        except InputError as error:
            self._text = self._read = None
            self._execution.describe(None)
            self._tell(None, self._base)
            if self._config.planner.needs_robot:  # without one there are plans to look at all the same
                self._report(topic, error.reason, error.detail)
            return []
        if ignored and stream.pose.source != "forward_kinematics":  # else who makes poses says it
            self._report(topic, "rotation_ignored", ignored)
        self._text, count = text, len(arm.joint_names)
        alike = replace(
            stream.states, joint_names=arm.joint_names, field="position", scale=(1.0,) * count, offset=(0.0,) * count
        )
        self._read = resolve_name(stream.state_kind.decoder)(alike)
        self._execution.describe(arm)
        self._tell(arm, self._base)
        return []

    def _joints(self, topic: str, message: Any, received_ns: int) -> list[Window]:
        """Take in measured joints, of the type that ``states.type`` names; they are as old as their stamp says."""
        if self._read is None:
            return []
        try:
            check_size(message, self._config.messages)
            values, stamp_ns = self._read(message), own_stamp_ns(message)
            at_ns = stamp_ns + self._offset_ns if stamp_ns else received_ns
            if not stamp_ns and not self._told:
                self._told = True
                self._report(topic, "zero_stamp", "the receive time stands in: what is late looks new")
            if isinstance(values, Part):
                self._execution.measured(np.asarray(values.joints), values.values, at_ns)
            elif values is not None:
                self._execution.measured(slice(None), values, at_ns)
        except InputError as error:
            self._report(topic, error.reason, error.detail)
        return []
