"""The values of several joints, each with stamps of its own: whoever sends some of them need not send the others.

Joints that have always come together share a :class:`~vjepa_ros.stream.signal.Signal`, so that where every message has
all of them, as most have, there is one. A message with a part of a group splits it: what the group has seen becomes the
past of both halves. So nothing depends on when the first such message comes. It knows stamps and arrays, not what they
mean, nor messages or frames.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.geometry import Vector
from vjepa_ros.stream.signal import Signal

_MOST_WAYS = 64  # so many sets of joints are remembered: a robot has a few, an attacker any number

Joints = NDArray[np.intp]
"""(k,) places of joints in the order of their names, rising."""


@dataclass(frozen=True)
class Part:
    """Values of some of the joints.

    Attributes:
        values: (k,) float64, or (points, 1 + k) for a trajectory.
        joints: (k,) which ones; fewer than all.
        of: how many there are.
    """

    values: Vector
    joints: Joints
    of: int

    def filled(self) -> Vector:
        """(of,) values of all joints, 0 where there is none."""
        whole = np.zeros(self.of)
        whole[self.joints] = self.values
        return whole


@dataclass(frozen=True)
class Group:
    """Joints that have always come together.

    Attributes:
        joints: (k,) which ones.
        signal: their values.
    """

    joints: Joints
    signal: Signal


class JointSignal:
    """The values of one stream's joints that may still be asked for.

    Args:
        jump_back_ns: a stamp this far before the one that arrived last with the same joint means that its sender's time
            has jumped.
        lead: columns of a value before those of the joints: 1 for trajectories, whose points begin with a time.
        max_bytes: kept at most, of all joints together; the oldest go first.

    Attributes:
        dim: how many joints there are; None while they have always come together.
        groups: every joint is in one of them. Where there is one, it has all of them, and its ``joints`` are empty.
    """

    def __init__(self, jump_back_ns: int, lead: int = 0, max_bytes: float = math.inf) -> None:
        self._jump_back_ns = jump_back_ns
        self._max_bytes = max_bytes
        self._lead = lead
        self.clear()

    def clear(self) -> None:
        """Forget every value, and which joints come together."""
        self.dim: int | None = None
        self.groups = [Group(np.zeros(0, np.intp), Signal(self._jump_back_ns, self._max_bytes))]
        self._ways: dict[bytes, list[tuple[Signal, Joints | None]]] = {}  # where the values of a message go

    def __len__(self) -> int:
        return max(len(group.signal) for group in self.groups)

    @property
    def newest_ns(self) -> int | None:
        """The newest stamp that every joint has delivered, None where one has delivered nothing."""
        if len(self.groups) == 1:
            return self.groups[0].signal.newest_ns
        stamps_ns = [group.signal.newest_ns for group in self.groups]
        known = [stamp_ns for stamp_ns in stamps_ns if stamp_ns is not None]
        return min(known) if len(known) == len(stamps_ns) else None

    def lies_within(self, from_ns: int, until_ns: int) -> bool:
        """As :meth:`Signal.lies_within`, of every joint."""
        return all(group.signal.lies_within(from_ns, until_ns) for group in self.groups)

    def insert(
        self, stamp_ns: int, value: Vector | Part, newest_frame_ns: int | None = None, oldest_needed_ns: int = 0
    ) -> tuple[bool, int]:
        """Add the values of a message.

        Args:
            stamp_ns: its stamp.
            value: of all joints, or of a part of them.
            newest_frame_ns: stamp of the newest frame, None before the first.
            oldest_needed_ns: what no question about this time or a later one can need is dropped.

        Returns:
            Whether it is new: a message that repeats the last value with its stamp of each of its joints is not. And
            how many messages are now known to be late.
        """
        if self.dim is None and not isinstance(value, Part):  # as nearly always: with every message, so it is short
            signal = self.groups[0].signal
            if signal.jumps_back(stamp_ns):
                self._forget_the_old_time(signal, newest_frame_ns)
            is_new = signal.insert(stamp_ns, value)
            if is_new and not signal.awaits_reset:
                signal.forget_before(oldest_needed_ns)
            return is_new, signal.take_late()
        pieces = self._pieces(value)
        for signal, _ in pieces:
            if signal.jumps_back(stamp_ns):
                self._forget_the_old_time(signal, newest_frame_ns)
        is_new = not all(signal.repeats(stamp_ns, part) for signal, part in pieces)
        late, is_counted = 0, False
        for signal, part in pieces:
            comes_late = signal.comes_late(stamp_ns)
            signal.insert(stamp_ns, part, is_new=is_new, is_counted=is_counted)
            is_counted |= comes_late
            if is_new and not signal.awaits_reset:
                signal.forget_before(oldest_needed_ns)
            late += signal.take_late()
        return is_new, late

    def _forget_the_old_time(self, signal: Signal, newest_frame_ns: int | None) -> None:
        """The sender's time has jumped. If the frames jumped first, what it sent from before the jump in the meantime
        lies far ahead of them and would stand in for values that are still to come."""
        if newest_frame_ns is None:
            signal.clear()
        else:
            signal.forget_after(newest_frame_ns + self._jump_back_ns)

    def asked(self, time_ns: int, *, looks_ahead: bool) -> None:
        """As :meth:`Signal.asked`, of every joint."""
        for group in self.groups:
            group.signal.asked(time_ns, looks_ahead=looks_ahead)

    def frames_go_on(self, newest_ns: int) -> None:
        """As :meth:`Signal.frames_go_on`, for every joint."""
        for group in self.groups:
            group.signal.frames_go_on(newest_ns)

    def start_epoch(self) -> None:
        """As :meth:`Signal.start_epoch`, for every joint."""
        for group in self.groups:
            group.signal.start_epoch()

    def _pieces(self, value: Vector | Part) -> Sequence[tuple[Signal, Vector]]:
        """Which signals get which values."""
        if not isinstance(value, Part):
            return [(group.signal, self._taken(value, group.joints)) for group in self.groups]
        key = value.joints.tobytes()
        if key not in self._ways:
            self._split(value.joints, value.of)
        return [
            (signal, value.values if places is None else self._taken(value.values, places))
            for signal, places in self._ways[key]
        ]

    def _split(self, joints: Joints, of: int) -> None:
        """Make every group one of joints that are all among these, or none of them."""
        self.dim = of
        groups: list[Group] = []
        for group in self.groups:
            own = group.joints if len(group.joints) else np.arange(of)
            inside = np.isin(own, joints)
            if inside.all() or not inside.any():
                groups.append(group)
                continue
            groups += [
                Group(
                    own[which],
                    group.signal.split(partial(self._taken, places=which), float(which.mean()), is_counted=is_counted),
                )
                for which, is_counted in ((inside, False), (~inside, True))
            ]
        if len(groups) != len(self.groups) or len(self._ways) >= _MOST_WAYS:
            self.groups, self._ways = groups, {}
        self._ways[joints.tobytes()] = [
            (group.signal, None if len(group.joints) == len(joints) else np.searchsorted(joints, group.joints))
            for group in self.groups
            if group.joints[0] in joints
        ]

    def _taken(self, value: Vector, places: Joints | NDArray[np.bool_]) -> Vector:
        """The values of some of the joints."""
        if not self._lead:
            return value[places]
        return np.concatenate([value[:, : self._lead], value[:, self._lead :][:, places]], axis=1)
