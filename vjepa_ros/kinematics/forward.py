"""Forward kinematics: joint positions in, the pose of a link out.

The transform of a joint is linear in sin q, 1 - cos q (Rodrigues' formula) and q, so those of all joints are one sum of
tables that are built once. It knows no messages, and where the chain came from.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vjepa_ros.geometry import Vector, euler_angles, rotation_matrix
from vjepa_ros.kinematics.urdf import Joint


class Kinematics:
    """Where a chain of joints ends.

    Args:
        chain: the joints from base to tip.

    Attributes:
        joint_names: those that move, from base to tip.
    """

    def __init__(self, chain: Sequence[Joint]) -> None:
        moving = [joint for joint in chain if joint.kind != "fixed"]
        self.joint_names = tuple(joint.name for joint in moving)
        # (joints, 4, 4) each: joint j is at still[j] + sin q by_sine[j] + (1 - cos q) by_versine[j] + q by_slide[j],
        # as seen from the joint before it.
        still, by_sine, by_versine, by_slide = (np.zeros((len(moving), 4, 4)) for _ in range(4))
        placement, number = np.eye(4), 0
        with np.errstate(all="ignore"):  # of huge numbers: who asks for a pose sees that it is not finite
            for joint in chain:
                origin = np.eye(4)
                origin[:3, :3], origin[:3, 3] = rotation_matrix(np.array(joint.rpy)), joint.xyz
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
        still, by_sine, by_versine, by_slide = self._tables
        q = np.asarray(positions, np.float64)[:, None, None]
        joints = still + np.sin(q) * by_sine + (1.0 - np.cos(q)) * by_versine + q * by_slide  # (joints, 4, 4)
        found = self._tip
        for joint in joints[::-1]:
            found = joint @ found
        return found
