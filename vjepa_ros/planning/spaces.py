"""What a solver draws candidates in: the actions themselves, or motions of the tip that become joint actions.

Arrays in, arrays out; it knows no model, no limits of speed and no obstacles.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.config.checks import require
from vjepa_ros.errors import ShapeError
from vjepa_ros.geometry import Vector, rotation_matrix
from vjepa_ros.kinematics.forward import Kinematics
from vjepa_ros.kinematics.inverse import InverseKinematics

Array = NDArray[Any]
"""Of float64."""


class Space(Protocol):
    """What candidates are drawn in."""

    @property
    def dims(self) -> int:
        """How many numbers stand for a step."""

    def actions(self, samples: Array) -> Array:
        """(K, H, dims) -> (K, H, A), as actions are read."""


@dataclass(frozen=True)
class ActionSpace:
    """The actions themselves.

    Attributes:
        dims: A.
    """

    dims: int

    def actions(self, samples: Array) -> Array:
        """The same."""
        return samples


@dataclass(frozen=True)
class TipSpace:
    """Motions of the tip, a step after another: x, y, z in m, then yaw in rad and the gripper, where asked for.

    Each step's pose of the tip is reached by inverse kinematics from the joints of the step before; its orientation
    stays what it is at the start, but for a turn about the base's z axis, or is one that is given.

    Attributes:
        kinematics: of the chain that carries the tip.
        inverse: its inverse.
        start: (A,) joint positions at the step from which the first action leads, in the order of the actions.
        joints: per joint of the chain its place in an action.
        effect: whether an action is the ``target`` of the joints or what is added to them, ``delta``.
        box_m: ((x, y, z), (x, y, z)), corners in the base's frame that the tip stays between; None for none.
        turns: whether the yaw is sampled.
        gripper: place of the gripper in an action, where it is sampled; None where it stays.
        orientation: (3, 3) of the tip after every step; None where it stays.
        iterations: of the inverse kinematics, per step.
    """

    kinematics: Kinematics
    inverse: InverseKinematics
    start: Vector
    joints: tuple[int, ...]
    effect: Literal["target", "delta"]
    box_m: tuple[Vector, Vector] | None = None
    turns: bool = False
    gripper: int | None = None
    orientation: Vector | None = None
    iterations: int = 6
    _pose: Vector = field(init=False, repr=False)

    def __post_init__(self) -> None:
        require(self.effect in ("target", "delta"), "planner.sample_space", "tip needs joint targets or differences")
        start = np.asarray(self.start, np.float64)
        if start.ndim != 1 or len(self.joints) != len(self.kinematics.joint_names):
            raise ShapeError(
                f"a start of shape {start.shape} and {len(self.joints)} places where (A,) and "
                f"{len(self.kinematics.joint_names)}, one for each joint of the chain, are needed"
            )
        object.__setattr__(self, "start", start)
        pose = self.kinematics.transform(start[list(self.joints)])
        if self.orientation is not None:
            pose[:3, :3] = self.orientation
        object.__setattr__(self, "_pose", pose)

    @property
    def dims(self) -> int:
        """3, and one for yaw and gripper each, where they are sampled."""
        return 3 + self.turns + (self.gripper is not None)

    def actions(self, samples: Array) -> Array:
        """(K, H, dims) motions of the tip -> (K, H, A) joint actions."""
        count, steps = samples.shape[:2]
        targets = self.targets(samples)
        chain = list(self.joints)
        before = np.broadcast_to(self.start, (count, len(self.start)))
        found = np.empty((count, steps, len(self.start)))
        for step in range(steps):
            after = before.copy()
            after[:, chain] = self.inverse.positions(before[:, chain], targets[:, step], self.iterations)
            if self.gripper is not None:
                after[:, self.gripper] = before[:, self.gripper] + samples[:, step, -1]
            found[:, step] = after if self.effect == "target" else after - before
            before = after
        return found

    def targets(self, samples: Array) -> Array:
        """(K, H, dims) -> (K, H, 4, 4) where the tip is to be after each step, inside of the box."""
        poses = np.broadcast_to(self._pose, (*samples.shape[:2], 4, 4)).copy()
        place = np.broadcast_to(self._pose[:3, 3], (len(samples), 3))
        for step in range(samples.shape[1]):  # kept inside step by step, so that a motion back is one at once
            place = place + samples[:, step, :3]
            if self.box_m is not None:
                place = np.clip(place, *self.box_m)
            poses[:, step, :3, 3] = place
        if self.turns:
            yaw = np.cumsum(samples[..., 3], axis=1)
            angles = np.stack([np.zeros_like(yaw), np.zeros_like(yaw), yaw], axis=-1)
            poses[..., :3, :3] = rotation_matrix(angles) @ poses[..., :3, :3]
        return poses
