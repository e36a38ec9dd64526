"""The goals of a node: images that come or lie in a folder, encoded when the model has time, and which one counts.

Used from two threads: goals come in one, and the one that touches the model encodes them and notes what is observed.
No ROS, no clock.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from vjepa_ros.config.planner import PlannerConfig
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.planning.goals import End, Goals, SubGoal, Verdict


@dataclass(frozen=True)
class GoalImages:
    """What a goal looks like.

    Attributes:
        name: for people.
        images: (3, H, W) float32 each, preprocessed as the camera's frames are; at least one.
        stamp_ns: of the message that it came in, 0 for files.
    """

    name: str
    images: tuple[NDArray[np.float32], ...]
    stamp_ns: int = 0

    def is_same(self, other: GoalImages) -> bool:
        """Whether they look the same."""
        return len(self.images) == len(other.images) and all(map(np.array_equal, self.images, other.images))


@dataclass(frozen=True)
class Target:
    """What a plan aims at.

    Attributes:
        version: of the aims.
        goal, index: which one.
        latents: (1, H'*W', D).
        mask: (H', W') bool, the tokens that count; None for all.
    """

    version: int
    goal: GoalImages
    index: int
    latents: torch.Tensor
    mask: NDArray[np.bool_] | None = None


class _Course:
    """Goals that were set at once, with what has become of them: whoever holds one has what belongs together.

    Args:
        images: of each goal.
        is_given: whether they are those of the folder.

    Attributes:
        images, is_given: as given.
        latents: of each image, as far as they are encoded; only the thread that touches the model changes them.
        goals: the sub-goals; None until all are encoded.
    """

    def __init__(self, images: tuple[GoalImages, ...], *, is_given: bool) -> None:
        self.images = images
        self.is_given = is_given
        self.latents: tuple[list[torch.Tensor], ...] = tuple([] for _ in images)
        self.goals: Goals | None = None

    @property
    def index(self) -> int:
        """Of the goal that is aimed at."""
        return 0 if self.goals is None else self.goals.index

    @property
    def is_reached(self) -> bool:
        """Whether the last one is met."""
        return self.goals is not None and self.goals.reached


class Aims:
    """Which goals there are, and which one is aimed at.

    Args:
        config: what ends a goal.
        given: the sub-goals of the folder; none where a goal must come first.
        mask: (H', W') bool, the tokens of each goal that count; None for all.

    Raises:
        ConfigError: where what ends goals is said for another number of them.

    Attributes:
        version: rises whenever something else is aimed at.
    """

    def __init__(
        self, config: PlannerConfig, given: Sequence[GoalImages], mask: NDArray[np.bool_] | None = None
    ) -> None:
        self._mask = mask
        self._ends = _ends(config, max(1, len(given)))
        self._lock = threading.Lock()
        self._given = tuple(given)
        self.version = 0
        self._set(self._given)

    def _set(self, goals: tuple[GoalImages, ...]) -> None:
        # Replaced as a whole: other threads may be at the one before.
        self._course = _Course(goals, is_given=goals is self._given)
        self.version += 1

    def start(self) -> None:
        """From the first sub-goal of the folder on."""
        with self._lock:
            self._set(self._given)

    def set(self, goal: GoalImages) -> bool:
        """Aim at this alone; whether that is something else than before. The same picture once more has a new stamp."""
        with self._lock:
            course = self._course
            if len(course.images) == 1 and course.images[0].is_same(goal) and not course.is_reached:
                course.images = (replace(course.images[0], stamp_ns=goal.stamp_ns),)
                return False
            self._set((goal,))
            return True

    @property
    def is_reached(self) -> bool:
        """Whether the last one is met."""
        return self._course.is_reached

    @property
    def count(self) -> int:
        """Sub-goals there are."""
        return len(self._course.images)

    @property
    def index(self) -> int:
        """Of the one that is aimed at."""
        return self._course.index

    @property
    def current(self) -> GoalImages | None:
        """The one that is aimed at, None where there is none."""
        course = self._course
        return course.images[course.index] if course.images else None

    def advance(self) -> Verdict | None:
        """Leave the current one for the next, as if it was reached; None where there is none, or none is encoded."""
        with self._lock:
            goals = self._course.goals
            if goals is None or goals.reached:
                return None
            self.version += 1
            return goals.advance()

    def encode(self, model: WorldModel) -> bool:
        """Encode one image, if one is left; whether one was. It takes as long as a window.

        Raises:
            EngineError: if the model or its device fails.
        """
        course = self._course
        for goal, found in zip(course.images, course.latents, strict=True):
            if len(found) < len(goal.images):
                image = torch.from_numpy(goal.images[len(found)])[None, :, None]  # (1, 3, 1, H, W)
                found.append(model.encode_still(image))
                return True
        if course.goals is None and course.images:
            subgoals = [
                SubGoal.of_images(found, self._mask, goal.name)
                for goal, found in zip(course.images, course.latents, strict=True)
            ]
            with self._lock:
                course.goals = Goals(subgoals, self._ends if course.is_given else self._ends[-1])
        return False

    def target(self) -> Target | None:
        """What is aimed at now; None where something new has to be encoded first."""
        with self._lock:
            course = self._course
            if course.goals is None:
                return None
            goal = course.goals.current
            return Target(self.version, course.images[course.index], course.index, goal.latents, goal.mask)

    def note(self, version: int, energy: float, executed: int) -> Verdict:
        """Take note of where the robot is, unless something else is aimed at by now."""
        with self._lock:
            goals = self._course.goals
            if goals is None or version != self.version:
                return "going"
            verdict = goals.note(energy, executed)
            self.version += verdict == "next"
            return verdict


def _ends(config: PlannerConfig, count: int) -> list[End]:
    """What ends each of so many sub-goals."""
    energies, plans, steps = (config.each_goal(name, count) for name in ("goal_energy", "goal_plans", "goal_steps"))
    return [End(energy, int(n), int(m)) for energy, n, m in zip(energies, plans, steps, strict=True)]
