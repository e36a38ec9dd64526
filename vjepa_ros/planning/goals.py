"""Where a plan is to lead: one goal, or sub-goals one after another, and what ends each of them.

Latents and energies in; it knows no images, no models and no clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from numpy.typing import NDArray
from torch import Tensor

from vjepa_ros.config.checks import require
from vjepa_ros.errors import ShapeError


@dataclass(frozen=True)
class SubGoal:
    """One of a sequence of goals.

    Attributes:
        latents: (1, H'*W', D), layer-normalised.
        mask: (H', W') bool, the tokens that count; None for all.
        name: for people.
    """

    latents: Tensor
    mask: NDArray[Any] | None = None
    name: str = ""

    @classmethod
    def of_images(cls, latents: Sequence[Tensor], mask: NDArray[Any] | None = None, name: str = "") -> SubGoal:
        """Several images of one goal: the mean of their latents, (1, H'*W', D) each, weighs what they have in common.

        Raises:
            ShapeError: for none, or of different shapes.
        """
        shapes = {tuple(one.shape) for one in latents}
        if len(shapes) != 1:
            raise ShapeError(f"a goal of {len(latents)} images of shapes {sorted(shapes)}; all must have one shape")
        return cls(torch.stack(list(latents)).mean(dim=0), mask, name)


@dataclass(frozen=True)
class End:
    """What ends a sub-goal; 0 for what does not.

    Attributes:
        energy: it is reached once the energy is below this ...
        plans: ... in so many plans in a row.
        steps: it is left for the next one after so many executed steps, reached or not, as the paper's pick-and-place
            does. The last one is never left so.
    """

    energy: float = 0.0
    plans: int = 1
    steps: int = 0

    def __post_init__(self) -> None:
        require(self.energy >= 0, "planner.goal_energy", "must not be negative")
        require(self.plans >= 1, "planner.goal_plans", "must be at least 1")
        require(self.steps >= 0, "planner.goal_steps", "must not be negative")


Verdict = Literal["going", "next", "reached"]


class Goals:
    """Sub-goals, one after another.

    Args:
        goals: in order, at least one.
        ends: what ends each; one for all, or one for each.

    Attributes:
        index: of the current one.
        reached: whether the last one was met.
    """

    def __init__(self, goals: Sequence[SubGoal], ends: End | Sequence[End]) -> None:
        require(len(goals) > 0, "planner.goals", "is empty")
        self._goals = tuple(goals)
        self._ends = (ends,) * len(goals) if isinstance(ends, End) else tuple(ends)
        require(len(self._ends) == len(goals), "planner.goals", f"{len(goals)} goals with {len(self._ends)} ends")
        self.index = 0
        self.reached = False
        self._low = self._steps = 0

    def __len__(self) -> int:
        return len(self._goals)

    @property
    def current(self) -> SubGoal:
        """What is to be reached now."""
        return self._goals[self.index]

    def note(self, energy: float, executed: int = 1) -> Verdict:
        """Take note of where the robot is.

        Args:
            energy: of the newest observed step, to the current goal.
            executed: steps that were executed since the last time.

        Returns:
            ``next`` where another sub-goal is the current one now, ``reached`` once the last one is met.
        """
        if self.reached:
            return "reached"
        end = self._ends[self.index]
        self._steps += executed
        self._low = self._low + 1 if energy < end.energy else 0
        if self._low >= end.plans:
            return self.advance()
        if end.steps and self._steps >= end.steps and self.index + 1 < len(self._goals):
            return self.advance()
        return "going"

    def advance(self) -> Verdict:
        """Leave the current goal, as if it was reached."""
        self._low = self._steps = 0
        if self.index + 1 == len(self._goals):
            self.reached = True
            return "reached"
        self.index += 1
        return "next"
