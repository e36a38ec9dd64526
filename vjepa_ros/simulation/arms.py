"""How arms follow their commands: a lag, a limited speed, joint limits and the workspace. No forces, no contacts.

Joint targets in, joint positions out, any number of arms at once, each on its own. It knows no pictures, and no clock
but the seconds that it is told have passed.
"""

from __future__ import annotations

import numpy as np

from vjepa_ros.geometry import Vector
from vjepa_ros.simulation import panda

LAG_S = 0.08
"""In which the way to a command shrinks to 1/e."""
FASTEST_M_S = 0.6
"""Of the tip."""
REACH_BEYOND_M = 0.02
"""How far outside of the workspace a commanded tip may be; others are moved to its border."""
_TRIES = 4  # to find how much of a step the tip is fast enough for


class Arms:
    """Some arms.

    Args:
        joints: (B, 7) where they are, in rad; they stay until they are commanded.

    Attributes:
        joints: (B, 7) where they are now.
        commands: (B, 7) what they follow.
    """

    def __init__(self, joints: Vector) -> None:
        self.joints = np.clip(joints, panda.LOWER, panda.UPPER)
        self.commands = self.joints

    def command(self, targets: Vector) -> None:
        """Have them go to (B, 7) joint targets in rad, cut to the limits of joints and workspace."""
        self.commands = within_limits(targets)

    def advance(self, seconds: float) -> None:
        """Let time pass; at 0.6 m/s much longer steps than 0.05 s would cut corners."""
        way = (self.commands - self.joints) * -np.expm1(-seconds / LAG_S)
        most = panda.FASTEST * seconds
        share = np.min(most / np.maximum(np.abs(way), most), axis=-1, keepdims=True)
        tips = panda.tips_of(self.joints)
        for _ in range(_TRIES):  # its path is nearly straight: each try comes closer
            moved = panda.tips_of(self.joints + share * way) - tips
            far = np.sqrt(moved[:, 0] ** 2 + moved[:, 1] ** 2 + moved[:, 2] ** 2)[:, None]
            share = share * (FASTEST_M_S * seconds / np.maximum(far, FASTEST_M_S * seconds))
        self.joints = self.joints + share * way


def within_limits(targets: Vector) -> Vector:
    """(..., 7) joint targets in rad -> what an arm takes them for: within limits, the tip in the workspace."""
    found = np.clip(targets, panda.LOWER, panda.UPPER)
    tips = panda.tips_of(found)
    outside = ~panda.is_inside(tips, REACH_BEYOND_M)
    if outside.any():
        found[outside] = panda.joints_for(panda.into_workspace(tips[outside]))
    return found
