"""Forward kinematics by pinocchio: joint positions in, the pose of a link out.

pinocchio is an optional dependency, imported when the first chain is built. It gets numbers, never the text of a robot
description. It knows no messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vjepa_ros.errors import ConfigError
from vjepa_ros.geometry import Vector, euler_angles, rotation_matrix
from vjepa_ros.kinematics.urdf import Joint


def load_pinocchio() -> Any:
    """The module pinocchio.

    Raises:
        ConfigError: where it is not installed, cannot be imported, or is another package of that name.
    """
    advice = (
        "install the package pinocchio of your ROS distribution (rosdep does, for example as ros-jazzy-pinocchio), "
        "or without ROS: pip install pin"
    )
    try:
        import pinocchio
    except ImportError as error:
        raise ConfigError("pose.source", f"forward_kinematics needs pinocchio ({error}): {advice}") from error
    if not hasattr(pinocchio, "forwardKinematics"):
        # PyPI has a plugin of nose by the name of pinocchio.
        raise ConfigError("pose.source", f"{pinocchio.__file__} is another package named pinocchio: {advice}")
    return pinocchio


class Kinematics:
    """Where a chain of joints ends.

    Args:
        chain: the joints from base to tip.

    Attributes:
        joint_names: those that move, from base to tip.

    Raises:
        ConfigError: without pinocchio.
    """

    def __init__(self, chain: Sequence[Joint]) -> None:
        pin = self._pin = load_pinocchio()
        kinds = {"revolute": pin.JointModelRevoluteUnaligned, "prismatic": pin.JointModelPrismaticUnaligned}
        self.joint_names = tuple(joint.name for joint in chain if joint.kind != "fixed")
        self._model = pin.Model()
        last, placement = 0, pin.SE3.Identity()
        for number, joint in enumerate(chain):
            placement = placement * pin.SE3(rotation_matrix(np.array(joint.rpy)), np.array(joint.xyz))
            if joint.kind != "fixed":
                kind = kinds[joint.kind](np.array(joint.axis))
                last = self._model.addJoint(last, kind, placement, str(number))  # names may stand there twice
                placement = pin.SE3.Identity()
        self._last, self._tip = last, placement  # the tip, as seen from the last joint that moves
        self._data = self._model.createData()

    def pose(self, positions: Vector) -> Vector:
        """(joints,) positions in rad and m -> (6,) x, y, z in m and extrinsic xyz Euler angles in rad."""
        self._pin.forwardKinematics(self._model, self._data, positions)
        tip = self._data.oMi[self._last] * self._tip
        return np.concatenate([tip.translation, euler_angles(tip.rotation)])
