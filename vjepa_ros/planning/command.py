"""What passes between a plan and the robot: a step that is offered, a command that is sent, and who sends it.

Values only; what may be sent is judged in :mod:`.execution`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from vjepa_ros.geometry import Vector
from vjepa_ros.planning.arm import Arm


@dataclass(frozen=True)
class Command:
    """What is sent.

    Attributes:
        arm: whose joints they are.
        now, target: (joints,) where they are, and where they are to be.
        period_s: from when it is in force until then.
        at_ns: when its step begins, on the clock of the frames' stamps.
        is_cut: whether a limit has made it shorter than it was planned.
    """

    arm: Arm
    now: Vector
    target: Vector
    period_s: float
    at_ns: int
    is_cut: bool = False


@dataclass(frozen=True)
class Step:
    """The first free step of a plan, as it is offered.

    Attributes:
        energy: of what is observed now.
        target: joints that actions are about, in rad and m, or (4, 4) the pose of the tip, after the step.
        is_pose: which of them it is.
        begins_ns, ends_ns: of the step, on the clock of the stamps.
        begun_s: when the plan was begun, on the monotonic clock.
    """

    energy: float
    target: Vector
    is_pose: bool
    begins_ns: int
    ends_ns: int
    begun_s: float = np.inf


class Sender(Protocol):
    """What sends."""

    def send(self, command: Command) -> None:
        """Send a command."""

    def rest(self) -> None:
        """Send, where commands are speeds, that of zero."""
