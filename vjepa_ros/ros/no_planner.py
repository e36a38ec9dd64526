"""What a node has in the place of a planner where none is enabled: nothing is planned, and nothing sent."""

from __future__ import annotations

from typing import Any

from vjepa_ros.planning.questions import Goal
from vjepa_ros.stream.intake import Take
from vjepa_ros.stream.window import Window
from vjepa_ros.worker import Worker


class NoPlanner:
    """Does nothing, by the names of :class:`~vjepa_ros.ros.planner.PlannerTopics`."""

    @property
    def health(self) -> None:
        """Nothing is said of it."""

    def destroy(self) -> None:
        """Nothing was made."""

    def open(self, _worker: Worker[Any, Any]) -> dict[str, Take]:
        """Nothing is read."""
        return {}

    def close(self) -> None:
        """Nothing was open."""

    def new_goal(self, goal: Goal) -> None:
        """Goals are of questions alone."""

    def time_jumped(self, detail: str) -> None:
        """Nothing is executed."""

    def window(self, window: Window) -> None:
        """Nothing is planned."""

    def prediction_error(self, error: float) -> None:
        """Nothing is executed."""

    def failed(self, error: Exception) -> None:
        """Nothing is executed."""
