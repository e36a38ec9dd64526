"""What a window's commands and states become: one action and one state per step (rule 6).

It knows the times of a window's frames and the streams to read, not where either came from, and of reductions only what
their objects say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.config.reductions import Reduction, StepSpan
from vjepa_ros.config.stream import OnMissing, StreamConfig
from vjepa_ros.geometry import Vector
from vjepa_ros.stream.align import Mask, Reader, Reading, TrajectoryReader
from vjepa_ros.stream.joint_signal import JointSignal
from vjepa_ros.units import to_ns


@dataclass(frozen=True)
class Steps:
    """The values of one signal at the steps of a window.

    Attributes:
        values: (T', dims) float64.
        stamps_ns: per step the stamp of the newest message that its value came from; None where there is none.
        missing: steps whose value was missing, or had timed out, and was held or replaced by zeros if it may be.
        usable: False where a missing value may not be replaced; then the window must be skipped.
    """

    values: NDArray[np.float64]
    stamps_ns: tuple[int | None, ...]
    missing: int
    usable: bool


@dataclass(frozen=True)
class StepTimes:
    """The times that a window asks about.

    Attributes:
        frames_ns: the stamps of the N frames.
        steps_ns: (T',) the stamps of the frames e(k).
        before_ns, after_ns: where the step before the first and the one after the last would be: as far away as their
            neighbours are from each other, or by the frame rate where there is only one step.
        stride: frames per step.
    """

    frames_ns: tuple[int, ...]
    steps_ns: tuple[int, ...]
    before_ns: int
    after_ns: int
    stride: int

    @classmethod
    def of(cls, frames_ns: tuple[int, ...], config: StreamConfig) -> StepTimes:
        """The times of a window whose frames have these stamps."""
        steps_ns = tuple(frames_ns[index] for index in config.step_frames)
        if len(steps_ns) > 1:
            first_ns, last_ns = steps_ns[1] - steps_ns[0], steps_ns[-1] - steps_ns[-2]
        else:
            first_ns = last_ns = to_ns(config.stride / config.frame_rate_hz) if config.frame_rate_hz else 0
        return cls(frames_ns, steps_ns, steps_ns[0] - first_ns, steps_ns[-1] + last_ns, config.stride)

    @property
    def period_ns(self) -> int:
        """How long the steps after the last one are taken to be: as long as the one before it."""
        return self.after_ns - self.steps_ns[-1]

    @property
    def previous_ns(self) -> tuple[int, ...]:
        """The time of the step before each step."""
        return (self.before_ns, *self.steps_ns[:-1])

    def span(self, step: int) -> StepSpan:
        """The times around a step; those from T' on come after the window, each a period after the one before."""
        last = len(self.steps_ns) - 1
        within, ahead_ns = min(step, last), max(step - last, 0) * self.period_ns
        own = self.frames_ns[within * self.stride : (within + 1) * self.stride]
        step_ns = self.steps_ns[within] + ahead_ns
        previous_ns = self.previous_ns[step] if step <= last else step_ns - self.period_ns
        next_ns = self.steps_ns[step + 1] if step < last else step_ns + self.period_ns
        return StepSpan(previous_ns, step_ns, next_ns, tuple(frame_ns + ahead_ns for frame_ns in own))

    def last_needed_ns(self, how: Reduction) -> int:
        """The latest time that commands are asked about, as far as it lies inside of the window."""
        return self.steps_ns[-1] if how.reaches_ahead else max(how.asks(self.span(len(self.steps_ns) - 1)))


class Row:
    """Collects the readings that one step's value is made of, and what a missing one does to it.

    Of joints that come in messages of their own only those that are missing are replaced by zeros, at every time that
    the step reads: so that no difference is made of a value and a zero.
    """

    def __init__(self, readings: Sequence[Reading], on_missing: OnMissing) -> None:
        absent = any(reading.absent for reading in readings)
        self.missing = any(reading.missing for reading in readings)
        self.usable = not self.missing or on_missing == "zero" or (on_missing == "hold" and not absent)
        self._lacking = _lacking(readings) if self.missing and on_missing == "zero" else None
        self.is_zero = not self.usable or (self._lacking is not None and bool(self._lacking.all()))
        stamps = [reading.stamp_ns for reading in readings if reading.stamp_ns is not None]
        self.stamp_ns = max(stamps) if stamps and not self.is_zero else None
        self.values = [self.without_missing(reading.value) for reading in readings if reading.value is not None]

    def without_missing(self, value: Vector) -> Vector:
        """The value, zero where a joint is missing and zeros are asked for."""
        return value if self._lacking is None else np.where(self._lacking, 0.0, value)


def _lacking(readings: Sequence[Reading]) -> Mask:
    """Which joints are missing at one of the times; a single True for all of them."""
    lacking: Mask = np.zeros(1, np.bool_)
    for reading in readings:
        if reading.missing:
            lacking = lacking | (True if reading.lacking is None else reading.lacking)
    return lacking


def _collect(rows: Sequence[tuple[Row, Vector]]) -> Steps:
    values = np.stack([np.zeros_like(value) if row.is_zero else value for row, value in rows])
    return Steps(
        values,
        tuple(row.stamp_ns for row, _ in rows),
        sum(row.missing for row, _ in rows),
        all(row.usable for row, _ in rows),
    )


def read_states(config: StreamConfig, times: StepTimes, states: Reader, commands: Reader) -> Steps:
    """The states of a window: measured at each step, the previous step's command, or zeros."""
    dim = config.states.dim
    if config.state_source == "none":
        return Steps(np.zeros((len(times.steps_ns), dim)), (None,) * len(times.steps_ns), 0, True)
    if config.state_source == "commands":
        return _pick(commands, times.previous_ns, dim, config.commands.on_missing)
    return _pick(states, times.steps_ns, dim, config.states.on_missing)


def _pick(reader: Reader, times_ns: Sequence[int], dim: int, on_missing: OnMissing) -> Steps:
    rows = []
    for time_ns in times_ns:
        row = Row([reader.at(time_ns)], on_missing)
        rows.append((row, row.values[0] if row.values else np.zeros(dim)))
    return _collect(rows)


def read_actions(config: StreamConfig, times: StepTimes, commands: Reader, messages: JointSignal) -> Steps:
    """The actions of a window.

    Args:
        config: which reduction, and its conventions.
        times: the window's times.
        commands: the command at a time.
        messages: the command messages themselves, for reductions of messages.
    """
    how, on_missing, dim = config.reducer, config.commands.on_missing, config.commands.dim
    rows: list[tuple[Row, Vector]] = []
    for step in range(len(times.steps_ns)):
        span = times.span(step)
        if how.reaches_ahead and step == len(times.steps_ns) - 1:
            rows.append(_tail(config, span, commands, rows))
        elif how.of_messages:
            # None of them is no motion, as long as the sender has not fallen silent.
            row = Row([commands.at(time_ns) for time_ns in how.asks(span)], on_missing)
            rows.append((row, row.without_missing(_of_messages(how, messages, span, dim))))
        else:
            rows.append(_combined(how, [commands.at(time_ns) for time_ns in how.asks(span)], on_missing, dim))
    return _collect(rows)


def read_origin(config: StreamConfig, times: StepTimes, commands: Reader) -> Vector | None:
    """(A,) what was commanded when the last action began to be in force, which is added to it; None where states say
    where that was, or nothing does."""
    return commands.at(times.previous_ns[-1]).value if config.has_origin else None


def _of_messages(how: Reduction, messages: JointSignal, span: StepSpan, dim: int) -> Vector:
    """What the messages of a step come to; where joints come in messages of their own, each joint by its own."""
    total = np.zeros(dim)
    for group in messages.groups:
        deltas = [value for _, value in group.signal.between(span.step_ns, span.next_ns)]
        if messages.dim is not None:
            wide = np.zeros((len(deltas), dim))  # so wide that sums round as those of whole messages do
            wide[:, group.joints] = np.reshape(deltas, (len(deltas), len(group.joints)))
            deltas = list(wide)
        if deltas:
            combined = how.combine(deltas)
            which = slice(None) if messages.dim is None else group.joints
            total[which] = combined[which]
    return total


def _combined(how: Reduction, readings: Sequence[Reading], on_missing: OnMissing, dim: int) -> tuple[Row, Vector]:
    row = Row(readings, on_missing)
    return row, np.zeros(dim) if row.is_zero else how.combine(row.values)


def _tail(config: StreamConfig, span: StepSpan, commands: Reader, rows: list[tuple[Row, Vector]]) -> tuple[Row, Vector]:
    """The last action, whose interval ends after the window."""
    on_missing, dim, now_ns = config.commands.on_missing, config.commands.dim, span.step_ns
    if config.tail == "hold":
        return rows[-1]
    if config.tail == "trajectory" and isinstance(commands, TrajectoryReader):
        readings = [
            commands.ahead(now_ns, time_ns) if time_ns > now_ns else commands.at(time_ns)
            for time_ns in config.reducer.asks(span)
        ]
        return _combined(config.reducer, readings, on_missing, dim)
    return Row([commands.at(now_ns)], on_missing), np.zeros(dim)
