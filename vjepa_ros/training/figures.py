"""The figures of an evaluation, and what they come to as ratios. It does not know where they are from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.training.action_grid import ActionGrid
from vjepa_ros.training.runs import Sample


def ratio(one: NDArray[np.float64], other: NDArray[np.float64]) -> float | None:
    """Of the means: samples in which little happens weigh little."""
    return float(one.mean() / other.mean()) if other.mean() > 0 else None


@dataclass(frozen=True)
class Forecasts:
    """Errors of forecasts from some samples, all equally far.

    Attributes:
        samples: n of them.
        right, still, shuffled: (n, h) mean absolute differences from what came, of the forecast with the true actions,
            of no change, and of the forecast with the actions of another sample.
    """

    samples: tuple[Sample, ...]
    right: NDArray[np.float64]
    still: NDArray[np.float64]
    shuffled: NDArray[np.float64]

    @property
    def ratio(self) -> float | None:
        """At the last step: error over that of no change; None where nothing changes at all."""
        return ratio(self.right[:, -1], self.still[:, -1])

    @property
    def shuffled_ratio(self) -> float | None:
        """At the last step: error with other actions over that with the right ones; None for a single sample."""
        return ratio(self.shuffled[:, -1], self.right[:, -1]) if len(self.samples) > 1 else None


@dataclass(frozen=True)
class JointFigures:
    """One dimension of the action.

    Attributes:
        name: of it.
        low, high: between which its values lie, as read.
        moves: the share of steps in which it moves, see :class:`~vjepa_ros.training.steps.Steps`.
        shuffled: error with its actions alone taken from other samples, over that with the right ones; None where there
            is nothing to compare.
    """

    name: str
    low: float
    high: float
    moves: float
    shuffled: float | None


@dataclass(frozen=True)
class SpeedFigures:
    """Samples of similar speed.

    Attributes:
        name: ``still``, ``slow``, ``medium`` or ``fast``: those that move are three equal parts.
        samples: how many.
        right, still: mean errors one step ahead, of the forecast and of no change.
    """

    name: str
    samples: int
    right: float
    still: float

    @property
    def ratio(self) -> float | None:
        """Error over that of no change."""
        return self.right / self.still if self.still > 0 else None


@dataclass(frozen=True)
class Worst:
    """A forecast that was far off.

    Attributes:
        sample: where from.
        recording, stamp_ns: of its newest step.
        ahead: how many steps.
        right, still: errors there, of the forecast and of no change.
    """

    sample: Sample
    recording: int
    stamp_ns: int
    ahead: int
    right: float
    still: float


@dataclass(frozen=True)
class Evaluation:
    """What a model has learnt.

    Attributes:
        forecasts: by steps ahead, of 1, 4 and 8 those that the recordings are long enough for; never empty.
        grid: energies around true actions, None where nothing moves.
        joints, speeds, worst: see there; the worst first.
        moving: the share of steps that move.
        states_held: whether rollouts took the last state for all steps, as nobody knows how actions advance states.
    """

    forecasts: dict[int, Forecasts]
    grid: ActionGrid | None
    joints: tuple[JointFigures, ...]
    speeds: tuple[SpeedFigures, ...]
    worst: tuple[Worst, ...]
    moving: float
    states_held: bool

    def k(self, ahead: int) -> float | None:
        """Error so many steps ahead over that of no change; None where the recordings are too short."""
        return self.forecasts[ahead].ratio if ahead in self.forecasts else None

    def shuffled(self, ahead: int) -> float | None:
        """Error with shuffled actions over that with the right ones, so many steps ahead; None as for :meth:`k`."""
        return self.forecasts[ahead].shuffled_ratio if ahead in self.forecasts else None

    @property
    def rank(self) -> float | None:
        """Of the true action in the grid, mean over samples: 0 best, 1 worst; 0.5 for a model that cannot tell."""
        return None if self.grid is None else float(self.grid.ranks.mean())
