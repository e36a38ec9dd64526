"""The actions after a window's last one, which forecasts beyond the first need: read ahead in a trajectory, or held.

Nothing that is sent after the last time that the window asks about changes them (rule 4). It knows the times of a
window's frames and the commands to read, not where either came from.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.config.reductions import Reduction
from vjepa_ros.config.stream import StreamConfig
from vjepa_ros.geometry import Vector
from vjepa_ros.stream.actions import StepTimes
from vjepa_ros.stream.align import Plan, Reader, Source, TrajectoryReader

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
    how, last_step = config.reducer, len(times.steps_ns) - 1
    now_ns = times.last_needed_ns(how)
    # actions.tail has decided what a held delta is.
    held = how.held(last)
    rows: list[Vector] = []
    sources: list[Source] = []
    spans = [times.span(last_step + ahead) for ahead in range(1, config.horizon)]
    for span in spans:
        row, source = held, _HELD
        if isinstance(commands, TrajectoryReader):
            row, source = _planned(how, [commands.planned(now_ns, time_ns) for time_ns in how.asks(span)], held)
        rows.append(row)
        sources.append(source)
    steps_ns = tuple(span.step_ns for span in spans)
    return Future(np.array(rows).reshape(-1, config.commands.dim), steps_ns, tuple(sources))


def _planned(how: Reduction, asked: Sequence[Plan], held: Vector) -> tuple[Vector, Source]:
    """The action that was planned, for the joints that all times have a plan for; the others go on as they are held."""
    joints = list(zip(*(sources for _, sources in asked), strict=True))  # per joint, where its values come from
    known = np.array([None not in sources for sources in joints])
    if not known.any():
        return held, _HELD
    row = how.combine([np.where(known, value, 0.0) for value, _ in asked])
    return np.where(known, row, held), _source({source for sources in np.array(joints)[known] for source in sources})


def _source(origins: Collection[Source]) -> Source:
    if "trajectory" in origins:
        return "trajectory"
    return "measured" if "measured" in origins else "held"
