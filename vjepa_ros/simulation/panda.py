"""The Franka Panda: its description, its limits, where its tip may go, and its joints for a place of the tip.

The tip is the point between the fingertips (``panda_hand_tcp``); the gripper looks straight down. Numbers in, numbers
out, many robots at once; it knows no time. The description beside it is Franka's (assets/README.md).
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.geometry import Vector
from vjepa_ros.kinematics.forward import Kinematics
from vjepa_ros.kinematics.inverse import InverseKinematics
from vjepa_ros.kinematics.urdf import read_chain

ASSETS = Path(__file__).parent / "assets"

JOINTS = tuple(f"panda_joint{number}" for number in range(1, 8))
FINGERS = ("panda_finger_joint1", "panda_finger_joint2")
BASE, TIP = "panda_link0", "panda_hand_tcp"

# rad, rad/s: Franka's, as in the description; a test holds them against it.
LOWER = np.array([-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973])
UPPER = np.array([2.8973, 1.7628, 2.8973, -0.0698, 2.8973, 3.7525, 2.8973])
FASTEST = np.array([2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61])
READY = np.array([0.0, -np.pi / 4, 0.0, -3 * np.pi / 4, 0.0, np.pi / 2, np.pi / 4])  # rad
OPEN_M = 0.04  # of each finger

LOW, HIGH = np.array([0.30, -0.35, 0.06]), np.array([0.65, 0.35, 0.50])
"""The workspace of the tip, in m from the base."""
FARTHEST_M = 0.70
"""From the base to the tip."""

_DOWN = np.diag([1.0, -1.0, -1.0])
_ITERATIONS = 12  # from READY: within 0.6 mm and 0.001 rad everywhere in the workspace


def description() -> str:
    """The robot description (URDF), without meshes."""
    return (ASSETS / "panda.urdf").read_text(encoding="utf-8")


@cache
def kinematics(tip: str = TIP) -> Kinematics:
    """Where the joints lead, from the base to a link."""
    return Kinematics(read_chain(description(), BASE, tip))


@cache
def finger(link: str) -> Kinematics:
    """Where a finger is, as seen from the hand."""
    # The description says that one follows the other, which a chain has no word for.
    return Kinematics(read_chain(re.sub(r"<mimic[^>]*/>", "", description()), "panda_hand", link))


@cache
def _inverse() -> InverseKinematics:
    return InverseKinematics(kinematics(), LOWER, UPPER, READY)


def tips_of(joints: Vector) -> Vector:
    """(..., 7) in rad -> (..., 3) tips in m."""
    return np.ascontiguousarray(kinematics().frames(joints)[..., -1, :3, 3])


def joints_for(tips: Vector) -> Vector:
    """(..., 3) tips in m -> (..., 7) in rad, the gripper looking down.

    They depend on nothing but the tip, each row on its own: whoever commands places of the tip by this comes back to
    the same joints. Outside of the workspace the tip may stay away from where it should be.
    """
    targets = np.broadcast_to(np.eye(4), (*tips.shape[:-1], 4, 4)).copy()
    targets[..., :3, :3], targets[..., :3, 3] = _DOWN, tips
    return _inverse().solve(np.broadcast_to(READY, (*tips.shape[:-1], 7)), targets, _ITERATIONS).positions


def into_workspace(tips: Vector) -> Vector:
    """(..., 3) -> (..., 3), those outside moved to its border."""
    found = np.clip(tips, LOW, HIGH)
    # Towards the point of the box that is nearest to the base: a straight line, and so in the box all along.
    way = found - LOW_CORNER
    a = _dot(way, way)
    b = _dot(way, np.broadcast_to(LOW_CORNER, way.shape))
    c = _dot(LOW_CORNER, LOW_CORNER) - FARTHEST_M**2
    outside = _dot(found, found) > FARTHEST_M**2
    share = (-b + np.sqrt(np.maximum(b * b - a * c, 0.0))) / np.maximum(a, 1e-12)
    moved: Vector = np.where(outside[..., None], LOW_CORNER + way * share[..., None], found)
    return moved


LOW_CORNER = np.array([LOW[0], 0.0, LOW[2]])
"""The point of the workspace that is nearest to the base."""


def is_inside(tips: Vector, margin_m: float = 0.0) -> NDArray[np.bool_]:
    """(..., 3) -> (...,), whether a tip is in the workspace, or at most so far outside of it."""
    in_box = ((tips >= LOW - margin_m) & (tips <= HIGH + margin_m)).all(axis=-1)
    found: NDArray[np.bool_] = in_box & (_dot(tips, tips) <= (FARTHEST_M + margin_m) ** 2)
    return found


def random_tips(rng: np.random.Generator) -> Vector:
    """(3,) a place in the workspace, all alike."""
    while True:
        tip = rng.uniform(LOW, HIGH)
        if is_inside(tip):
            return tip


def _dot(a: Vector, b: Vector) -> Vector:
    """(..., 3) twice -> (...,), summed in one order whatever the number of rows."""
    found: Vector = a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1] + a[..., 2] * b[..., 2]
    return found
