"""The value of a stream at a time (rule 5): held, interpolated or nearest; of samples or of trajectories.

It knows stamps and vectors, not frames, windows or messages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from vjepa_ros.config.stream import Alignment, SignalConfig
from vjepa_ros.geometry import Vector
from vjepa_ros.stream.signal import Signal
from vjepa_ros.units import to_ns


@dataclass(frozen=True)
class Reading:
    """What a stream says about a time.

    Attributes:
        value: (dims,) float64; None where there is nothing at all.
        stamp_ns: of the message that the value came from; for an interpolated one, the earlier of the two.
        missing: there is nothing, or it is older than the timeout.
    """

    value: Vector | None
    stamp_ns: int | None
    missing: bool


Source = Literal["trajectory", "measured", "held"]
"""Where a value of the future comes from: the points of a trajectory, what is measured now, or the last one again."""


class Reader(Protocol):
    """A stream that can be asked about a time."""

    def at(self, time_ns: int) -> Reading:
        """The value at a time."""


class SampleReader:
    """Reads a stream of samples, one vector per message.

    A value is missing where the newest message at or before the time is older than the timeout, or there is none yet,
    whatever the alignment: a command that is not in force cannot be interpolated from.
    """

    def __init__(self, signal: Signal, config: SignalConfig) -> None:
        self._signal = signal
        self._alignment: Alignment = config.alignment
        self._timeout_ns = to_ns(config.timeout_s)

    def at(self, time_ns: int) -> Reading:
        """The value at a time."""
        held = self._signal.at(time_ns)
        if held is None:
            return Reading(None, None, True)
        if time_ns - held[0] > self._timeout_ns:
            return Reading(held[1], held[0], True)
        if self._alignment == "hold" or held[0] == time_ns:
            return Reading(held[1], held[0], False)
        following = self._signal.after(time_ns)
        if following is None:
            return Reading(held[1], held[0], False)
        if self._alignment == "linear":
            share = (time_ns - held[0]) / (following[0] - held[0])
            return Reading(held[1] + share * (following[1] - held[1]), held[0], False)
        nearest = held if time_ns - held[0] <= following[0] - time_ns else following  # the earlier one on a tie
        return Reading(nearest[1], nearest[0], False)


class PoseReader:
    """Reads the end effector: where it is, and how far its gripper is closed, which may come at other times.

    Args:
        arm: its pose, six numbers.
        gripper: its closedness, one number; None for an arm without one, always 0.
    """

    def __init__(self, arm: Reader, gripper: Reader | None) -> None:
        self._arm = arm
        self._gripper = gripper

    def at(self, time_ns: int) -> Reading:
        """The pose at a time, (7,)."""
        arm = self._arm.at(time_ns)
        gripper = Reading(np.zeros(1), None, False) if self._gripper is None else self._gripper.at(time_ns)
        if arm.value is None or gripper.value is None:
            return Reading(None, None, True)
        stamps_ns = [reading.stamp_ns for reading in (arm, gripper) if reading.stamp_ns is not None]
        value = np.concatenate([arm.value, gripper.value])
        return Reading(value, max(stamps_ns), arm.missing or gripper.missing)


class TrajectoryReader:
    """Reads a stream of trajectories: the newest one stamped at or before a time is in force.

    A trajectory is an array (points, 1 + dims): time from its start in ns, then the values. Between two points the
    alignment decides, after the last one its value is held, and before the first one the state stands in. It is missing
    once the timeout has passed since its last point.

    Args:
        signal: the trajectories.
        config: how they are read.
        measured: the measured values of the same joints.
    """

    def __init__(self, signal: Signal, config: SignalConfig, measured: Reader) -> None:
        self._signal = signal
        self._alignment: Alignment = config.alignment
        self._timeout_ns = to_ns(config.timeout_s)
        self._measured = measured

    def at(self, time_ns: int) -> Reading:
        """The value at a time."""
        return self.ahead(time_ns, time_ns)

    def ahead(self, now_ns: int, time_ns: int) -> Reading:
        """What the trajectory that is in force now will say at a later time."""
        found = self._signal.at(now_ns)
        if found is None:
            return Reading(None, None, True)
        start_ns, points = found
        since_ns = time_ns - start_ns
        times_ns = points[:, 0]
        missing = bool(since_ns - times_ns[-1] > self._timeout_ns)
        before = int(np.searchsorted(times_ns, since_ns, side="right")) - 1
        if before < 0:
            return self._measured.at(now_ns)  # not at a later time: what is measured until then is not known yet
        after = min(before + 1, len(points) - 1)
        value = points[before, 1:]
        if after > before and self._alignment != "hold":
            share = (since_ns - times_ns[before]) / (times_ns[after] - times_ns[before])
            if self._alignment == "linear":
                value = value + share * (points[after, 1:] - value)
            elif share > 0.5:  # the earlier one on a tie
                value = points[after, 1:]
        return Reading(value, start_ns, missing)

    def planned(self, now_ns: int, time_ns: int) -> tuple[Vector, Source] | None:
        """What the trajectory that is in force now means to do at a later time; None where it says nothing any more.

        Before its first point the joints stay where they are measured now, after its last one they stay there, however
        late it is: the timeout is about how long ago somebody spoke, which is judged now.
        """
        found = self._signal.at(now_ns)
        if found is None or now_ns - found[0] - found[1][-1, 0] > self._timeout_ns:
            return None
        start_ns, points = found
        reading = self.ahead(now_ns, time_ns)
        if time_ns - start_ns < points[0, 0]:
            return None if reading.value is None or reading.missing else (reading.value, "measured")
        assert reading.value is not None
        return reading.value, "trajectory" if time_ns - start_ns <= points[-1, 0] else "held"
