"""What may be sent to a robot: no position, speed or step beyond a limit, and no tip outside of its box.

It judges one command at a time and keeps nothing; what ends execution is :mod:`.execution`'s. Numbers in, numbers out.
What it does not replace stands in docs/safety.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vjepa_ros.geometry import Vector
from vjepa_ros.planning.arm import Arm

_WAYPOINTS = 9  # of the way, on which the tip must be in its box too
_EPSILON = 1e-9  # rad or m: rounding is no hit


@dataclass(frozen=True)
class Verdict:
    """What becomes of a command.

    Attributes:
        positions: (joints,) what may be sent; None where nothing may.
        hit: which limit cut it or kept it back, in words; empty for none.
    """

    positions: Vector | None
    hit: str


def judge(arm: Arm, now: Vector, target: Vector, period_s: float) -> Verdict:
    """Cut a command to what the limits allow.

    A joint that is outside of its limits already may only go back.

    Args:
        arm: the limits.
        now: (joints,) what is measured.
        target: (joints,) where the plan wants the joints after a step.
        period_s: of a step.
    """
    if not (np.isfinite(now).all() and np.isfinite(target).all()):
        return Verdict(None, "positions that are not finite")
    hits = []
    positions = np.clip(target, arm.lower, arm.upper)
    if (np.abs(positions - target) > _EPSILON).any():
        hits.append(_worst(arm, positions - target, "position limit"))
    reach = np.minimum(arm.step, arm.velocity * period_s)
    step = positions - now
    # All joints by one factor, so that the way stays the one that was planned.
    share = float(np.min(reach / np.maximum(np.abs(step), reach)))
    if share < 1 - _EPSILON:
        hits.append(_worst(arm, np.abs(step) / reach, "speed or step limit"))
    positions = now + share * step
    way = now + np.linspace(0.0, 1.0, _WAYPOINTS + 1)[1:, None] * (positions - now)
    tips = arm.tips(way)
    low, high = arm.box_m
    if not ((tips >= low) & (tips <= high)).all():
        outside = tips[~((tips >= low) & (tips <= high)).all(axis=1)][0]
        return Verdict(None, f"the tip would be at {np.round(outside, 3).tolist()} m, outside of planner.box_m")
    return Verdict(positions, "; ".join(hits))


def judge_ahead(arm: Arm, now: Vector, start: Vector, target: Vector, within_s: float, period_s: float) -> Verdict:
    """Cut a command whose step begins later, from where the one before it leads, to what the limits allow.

    Args:
        arm: the limits.
        now: (joints,) what is measured.
        start: (joints,) where the command before it leads.
        target: (joints,) where the plan wants the joints at the end of the step.
        within_s: from now to there; a joint that has not followed must be able to come from where it is.
        period_s: of the step alone; a joint that has followed must be able to come from the start.
    """
    first = judge(arm, start, target, period_s)
    if first.positions is None:
        return first
    found = judge(arm, now, first.positions, within_s)
    if found.positions is None:
        return found
    if (np.abs(found.positions - start) > np.minimum(arm.step, arm.velocity * period_s) + _EPSILON).any():
        return Verdict(None, "the joints are too far from where they were sent last")
    return Verdict(found.positions, "; ".join(filter(None, (first.hit, found.hit))))


def _worst(arm: Arm, excess: Vector, what: str) -> str:
    return f"the {what} of {arm.joint_names[int(np.argmax(np.abs(excess)))]}"
