"""Joint values out of messages: by name, in any order, with others; one callable per message type.

Which type of commands is read by which stands in :mod:`vjepa_ros.config.inputs`. It reads objects with the fields of
ROS messages, whoever made them, and knows no stamps.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np

from vjepa_ros.config.stream import SignalConfig
from vjepa_ros.errors import InputError, listed, quoted
from vjepa_ros.geometry import Vector
from vjepa_ros.units import S_TO_NS, stamp_to_ns

_MOST = 1e24  # of a value: what is normalised by the least standard deviation and summed must still be a float32
_MOST_SHOWN = 10  # numbers or joints in a message that says what is wrong
_POINT_FIELDS = {"position": "positions", "velocity": "velocities", "effort": "effort"}  # as trajectories call them


class _Picker:
    """Places of the wanted joints among the names of a message."""

    def __init__(self, wanted: Sequence[str]) -> None:
        self._wanted = list(wanted)
        self._names: list[str] | None = None  # of the last message: senders rarely change their order
        self._indices: list[int] = []

    def __call__(self, names: Sequence[str]) -> list[int]:
        if list(names) != self._names:
            missing = [name for name in self._wanted if name not in names]
            if missing:
                raise InputError("missing_joints", f"no {listed(missing)} in a message with {listed(names)}")
            self._names = list(names)
            self._indices = [self._names.index(name) for name in self._wanted]
        return self._indices


class JointStates:
    """sensor_msgs/JointState -> (dims,) float64, scaled."""

    def __init__(self, config: SignalConfig) -> None:
        self._config = config
        self._pick = _Picker(config.joint_names)

    def __call__(self, message: Any) -> Vector:
        """The wanted joints' values.

        Raises:
            InputError: ``missing_joints``, ``length_mismatch`` or ``not_finite``.
        """
        indices = self._pick(message.name)
        values = getattr(message, self._config.field)
        if len(values) != len(message.name):
            raise InputError("length_mismatch", f"{len(message.name)} names but {len(values)} {self._config.field}s")
        return _finished(np.array([values[index] for index in indices], np.float64), self._config)


class JointTrajectories:
    """trajectory_msgs/JointTrajectory -> (points, 1 + dims) float64: time from the start in ns, scaled values."""

    def __init__(self, config: SignalConfig) -> None:
        self._config = config
        self._pick = _Picker(config.joint_names)

    def __call__(self, message: Any) -> Vector:
        """The wanted joints' values at each point.

        Raises:
            InputError: ``missing_joints``, ``length_mismatch``, ``not_finite``, ``empty_trajectory`` or ``bad_times``.
        """
        indices = self._pick(message.joint_names)
        field = _POINT_FIELDS[self._config.field]
        if not message.points:
            raise InputError("empty_trajectory", "it has no points")
        times_ns, rows = [], []
        for point in message.points:
            values = getattr(point, field)
            if len(values) != len(message.joint_names):
                raise InputError("length_mismatch", f"{len(message.joint_names)} names but {len(values)} {field}")
            times_ns.append(stamp_to_ns(point.time_from_start))
            rows.append([values[index] for index in indices])
        times = np.array(times_ns, np.float64)  # exact for 104 days
        if times[0] < 0 or (np.diff(times) <= 0).any():
            shown = f"{(times[:_MOST_SHOWN] / S_TO_NS).tolist()}" + (", ..." if len(times) > _MOST_SHOWN else "")
            raise InputError("bad_times", f"time_from_start must rise from 0 on, not {shown} s")
        return np.column_stack([times, _finished(np.array(rows, np.float64), self._config)])


class FloatArrays:
    """std_msgs/Float64MultiArray -> (dims,) float64, scaled: one number per joint in the order of joint_names."""

    def __init__(self, config: SignalConfig) -> None:
        self._config = config

    def __call__(self, message: Any) -> Vector:
        """The values.

        Raises:
            InputError: ``length_mismatch`` or ``not_finite``.
        """
        if len(message.data) != self._config.dim:
            raise InputError("length_mismatch", f"{len(message.data)} numbers for {self._config.dim} joints")
        return _finished(np.array(message.data, np.float64), self._config)


def _finished(values: Vector, config: SignalConfig) -> Vector:
    """The values, scaled, and checked afterwards: what is finite as it came need not be so any more."""
    came = values
    if config.is_scaled:
        with np.errstate(over="ignore", invalid="ignore"):
            values = values * config.scale + config.offset
    fits = np.abs(values) <= _MOST  # false for what is no number
    if not fits.all():
        columns, read = np.atleast_2d(fits).T, np.atleast_2d(came).T  # a row per joint
        broken = [index for index, column in enumerate(columns) if not column.all()]
        shown = (f"{quoted(config.joint_names[index])}: {read[index][~columns[index]][0]}" for index in broken)
        is_own_fault = config.is_scaled and bool(np.isfinite(came).all())
        why = f", too large once scaled by {config.prefix}.scale" if is_own_fault else ""
        listing = ", ".join(islice(shown, _MOST_SHOWN))
        raise InputError("not_finite", f"{len(broken)} of {len(columns)} joints{why}: {listing}")
    return values
