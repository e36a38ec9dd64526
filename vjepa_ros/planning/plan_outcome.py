"""What became of a plan: the plan with all that belongs to it, or the reason why there is none. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.forecast.forecaster import SeenWindow
from vjepa_ros.planning.aims import Target
from vjepa_ros.planning.motion import Steps
from vjepa_ros.planning.plan import Plan

Array = NDArray[Any]
"""Of float64."""

REASONS = (
    "no_goal",  # none has come yet
    "no_window",  # none in this epoch yet
    "stale_window",  # the newest one is too old, or was when the plan was there
    "new_goals",  # they come faster than plans
    "no_period",  # nothing says how long a step lasts
    "no_robot_description",  # candidates of the tip need one
    "no_tip",  # its chain is not what is commanded
    "bad_limits",  # nothing lies between them
    "outdated",  # time jumped, or a reset came, and no window has come since
    "not_finite",  # energies are not
    "no_time",  # the time limit was over before any iteration was done
    "model_failed",
    "internal_error",
)
"""Why there is no plan of a window."""


@dataclass(frozen=True)
class Outcome:
    """What became of a plan.

    Attributes:
        reason, detail: why there is none; empty where there is one, ``reached`` where none is needed any more.
        seen: the window, None where none was chosen.
        target: what it aims at, None where nothing is.
        now: the energy of what is observed.
        plan: the plan.
        reached: (H, A) joints in rad and m, or poses, after each of its actions.
        first: n, the first of its actions that is not decided yet.
        steps: its steps in time.
        is_late: whether the step of that action was over when the plan was there.
        took_s: from the choice of the window to the plan.
        begun_s: when that window was chosen, on the monotonic clock.
        picture: (height, width, 3) uint8 RGB, the goal beside what it is expected to lead to; where that was asked for.
    """

    reason: str = ""
    detail: str = ""
    seen: SeenWindow | None = None
    target: Target | None = None
    now: float = float("nan")
    plan: Plan | None = None
    reached: Array | None = None
    first: int = 0
    steps: Steps | None = None
    is_late: bool = False
    took_s: float = 0.0
    begun_s: float = 0.0
    picture: NDArray[np.uint8] | None = None
