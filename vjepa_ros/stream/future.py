"""The actions after a window's last one, which forecasts beyond the first need: read ahead in a trajectory, or held.

Nothing that is sent after the last time that the window asks about changes them (rule 4). It knows the times of a
window's frames and the commands to read, not where either came from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.config.stream import StreamConfig
from vjepa_ros.geometry import Vector, pose_delta
from vjepa_ros.stream.actions import StepTimes
from vjepa_ros.stream.align import Reader, Source, TrajectoryReader

_HELD: Source = "held"


@dataclass(frozen=True)
class Future:
    """The actions of the H-1 steps after a window's last one; action h-2 leads from forecast h-1 to forecast h.

    Attributes:
        values: (H-1, A) float64.
        steps_ns: (H-1,) the times at which these steps begin, a step period apart.
        sources: (H-1,) where each comes from. An action made of several readings is from the trajectory as soon as one
            of them is.
    """

    values: NDArray[np.float64]
    steps_ns: tuple[int, ...]
    sources: tuple[Source, ...]

    @classmethod
    def none(cls, dim: int) -> Future:
        """No step after the last: a horizon of 1."""
        return cls(np.zeros((0, dim)), (), ())


def read_future(config: StreamConfig, times: StepTimes, commands: Reader, last: Vector) -> Future:
    """The future actions of a window.

    Args:
        config: how far, and which reduction.
        times: the window's times.
        commands: the command at a time; one that reads trajectories is asked what the one in force means to do.
        last: (A,) the window's last action.
    """
    now_ns, last_ns = times.last_needed_ns(config), times.steps_ns[-1]
    # With the last command held, targets do not change any more; what a held delta is, actions.tail has decided.
    held = np.zeros_like(last) if config.reduction == "difference" else last
    rows: list[Vector] = []
    sources: list[Source] = []
    for step in range(1, config.horizon):
        row, source = held, _HELD
        if isinstance(commands, TrajectoryReader):
            asked = [commands.planned(now_ns, time_ns) for time_ns in _asked_ns(config, times, step * times.period_ns)]
            known = [reading for reading in asked if reading is not None]
            if len(known) == len(asked):
                row = _reduced(config, [value for value, _ in known])
                source = _source([origin for _, origin in known])
        rows.append(row)
        sources.append(source)
    steps_ns = tuple(last_ns + step * times.period_ns for step in range(1, config.horizon))
    return Future(np.array(rows).reshape(-1, config.commands.dim), steps_ns, tuple(sources))


def _asked_ns(config: StreamConfig, times: StepTimes, ahead_ns: int) -> list[int]:
    """The times that the action of a step is made of, so long after the window's last one."""
    step_ns = times.steps_ns[-1] + ahead_ns
    if config.reduction == "mean":
        return [frame_ns + ahead_ns for frame_ns in times.of_step(len(times.steps_ns) - 1)]
    if config.reduction == "difference":
        return [step_ns - times.period_ns, step_ns]
    if config.reduction == "pose_delta":
        return [step_ns, step_ns + times.period_ns]
    return [step_ns]


def _reduced(config: StreamConfig, values: Sequence[Vector]) -> Vector:
    """One action of the commands at those times."""
    if config.reduction == "difference":
        return values[1] - values[0]
    if config.reduction == "pose_delta":
        return pose_delta(values[0], values[1])
    mean: Vector = np.mean(values, axis=0)  # of `pick`, the only one
    return mean


def _source(origins: Sequence[Source]) -> Source:
    if "trajectory" in origins:
        return "trajectory"
    return "measured" if "measured" in origins else "held"
