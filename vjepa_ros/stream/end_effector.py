"""End-effector poses out of messages: from a pose topic or by forward kinematics, and how far the gripper is closed.

Forward kinematics begin with what the joints are at a time (rule 5), since they may come in messages of their own: a
message gives joints, and :meth:`EndEffector.pose` makes a pose of them when somebody asks. It reads objects with the
fields of ROS messages, whoever made them, and knows no stamps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from pkgutil import resolve_name
from typing import Any

import numpy as np

from vjepa_ros.config.stream import StreamConfig
from vjepa_ros.errors import InputError, quoted
from vjepa_ros.geometry import Vector, euler_angles, quaternion_matrix
from vjepa_ros.kinematics.forward import Kinematics
from vjepa_ros.kinematics.urdf import ignored_rotations, read_chain
from vjepa_ros.stream.joint_signal import Part
from vjepa_ros.stream.joints import Read, Values
from vjepa_ros.stream.watched import Watched

_POSES_KEPT = 256  # of forward kinematics; a window of 16 frames asks for two dozen
_NORM_TOLERANCE = 0.01  # of a quaternion: float32 and a few products are far below it, a wrong order of fields above


class EndEffector:
    """Reads poses, six numbers each (m, rad), and the gripper's closedness, one number from 0 to 1.

    Args:
        config: where they come from.

    Attributes:
        ignored: what the newest description says and is not read, in words; empty where there is nothing.
    """

    def __init__(self, config: StreamConfig) -> None:
        self._stream = config
        self._config = config.pose
        self.ignored = ""
        self._description: str | None = None
        self._kinematics: Kinematics | None = None
        self._pose_of: Callable[[bytes], Vector] | None = None
        self._measured: Watched | None = None
        self._commanded: Watched | None = None
        self._gripper: Watched | None = None
        if self._config.has_gripper:
            opened, closed = self._config.gripper_open, self._config.gripper_closed
            scale, offset = 1.0 / (closed - opened), -opened / (closed - opened)
            decoder = config.state_kind.decoder
            self._gripper = self._reader(decoder, (self._config.gripper_joint,), "pose.gripper_joint", scale, offset)

    def _reader(
        self, decoder: str, names: tuple[str, ...], named_by: str, scale: float = 1.0, offset: float = 0.0
    ) -> Watched:
        """Reads the positions of these joints."""
        scales, offsets = (scale,) * len(names), (offset,) * len(names)
        config = replace(
            self._stream.states, joint_names=names, field="position", scale=scales, offset=offsets
        )  # fmt: skip
        read: Read = resolve_name(decoder)(config)
        return Watched(read, names, named_by)

    @property
    def watched(self) -> Iterator[tuple[str, Watched]]:
        """What reads joints by name, with the input that it reads."""
        for name, reader in (
            ("joint_states", self._measured), ("joint_commands", self._commanded), ("joint_states", self._gripper)
        ):  # fmt: skip
            if reader is not None:
                yield name, reader

    @property
    def waits_for(self) -> str:
        """What no pose can be made without and has not come yet, empty where nothing is missing."""
        needed = self._config.source == "forward_kinematics" and self._kinematics is None
        return "no usable robot_description yet: no pose can be computed" if needed else ""

    def describe(self, text: str) -> bool:
        """Take in a robot description; whether it replaces another one. A bad one changes nothing.

        Raises:
            InputError: ``bad_description``.
        """
        if text == self._description:
            return False
        chain = read_chain(text, self._config.base_link, self._config.tip_link)
        self.ignored = ignored_rotations(text, self._config.base_link, self._config.tip_link)
        is_another = self._kinematics is not None
        self._kinematics = kinematics = Kinematics(chain)
        self._description = text
        # Windows overlap, and so do the times that they ask about.
        self._pose_of = lru_cache(_POSES_KEPT)(lambda data: kinematics.pose(np.frombuffer(data, np.float64)))
        names = tuple(kinematics.joint_names)
        self._measured = self._reader(self._stream.state_kind.decoder, names, "pose.tip_link")
        self._commanded = self._reader(self._stream.command_kind.decoder, names, "pose.tip_link")
        return is_another

    def pose(self, arm: Vector) -> Vector:
        """What commands and states of the arm are -> (6,): the positions of its joints, or the pose as it is."""
        return arm if self._pose_of is None else self._pose_of(arm.tobytes())

    def of_command(self, message: Any) -> Values:
        """Commanded joints -> (joints,) positions of the arm, or those that are in it.

        Raises:
            InputError: ``no_robot_description``, ``length_mismatch`` or ``not_finite``.
        """
        return self._of_joints(self._commanded, message)

    def _of_joints(self, read: Watched | None, message: Any) -> Values:
        if self._kinematics is None or read is None:
            raise InputError("no_robot_description", "without it joints say nothing about the end effector")
        values = read(message)
        if values is None:
            return None
        pose = self._kinematics.pose(values.filled() if isinstance(values, Part) else values)
        if not np.isfinite(pose).all():  # of huge numbers in the description, or huge positions
            raise InputError("not_finite", f"forward kinematics give {pose.tolist()}")
        return values

    def of_state(self, message: Any) -> tuple[Values, Vector | None] | None:
        """Measured joints -> what is in it of the arm's positions, and (1,) the gripper's closedness; None for neither.

        Arm and gripper may send messages of their own to one topic, and others to the same.

        Raises:
            InputError: ``no_robot_description``, ``length_mismatch`` or ``not_finite``.
        """
        arm = None
        if "joint_states" in (self._stream.action_topic, self._stream.state_topic):
            arm = self._of_joints(self._measured, message)
        gripper = None if self._gripper is None else self._gripper(message)
        if arm is None and gripper is None:
            return None
        assert not isinstance(gripper, Part), "it is one joint"
        return arm, None if gripper is None else np.clip(gripper, 0.0, 1.0)

    def of_pose(self, message: Any) -> Vector:
        """geometry_msgs/PoseStamped -> (6,).

        Raises:
            InputError: ``wrong_frame``, ``not_finite`` or ``bad_quaternion``.
        """
        frame, base = message.header.frame_id.lstrip("/"), self._config.base_link.lstrip("/")
        if base and frame != base:
            raise InputError("wrong_frame", f"it is in the frame {quoted(frame)}, not in {base!r} (pose.base_link)")
        p, q = message.pose.position, message.pose.orientation
        position, quaternion = np.array([p.x, p.y, p.z], np.float64), np.array([q.x, q.y, q.z, q.w], np.float64)
        if not (np.isfinite(position).all() and np.isfinite(quaternion).all()):
            raise InputError("not_finite", f"position {position.tolist()}, orientation {quaternion.tolist()}")
        norm = float(np.linalg.norm(quaternion))
        if abs(norm - 1.0) > _NORM_TOLERANCE:
            raise InputError("bad_quaternion", f"{quaternion.tolist()} (x, y, z, w) has the norm {norm:.4g}, not 1")
        return np.concatenate([position, euler_angles(quaternion_matrix(quaternion / norm))])
