"""The value of a stream at a time (rule 5): held, interpolated or nearest; of samples or of trajectories.

Where joints come in messages of their own, each is read by itself, and what is read is put together. It knows stamps
and vectors, not frames, windows or messages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.config.stream import Alignment, SignalConfig
from vjepa_ros.geometry import Vector
from vjepa_ros.stream.joint_signal import Group, Joints, JointSignal
from vjepa_ros.stream.signal import Signal
from vjepa_ros.units import to_ns

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Reading:
    """What a stream says about a time.

    Attributes:
        value: (dims,) float64, 0 for a joint that has never come; None where none has.
        stamp_ns: of the message that the value came from, the newest of several; for an interpolated one, the earlier
            of the two.
        missing: there is nothing, or it is older than the timeout: of all joints, or of some.
        lacking: (dims,) which joints are missing, where only some are.
        absent: there is nothing, of all joints or of some.
    """

    value: Vector | None
    stamp_ns: int | None
    missing: bool
    lacking: Mask | None = None
    absent: bool = False

    @classmethod
    def nothing(cls) -> Reading:
        """There is nothing at all."""
        return cls(None, None, missing=True, absent=True)

    @classmethod
    def joined(cls, dim: int, parts: Sequence[tuple[Joints, Reading]]) -> Reading:
        """What is said about some of the joints each, together."""
        found = [(joints, part) for joints, part in parts if part.value is not None]
        if not found:
            return cls.nothing()
        value, lacking = np.zeros(dim), np.zeros(dim, np.bool_)
        for joints, part in parts:
            if part.value is not None:
                value[joints] = part.value
            lacking[joints] = part.missing if part.lacking is None else part.lacking
        stamps_ns = [part.stamp_ns for _, part in found if part.stamp_ns is not None]
        absent = any(part.absent for _, part in parts)
        some = lacking.any() and not lacking.all()
        return cls(value, max(stamps_ns, default=None), bool(lacking.any()), lacking if some else None, absent)


Source = Literal["trajectory", "measured", "held"]
"""Where a value of the future comes from: the points of a trajectory, what is measured now, or the last one again."""


class Reader(Protocol):
    """A stream that can be asked about a time."""

    def at(self, time_ns: int) -> Reading:
        """The value at a time."""


class SampleReader:
    """Reads a stream of samples, one vector per message, of all joints or of some.

    A value is missing where the newest message at or before the time is older than the timeout, or there is none yet,
    whatever the alignment: a command that is not in force cannot be interpolated from.
    """

    def __init__(self, signal: JointSignal, config: SignalConfig) -> None:
        self._signal = signal
        self._alignment: Alignment = config.alignment
        self._timeout_ns = to_ns(config.timeout_s)

    def at(self, time_ns: int) -> Reading:
        """The value at a time."""
        groups, dim = self._signal.groups, self._signal.dim
        if dim is None:
            return self._read(groups[0].signal, time_ns)
        return Reading.joined(dim, [(group.joints, self._read(group.signal, time_ns)) for group in groups])

    def of(self, joints: Joints, time_ns: int) -> Reading:
        """The value of some joints at a time."""
        if self._signal.dim is None:
            return _taken(self._read(self._signal.groups[0].signal, time_ns), joints)
        parts = []
        for group in self._signal.groups:
            which = np.isin(group.joints, joints)
            if which.any():
                reading = _taken(self._read(group.signal, time_ns), np.flatnonzero(which))
                parts.append((np.searchsorted(joints, group.joints[which]), reading))
        return Reading.joined(len(joints), parts)

    def _read(self, signal: Signal, time_ns: int) -> Reading:
        held = signal.at(time_ns)
        if held is None:
            return Reading.nothing()
        if time_ns - held[0] > self._timeout_ns:
            return Reading(held[1], held[0], True)
        if self._alignment == "hold" or held[0] == time_ns:
            return Reading(held[1], held[0], False)
        following = signal.after(time_ns)
        if following is None:
            return Reading(held[1], held[0], False)
        if self._alignment == "linear":
            share = (time_ns - held[0]) / (following[0] - held[0])
            return Reading(held[1] + share * (following[1] - held[1]), held[0], False)
        nearest = held if time_ns - held[0] <= following[0] - time_ns else following  # the earlier one on a tie
        return Reading(nearest[1], nearest[0], False)


def _taken(reading: Reading, joints: Joints) -> Reading:
    """What a reading that is missing as a whole, or not at all, says about some of its joints."""
    return reading if reading.value is None else replace(reading, value=reading.value[joints])


class PoseReader:
    """Reads the end effector: where it is, and how far its gripper is closed, which may come at other times.

    Args:
        arm: what its pose is made of: the pose itself, or the joints of the arm.
        pose: makes the pose of that, six numbers.
        gripper: its closedness, one number; None for an arm without one, always 0.
    """

    def __init__(self, arm: Reader, pose: Callable[[Vector], Vector], gripper: Reader | None) -> None:
        self._arm = arm
        self._pose = pose
        self._gripper = gripper

    def at(self, time_ns: int) -> Reading:
        """The pose at a time, (7,); it is missing where a joint of the arm is, or the gripper."""
        arm = self._arm.at(time_ns)
        gripper = Reading(np.zeros(1), None, False) if self._gripper is None else self._gripper.at(time_ns)
        if arm.value is None or arm.absent or gripper.value is None:
            return Reading.nothing()
        pose = self._pose(arm.value)
        if not np.isfinite(pose).all():  # of huge positions, each of them finite
            return Reading.nothing()
        stamps_ns = [reading.stamp_ns for reading in (arm, gripper) if reading.stamp_ns is not None]
        return Reading(np.concatenate([pose, gripper.value]), max(stamps_ns), arm.missing or gripper.missing)


Plan = tuple[Vector, tuple[Source | None, ...]]
"""(dims,) values, and where each joint's comes from: None, and 0, where nothing is planned for it."""


class TrajectoryReader:
    """Reads a stream of trajectories: the newest one stamped at or before a time is in force, for the joints it has.

    A trajectory is an array (points, 1 + dims): time from its start in ns, then the values. Between two points the
    alignment decides, after the last one its value is held, and before the first one the state stands in. It is missing
    once the timeout has passed since its last point.

    Args:
        signal: the trajectories.
        config: how they are read.
        measured: the measured values of the same joints.
    """

    def __init__(self, signal: JointSignal, config: SignalConfig, measured: SampleReader) -> None:
        self._signal = signal
        self._alignment: Alignment = config.alignment
        self._timeout_ns = to_ns(config.timeout_s)
        self._measured = measured
        self._dim = config.dim

    def at(self, time_ns: int) -> Reading:
        """The value at a time."""
        return self.ahead(time_ns, time_ns)

    def ahead(self, now_ns: int, time_ns: int) -> Reading:
        """What the trajectory that is in force now will say at a later time."""
        groups, dim = self._signal.groups, self._signal.dim
        if dim is None:
            return self._ahead(groups[0], now_ns, time_ns)
        return Reading.joined(dim, [(group.joints, self._ahead(group, now_ns, time_ns)) for group in groups])

    def _ahead(self, group: Group, now_ns: int, time_ns: int) -> Reading:
        found = group.signal.at(now_ns)
        if found is None:
            return Reading.nothing()
        start_ns, points = found
        since_ns = time_ns - start_ns
        times_ns = points[:, 0]
        missing = bool(since_ns - times_ns[-1] > self._timeout_ns)
        before = int(np.searchsorted(times_ns, since_ns, side="right")) - 1
        if before < 0:  # not at a later time: what is measured until then is not known yet
            is_whole = self._signal.dim is None
            return self._measured.at(now_ns) if is_whole else self._measured.of(group.joints, now_ns)
        after = min(before + 1, len(points) - 1)
        value = points[before, 1:]
        if after > before and self._alignment != "hold":
            share = (since_ns - times_ns[before]) / (times_ns[after] - times_ns[before])
            if self._alignment == "linear":
                value = value + share * (points[after, 1:] - value)
            elif share > 0.5:  # the earlier one on a tie
                value = points[after, 1:]
        return Reading(value, start_ns, missing)

    def planned(self, now_ns: int, time_ns: int) -> Plan:
        """What the trajectory that is in force now means to do at a later time.

        Before its first point the joints stay where they are measured now, after its last one they stay there, however
        late it is: the timeout is about how long ago somebody spoke, which is judged now.
        """
        value = np.zeros(self._dim)
        sources: list[Source | None] = [None] * self._dim
        for group in self._signal.groups:
            found = group.signal.at(now_ns)
            if found is None or now_ns - found[0] - found[1][-1, 0] > self._timeout_ns:
                continue  # it says nothing any more
            start_ns, points = found
            reading = self._ahead(group, now_ns, time_ns)
            if reading.value is None:
                continue
            source: Source = "trajectory" if time_ns - start_ns <= points[-1, 0] else "held"
            known = np.ones(len(reading.value), np.bool_)
            if time_ns - start_ns < points[0, 0]:
                source = "measured"
                known[:] = not reading.missing if reading.lacking is None else ~reading.lacking
            joints = np.arange(self._dim) if self._signal.dim is None else group.joints
            value[joints[known]] = reading.value[known]
            for joint in joints[known]:
                sources[joint] = source
        return value, tuple(sources)
