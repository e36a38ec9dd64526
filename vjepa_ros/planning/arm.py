"""The arm that a plan moves: which joints, how far and how fast, and where the tip is. Out of a robot description.

Text and numbers in, numbers out; it knows no messages and no models.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vjepa_ros.config.planner import PlannerConfig
from vjepa_ros.config.pose import PoseConfig
from vjepa_ros.errors import InputError
from vjepa_ros.geometry import Vector
from vjepa_ros.kinematics.forward import Kinematics
from vjepa_ros.kinematics.inverse import InverseKinematics
from vjepa_ros.kinematics.limits import read_limits
from vjepa_ros.kinematics.urdf import read_chain, root_link

_FARTHEST_M, _FARTHEST_RAD = 0.005, 0.05  # from a pose that counts as reached
_ITERATIONS = 20


class Arm:
    """Joints with their limits, tightened by the parameters, and the chain that carries the tip.

    Args:
        text: the robot description.
        planner: what tightens its limits.
        pose: which links the chain is between.
        joint_names: the joints that actions are about; none where actions are poses of the tip.

    Attributes:
        joint_names: those joints, and those of the chain that are not among them.
        chain: (joints of the chain,) their places in it.
        lower, upper, velocity, step: (joints,) in rad, m, rad/s and m/s; ``step`` is infinite where only the velocity
            bounds it.
        box_m: (2, 3) its lowest and highest corner; infinite where there is none.
        base: the link that poses are relative to.
        kinematics: of the chain.

    Raises:
        InputError: ``bad_description``; ``no_limits`` where a joint has none, or the parameters leave none.
    """

    def __init__(self, text: str, planner: PlannerConfig, pose: PoseConfig, joint_names: Sequence[str]) -> None:
        self.kinematics = Kinematics(read_chain(text, pose.base_link, pose.tip_link))
        self.base = root_link(text, pose.base_link, pose.tip_link)
        own = self.kinematics.joint_names
        self.joint_names = (*joint_names, *(name for name in own if name not in joint_names))
        self.chain = np.array([self.joint_names.index(name) for name in own])
        commanded = tuple(joint_names) or own  # whom the parameters are about
        limits = read_limits(text, self.joint_names)
        self.lower = np.array([limit.lower for limit in limits])
        self.upper = np.array([limit.upper for limit in limits])
        self.velocity = np.array([limit.velocity for limit in limits])
        few = slice(len(commanded))
        self.lower[few] = np.maximum(self.lower[few], _each("min_position", planner.min_position, commanded, -np.inf))
        self.upper[few] = np.minimum(self.upper[few], _each("max_position", planner.max_position, commanded, np.inf))
        self.velocity[few] = np.minimum(
            self.velocity[few], _each("max_velocity", planner.max_velocity, commanded, np.inf)
        )
        self.step = np.full(len(limits), np.inf)
        self.step[few] = _each("max_step", planner.max_step, commanded, np.inf)
        for name, low, high in zip(self.joint_names, self.lower, self.upper, strict=True):
            if not low <= high:
                raise InputError("no_limits", f"the parameters leave joint {name!r} from {low:g} to {high:g}")
        self.box_m = np.array(planner.box_m or (-np.inf,) * 3 + (np.inf,) * 3).reshape(2, 3)

    def inverse(self, rest: Vector) -> InverseKinematics:
        """Inverse kinematics of the chain within its limits; ``rest`` (joints,) is where it stays near."""
        low, high = self.lower[self.chain], self.upper[self.chain]
        whole = np.pi * 100  # of a continuous joint, whose limits are infinite
        return InverseKinematics(
            self.kinematics, np.maximum(low, -whole), np.minimum(high, whole), np.clip(rest[self.chain], low, high)
        )

    def tip(self, positions: Vector) -> Vector:
        """(joints,) -> (4, 4) where the tip is, in m."""
        return self.kinematics.transform(positions[self.chain])

    def tips(self, positions: Vector) -> Vector:
        """(n, joints) -> (n, 3) where it is for each, in m."""
        found: Vector = self.kinematics.frames(positions[:, self.chain])[:, -1, :3, 3]
        return found

    def reach(self, now: Vector, pose: Vector) -> Vector:
        """Joints that bring the tip to a pose, from where they are.

        Args:
            now: (joints,).
            pose: (4, 4) in m.

        Returns:
            (joints,).

        Raises:
            InputError: ``out_of_reach``.
        """
        found = self.inverse(now).solve(now[self.chain], pose, _ITERATIONS)
        if not (found.error_m <= _FARTHEST_M and found.error_rad <= _FARTHEST_RAD):
            raise InputError(
                "out_of_reach", f"within their limits the joints bring the tip no nearer to its pose than "
                f"{float(found.error_m):.3f} m and {float(found.error_rad):.3f} rad",
            )  # fmt: skip
        joints = now.copy()
        joints[self.chain] = found.positions
        return joints


def _each(name: str, numbers: Sequence[float], joints: Sequence[str], otherwise: float) -> Vector:
    """(joints,) of a parameter with one number for each joint, or one for all, or none."""
    if len(numbers) not in (0, 1, len(joints)):
        raise InputError("no_limits", f"planner.{name} has {len(numbers)} numbers for {len(joints)} joints")
    return np.broadcast_to(np.array(numbers or (otherwise,), np.float64), (len(joints),))
