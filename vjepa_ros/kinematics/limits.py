"""How far and how fast joints may move, out of a robot description (URDF) that nobody vouches for.

Text in, numbers out. It knows no kinematics.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from vjepa_ros.errors import InputError, listed, quoted
from vjepa_ros.kinematics.urdf import KINDS, RawJoint, raw_joints


@dataclass(frozen=True)
class Limits:
    """How far and how fast a joint may move, as its description says.

    Attributes:
        lower, upper: in rad or m; infinite for a continuous one.
        velocity: in rad/s or m/s.
    """

    lower: float
    upper: float
    velocity: float


def read_limits(text: str, names: Iterable[str]) -> tuple[Limits, ...]:
    """The limits of joints, in the order of their names; any joint of the description, not only those of a chain.

    Raises:
        InputError: ``bad_description`` where it cannot be read; ``no_limits`` for a joint that is not there, or has
            none.
    """
    joints = raw_joints(text)
    found = []
    for name in names:
        if name not in joints:
            raise InputError("no_limits", f"there is no joint {quoted(name)}, only {listed(joints)}")
        found.append(_limits(joints[name]))
    return tuple(found)


def _limits(raw: RawJoint) -> Limits:
    name = quoted(raw.name)
    numbers = {}
    wanted = ("velocity",) if raw.kind == "continuous" else ("lower", "upper", "velocity")
    for attribute in wanted:
        text = raw.get("limit", attribute, "" if attribute == "velocity" else "0")  # 0 is URDF's own default
        try:
            numbers[attribute] = float(text)
        except ValueError:
            raise InputError("no_limits", f"joint {name} has no {attribute} limit, but {quoted(text, 40)}") from None
    lower, upper = numbers.get("lower", -math.inf), numbers.get("upper", math.inf)
    velocity = numbers["velocity"]
    is_moving = raw.kind in KINDS and raw.kind != "fixed"
    is_moving &= raw.kind == "continuous" or math.isfinite(upper - lower)
    if not (is_moving and lower < upper and 0 < velocity < math.inf):
        raise InputError("no_limits", f"joint {name} ({quoted(raw.kind, 40)}) may go from {lower:g} to {upper:g} at "
                         f"{velocity:g} a second, which limits nothing")  # fmt: skip
    return Limits(lower, upper, velocity)
