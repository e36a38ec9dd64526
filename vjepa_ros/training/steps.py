"""How far each step's action moves, and which steps move at all: whatever the actions are, in steps of usual length.

Runs in, numbers out; it knows no latents and no models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.config.stream import StreamConfig
from vjepa_ros.training.refusals import movement
from vjepa_ros.training.runs import Run, Sample

LEAST_SPEED = 0.1
"""A step that is shorter than this part of the usual one stands still."""


@dataclass(frozen=True)
class Steps:
    """The steps of some runs.

    Attributes:
        speeds: per run, (M-1,): of the step that follows each step but the last; 1 where each dimension moves by its
            usual length.
        lengths: (A,) the usual length of a step along each dimension, as read: the root mean square over the steps in
            which anything moves.
        moving: (A,) the share of steps in which each moves.
        ranges: (A) pairs: between which values the actions lie, as read.
    """

    speeds: tuple[NDArray[np.float64], ...]
    lengths: NDArray[np.float64]
    moving: NDArray[np.float64]
    ranges: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, runs: Sequence[Run], stream: StreamConfig) -> Steps:
        """Those of runs, of which at least one has two steps.

        Args:
            runs: with their actions as read.
            stream: says what actions do.
        """
        moved = [movement(run, stream) for run in runs]
        every = np.concatenate(moved)
        rough = np.sqrt((every**2).mean(axis=0))
        some = (every > LEAST_SPEED * rough).any(axis=1)
        lengths = np.sqrt((every[some] ** 2).mean(axis=0)) if some.any() else np.zeros(every.shape[1])
        known = lengths > 0
        scaled = [one[:, known] / lengths[known] for one in moved]
        speeds = tuple(np.sqrt((one**2).mean(axis=1)) if known.any() else np.zeros(len(one)) for one in scaled)
        actions = np.concatenate([run.actions[:-1] for run in runs])
        ranges = tuple((float(low), float(high)) for low, high in zip(actions.min(0), actions.max(0), strict=True))
        return cls(speeds, lengths, (every > LEAST_SPEED * lengths).mean(axis=0), ranges)

    @property
    def share(self) -> float:
        """Of the steps in which anything moves."""
        return float(np.mean(np.concatenate(self.speeds) > LEAST_SPEED))

    def of_samples(self, samples: Sequence[Sample]) -> NDArray[np.float64]:
        """(n,) the speeds of the steps that follow the newest ones of samples."""
        return np.array([self.speeds[sample.run][sample.newest] for sample in samples], np.float64)
