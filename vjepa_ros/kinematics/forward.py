"""Forward kinematics: joint positions in, the pose of a link out, or those of all links of many robots at once.

The transform of a joint is linear in sin q, 1 - cos q (Rodrigues' formula) and q, so those of all joints are one sum of
tables that are built once. It knows no messages, and where the chain came from.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vjepa_ros.geometry import Vector, euler_angles, quaternion_matrix, rotation_matrix
from vjepa_ros.kinematics.urdf import Joint


class Kinematics:
    """Where a chain of joints ends.

    Args:
        chain: the joints from base to tip.

    Attributes:
        joint_names: those that move, from base to tip.
        axes: (joints, 3) unit vectors that they turn about or move along, each in its own frame.
        slides: (joints,) bool, which of them move along their axis.
    """

    def __init__(self, chain: Sequence[Joint]) -> None:
        moving = [joint for joint in chain if joint.kind != "fixed"]
        self.joint_names = tuple(joint.name for joint in moving)
        self.axes = np.array([joint.axis for joint in moving], np.float64).reshape(-1, 3)
        self.slides = np.array([joint.kind == "prismatic" for joint in moving])
        # (joints, 4, 4) each: joint j is at still[j] + sin q by_sine[j] + (1 - cos q) by_versine[j] + q by_slide[j],
        # as seen from the joint before it.
        still, by_sine, by_versine, by_slide = (np.zeros((len(moving), 4, 4)) for _ in range(4))
        placement, number = np.eye(4), 0
        with np.errstate(all="ignore"):  # of huge numbers: who asks for a pose sees that it is not finite
            for joint in chain:
                origin = np.eye(4)
                given = joint.quat_xyzw
                turn = rotation_matrix(np.array(joint.rpy)) if given is None else quaternion_matrix(np.array(given))
                origin[:3, :3], origin[:3, 3] = turn, joint.xyz
                placement = placement @ origin
                if joint.kind == "fixed":
                    continue
                still[number] = placement
                rotation, axis = placement[:3, :3], np.array(joint.axis)
                if joint.kind == "prismatic":
                    by_slide[number, :3, 3] = rotation @ axis
                else:
                    cross = np.cross(axis, np.eye(3)).T  # cross @ v is axis x v
                    by_sine[number, :3, :3] = rotation @ cross
                    by_versine[number, :3, :3] = rotation @ cross @ cross
                placement, number = np.eye(4), number + 1
        self._tables = still, by_sine, by_versine, by_slide
        self._tip = placement  # as seen from the last joint that moves

    def pose(self, positions: Vector) -> Vector:
        """(joints,) positions in rad and m -> (6,) x, y, z in m and extrinsic xyz Euler angles in rad.

        It is not finite where the description's numbers or the positions are too large for that.
        """
        with np.errstate(all="ignore"):
            tip = self.transform(positions)
            return np.concatenate([tip[:3, 3], euler_angles(tip[:3, :3])])

    def transform(self, positions: Vector) -> Vector:
        """(joints,) positions in rad and m -> (4, 4), what takes points of the tip to points of the base, in m."""
        found = self._tip
        for joint in self._joints(positions)[::-1]:
            found = joint @ found
        return found

    def frames(self, positions: Vector) -> Vector:
        """Where every joint is, for any number of robots at once; a robot's numbers do not depend on the others.

        Args:
            positions: (..., joints) in rad and m.

        Returns:
            (..., joints + 1, 4, 4), what takes points of the link that a joint carries, and last of the tip, to points
            of the base, in m.
        """
        joints = self._joints(positions)
        found = np.empty((*joints.shape[:-3], joints.shape[-3] + 1, 4, 4))
        placement = np.eye(4)
        for number in range(joints.shape[-3]):
            placement = found[..., number, :, :] = placement @ joints[..., number, :, :]
        found[..., -1, :, :] = placement @ self._tip
        return found

    def _joints(self, positions: Vector) -> Vector:
        """(..., joints) -> (..., joints, 4, 4), each as seen from the joint before it."""
        still, by_sine, by_versine, by_slide = self._tables
        q = np.asarray(positions, np.float64)[..., None, None]
        joints: Vector = still + np.sin(q) * by_sine + (1.0 - np.cos(q)) * by_versine + q * by_slide
        return joints
