"""End-effector poses out of messages: from a pose topic or by forward kinematics, and how far the gripper is closed.

It reads objects with the fields of ROS messages, whoever made them, and knows no stamps.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from vjepa_ros.config.stream import StreamConfig
from vjepa_ros.errors import InputError, quoted
from vjepa_ros.geometry import Vector, euler_angles, quaternion_matrix
from vjepa_ros.kinematics.forward import Kinematics
from vjepa_ros.kinematics.urdf import read_chain
from vjepa_ros.stream.joints import JointStates

_NORM_TOLERANCE = 0.01  # of a quaternion: float32 and a few products are far below it, a wrong order of fields above


class EndEffector:
    """Reads poses, six numbers each (m, rad), and the gripper's closedness, one number from 0 to 1.

    Args:
        config: where they come from.
    """

    def __init__(self, config: StreamConfig) -> None:
        self._config = config.pose
        self._reads_arm = "joint_states" in (config.action_topic, config.state_topic)
        self._description: str | None = None
        self._kinematics: Kinematics | None = None
        self._arm: JointStates | None = None
        self._gripper: JointStates | None = None
        self._positions = replace(config.states, field="position")
        if self._config.has_gripper:
            opened, closed = self._config.gripper_open, self._config.gripper_closed
            scale, offset = (1.0 / (closed - opened),), (-opened / (closed - opened),)
            self._gripper = JointStates(
                replace(self._positions, joint_names=(self._config.gripper_joint,), scale=scale, offset=offset)
            )

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
        is_another = self._kinematics is not None
        self._kinematics = Kinematics(chain)
        self._description = text
        names = self._kinematics.joint_names
        self._arm = JointStates(
            replace(self._positions, joint_names=names, scale=(1.0,) * len(names), offset=(0.0,) * len(names))
        )
        return is_another

    def of_joints(self, message: Any) -> Vector:
        """sensor_msgs/JointState -> (6,), by forward kinematics.

        Raises:
            InputError: ``no_robot_description``, ``missing_joints``, ``length_mismatch`` or ``not_finite``.
        """
        if self._kinematics is None or self._arm is None:
            raise InputError("no_robot_description", "without it joints say nothing about the end effector")
        pose = self._kinematics.pose(self._arm(message))
        if not np.isfinite(pose).all():  # of huge numbers in the description, or huge positions
            raise InputError("not_finite", f"forward kinematics give {pose.tolist()}")
        return pose

    def of_state(self, message: Any) -> tuple[Vector | None, Vector | None]:
        """sensor_msgs/JointState -> (6,) the arm's pose and (1,) the gripper's closedness, each where it is in it.

        Arm and gripper may send messages of their own to one topic.

        Raises:
            InputError: as :meth:`of_joints`; ``missing_joints`` where neither is in it, or a part of the arm.
        """
        has_gripper = self._config.gripper_joint in message.name and self._gripper is not None
        pose = None
        if self._reads_arm:
            arm = self._kinematics.joint_names if self._kinematics is not None else ()
            if not has_gripper or self._kinematics is None or any(name in message.name for name in arm):
                pose = self.of_joints(message)
        if self._gripper is None or (not has_gripper and pose is not None):
            return pose, None
        return pose, np.clip(self._gripper(message), 0.0, 1.0)

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
