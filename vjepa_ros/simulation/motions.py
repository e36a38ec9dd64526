"""What arms are commanded: places of the tip, one a step, from a seed. It knows no joints, no pictures and no time.

The shares of the four kinds are those with which models learned well: most go somewhere, some wander, some jump further
than an arm can follow in one step, and some stand still, which a model must know too.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vjepa_ros.geometry import Vector
from vjepa_ros.simulation import panda

_WAY_M = (0.02, 0.09)  # of a step towards a waypoint, as long as that is the same for one waypoint
_KEPT, _PUSH_M, _LONGEST_M = 0.7, 0.025, 0.09  # of a walk: of the step before, per axis, of a step
_JUMP_M = 0.11  # per axis


def _waypoints(rng: np.random.Generator, tips: Vector) -> None:
    goal, way = panda.random_tips(rng), rng.uniform(*_WAY_M)
    for step in range(1, len(tips)):
        left = goal - tips[step - 1]
        distance = float(np.sqrt(left @ left))
        if distance <= way:
            tips[step] = goal
            goal, way = panda.random_tips(rng), rng.uniform(*_WAY_M)
        else:
            tips[step] = panda.into_workspace(tips[step - 1] + left * (way / distance))


def _walk(rng: np.random.Generator, tips: Vector) -> None:
    speed = rng.normal(0.0, _PUSH_M, 3)
    for step in range(1, len(tips)):
        speed = _KEPT * speed + rng.normal(0.0, _PUSH_M, 3)
        length = float(np.sqrt(speed @ speed))
        speed *= min(1.0, _LONGEST_M / max(length, 1e-9))
        tips[step] = panda.into_workspace(tips[step - 1] + speed)
        speed = np.where(np.abs(tips[step] - tips[step - 1] - speed) > 1e-6, -speed, speed)  # it turns at a border


def _stay(_rng: np.random.Generator, tips: Vector) -> None:
    tips[:] = tips[0]


def _jumps(rng: np.random.Generator, tips: Vector) -> None:
    for step in range(1, len(tips)):
        tips[step] = panda.into_workspace(tips[step - 1] + rng.uniform(-_JUMP_M, _JUMP_M, 3))


MOTIONS: dict[str, tuple[float, Callable[[np.random.Generator, Vector], None]]] = {
    "waypoints": (0.45, _waypoints),
    "walk": (0.33, _walk),
    "static": (0.10, _stay),
    "jumps": (0.12, _jumps),
}
"""By name: the share of episodes, and what fills in the tips after the first one."""


def motion(rng: np.random.Generator, steps: int) -> tuple[str, Vector]:
    """Where the tip is commanded to be.

    Args:
        rng: what it comes from.
        steps: how many commands there are after the first.

    Returns:
        Its name, and (steps + 1, 3) tips in m, in the workspace; the first is where the arm stands at the beginning.
    """
    names = list(MOTIONS)
    name = names[int(np.searchsorted(np.cumsum([MOTIONS[name][0] for name in names])[:-1], rng.random(), "right"))]
    tips = np.empty((steps + 1, 3))
    tips[0] = panda.random_tips(rng)
    MOTIONS[name][1](rng, tips)
    return name, tips
