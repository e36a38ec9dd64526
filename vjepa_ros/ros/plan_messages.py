"""Fills the messages of the planner from plain values; nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from builtin_interfaces.msg import Duration
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import Pose, PoseArray, PoseStamped, TwistStamped
from numpy.typing import NDArray
from sensor_msgs.msg import Image
from std_msgs.msg import Float32MultiArray, MultiArrayDimension
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from vjepa_ros import latents
from vjepa_ros.geometry import Vector, matrix_quaternion, rotation_matrix, turn_between
from vjepa_ros.ros.messages import status_message
from vjepa_ros.units import set_stamp

_LEVELS = {"planned": DiagnosticStatus.OK, "reached": DiagnosticStatus.OK}


def trajectory_message(names: Sequence[str], positions: NDArray[Any], stamp_ns: int, period_ns: int) -> JointTrajectory:
    """Joint positions (steps, joints) in rad and m, a period apart, the first of them a period after the stamp; a stamp
    of 0 is "as soon as it comes" for joint_trajectory_controller."""
    message = JointTrajectory(joint_names=list(names))
    set_stamp(message.header.stamp, stamp_ns)
    for number, row in enumerate(positions, start=1):
        since = Duration()
        set_stamp(since, number * period_ns)
        message.points.append(JointTrajectoryPoint(positions=list(map(float, row)), time_from_start=since))
    return message


def poses_message(poses: NDArray[Any], frame_id: str, stamp_ns: int) -> PoseArray:
    """Poses (steps, 6 or more): x, y, z in m, extrinsic xyz Euler angles in rad."""
    message = PoseArray()
    set_stamp(message.header.stamp, stamp_ns)
    message.header.frame_id = frame_id
    for row in poses:
        placed = np.eye(4)
        placed[:3, :3], placed[:3, 3] = rotation_matrix(row[3:6]), row[:3]
        message.poses.append(_pose(placed))
    return message


def pose_message(tip: Vector, frame_id: str, stamp_ns: int) -> PoseStamped:
    """A pose (4, 4), in m."""
    message = PoseStamped(pose=_pose(tip))
    set_stamp(message.header.stamp, stamp_ns)
    message.header.frame_id = frame_id
    return message


def _pose(placed: Vector) -> Pose:
    pose = Pose()
    p, q = pose.position, pose.orientation
    p.x, p.y, p.z = map(float, placed[:3, 3])
    q.x, q.y, q.z, q.w = map(float, matrix_quaternion(placed[:3, :3]))
    return pose


def twist_message(now: Vector, tip: Vector, period_s: float, frame_id: str, stamp_ns: int) -> TwistStamped:
    """The speed in m/s and rad/s, in the base's frame, that leads from one pose (4, 4) to another in a period."""
    message = TwistStamped()
    set_stamp(message.header.stamp, stamp_ns)
    message.header.frame_id = frame_id
    linear, angular = message.twist.linear, message.twist.angular
    linear.x, linear.y, linear.z = map(float, (tip[:3, 3] - now[:3, 3]) / period_s)
    angular.x, angular.y, angular.z = map(float, turn_between(now[:3, :3], tip[:3, :3]) / period_s)
    return message


def plan_energy_message(now: float, energies: NDArray[Any]) -> Float32MultiArray:
    """The energy now, the planned one, and that of each step."""
    values = np.concatenate([[now, energies[-1]], energies]).astype(np.float32)
    message = Float32MultiArray()
    message.layout.dim = [MultiArrayDimension(label="now, planned, by step", size=len(values), stride=len(values))]
    message.data.frombytes(values.tobytes())
    return message


def plan_status_message(values: Mapping[str, Any], stamp_ns: int, name: str) -> DiagnosticArray:
    """``planner_status``."""
    message = DiagnosticArray()
    set_stamp(message.header.stamp, stamp_ns)
    level = _LEVELS.get(values["state"], DiagnosticStatus.WARN)
    text = f"{values['reason']}: {values['detail']}" if values["reason"] else str(values["state"])
    message.status = [status_message(f"{name}: planner", level, text, latents.window_values(values))]
    return message


def picture_message(picture: NDArray[np.uint8], stamp_ns: int, frame_id: str) -> Image:
    """An RGB picture (height, width, 3)."""
    height, width, channels = picture.shape
    message = Image(height=height, width=width, encoding="rgb8", step=width * channels)
    set_stamp(message.header.stamp, stamp_ns)
    message.header.frame_id = frame_id
    message.data.frombytes(picture.tobytes())
    return message
