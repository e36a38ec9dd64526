"""Joint values out of messages: by name, in any order, with others, all of them or a part; one callable per type.

Which type is read by which stands in :mod:`vjepa_ros.config.inputs`. What a callable gives is (dims,) float64 where the
message has every wanted joint, a :class:`~vjepa_ros.stream.joint_signal.Part` where it has some, and None where it has
none: then it is about another part of the robot. It reads objects with the fields of ROS messages, whoever made them,
and knows no stamps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np

from vjepa_ros.config.stream import FIELDS, SignalConfig
from vjepa_ros.errors import InputError, listed, quoted
from vjepa_ros.geometry import Vector
from vjepa_ros.stream.joint_signal import Joints, Part
from vjepa_ros.units import S_TO_NS, stamp_to_ns

_MOST = 1e24  # of a value: what is normalised by the least standard deviation and summed must still be a float32
_MOST_SHOWN = 10  # numbers or joints in a message that says what is wrong
_MOST_SENDERS = 8  # whose lists of names are remembered: senders rarely change their order
_MOST_REMEMBERED = 100_000  # characters of such a list; a longer one is searched every time
_POINT_FIELDS = {"position": "positions", "velocity": "velocities", "effort": "effort"}  # as trajectories call them

Values = Vector | Part | None
"""Of all wanted joints, of some of them, or of none."""
Read = Callable[[Any], Values]


@dataclass(frozen=True)
class _Found:
    """Where the wanted joints are in a message.

    Attributes:
        indices: their places in it, in the order in which they are wanted.
        joints: which of the wanted ones they are; None for all.
    """

    indices: list[int]
    joints: Joints | None


class _Picker:
    """Places of the wanted joints among the names of a message."""

    def __init__(self, wanted: Sequence[str]) -> None:
        self._wanted = list(wanted)
        self._recent: list[tuple[list[str], _Found | None]] = []

    def __call__(self, names: Sequence[str]) -> _Found | None:
        given = list(names)
        for known, found in self._recent:
            if given == known:
                return found
        found = self._find(given)
        if sum(map(len, given)) <= _MOST_REMEMBERED:
            self._recent = [(given, found), *self._recent[: _MOST_SENDERS - 1]]
        return found

    def _find(self, names: list[str]) -> _Found | None:
        places: dict[str, int] = {}
        for index, name in enumerate(names):
            places.setdefault(name, index)
        joints = [joint for joint, name in enumerate(self._wanted) if name in places]
        if not joints:
            return None
        is_whole = len(joints) == len(self._wanted)
        return _Found([places[self._wanted[joint]] for joint in joints], None if is_whole else np.array(joints))


class JointStates:
    """sensor_msgs/JointState -> (dims,) float64, scaled."""

    def __init__(self, config: SignalConfig) -> None:
        self._config = config
        self._pick = _Picker(config.joint_names)

    def __call__(self, message: Any) -> Values:
        """The wanted joints' values.

        Raises:
            InputError: ``length_mismatch`` or ``not_finite``.
        """
        names, field = message.name, self._config.field
        found, values = self._pick(names), getattr(message, field)
        if found is None and (len(names) or not len(values)):
            return None
        if found is None or len(values) != len(names):
            raise _wrong_length(self._config, len(names), f"{field}s", self._sent(message))
        wanted = [values[index] for index in found.indices]
        if all(map(isnan, wanted)):
            _refuse_empty(self._config, found, self._sent(message))
        return _finished(np.array(wanted, np.float64), found, self._config)

    @staticmethod
    def _sent(message: Any) -> dict[str, Sequence[float]]:
        return {field: getattr(message, field, ()) for field in FIELDS}


class DynamicJointStates:
    """control_msgs/DynamicJointState -> (dims,) float64, scaled. A joint without the wanted interface is not in it."""

    def __init__(self, config: SignalConfig) -> None:
        self._config = config
        self._pick = _Picker(config.joint_names)

    def __call__(self, message: Any) -> Values:
        """The wanted joints' values.

        Raises:
            InputError: ``length_mismatch``, ``missing_field`` or ``not_finite``.
        """
        names, sent = message.joint_names, message.interface_values
        if len(sent) != len(names):
            raise InputError("length_mismatch", f"{len(names)} names but {len(sent)} interface_values")
        found = self._pick(names)
        if found is None:
            return None
        field, values, having = self._config.field, [], []
        for place, index in enumerate(found.indices):
            interfaces, numbers = sent[index].interface_names, sent[index].values
            if len(interfaces) != len(numbers):
                counts = f"{len(interfaces)} interface_names but {len(numbers)} values"
                raise InputError("length_mismatch", f"{quoted(names[index])}: {counts}")
            if field in interfaces:
                values.append(numbers[list(interfaces).index(field)])
                having.append(place)
        if not having:
            has = dict.fromkeys(name for index in found.indices for name in sent[index].interface_names)
            raise InputError(
                "missing_field", f"no {field} in it, which {self._config.prefix}.field asks for; it has {listed(has)}"
            )
        if len(having) < len(found.indices):
            own = np.arange(self._config.dim) if found.joints is None else found.joints
            found = _Found([found.indices[place] for place in having], own[having])
        return _finished(np.array(values, np.float64), found, self._config)


class ControllerReferences:
    """control_msgs/JointTrajectoryControllerState -> (dims,) float64, scaled: what the controller aims at now."""

    _points: tuple[str, ...] = ("reference", "desired")  # as they are called, and were before

    def __init__(self, config: SignalConfig) -> None:
        self._config = config
        self._pick = _Picker(config.joint_names)

    def __call__(self, message: Any) -> Values:
        """The wanted joints' values.

        Raises:
            InputError: ``length_mismatch`` or ``not_finite``.
        """
        found = self._pick(message.joint_names)
        if found is None:
            return None
        points = [getattr(message, name) for name in self._points if hasattr(message, name)]
        point = next((point for point in points if any(map(len, _fields(point).values()))), points[0])
        values = getattr(point, _POINT_FIELDS[self._config.field])
        if len(values) != len(message.joint_names):
            named = _POINT_FIELDS[self._config.field]
            raise _wrong_length(self._config, len(message.joint_names), named, _fields(point))
        wanted = [values[index] for index in found.indices]
        if all(map(isnan, wanted)):
            _refuse_empty(self._config, found, _fields(point))
        return _finished(np.array(wanted, np.float64), found, self._config)


class ControllerFeedback(ControllerReferences):
    """control_msgs/JointTrajectoryControllerState -> (dims,) float64, scaled: what the controller measures."""

    _points = ("feedback", "actual")


class JointTrajectories:
    """trajectory_msgs/JointTrajectory -> (points, 1 + dims) float64: time from the start in ns, scaled values."""

    def __init__(self, config: SignalConfig) -> None:
        self._config = config
        self._pick = _Picker(config.joint_names)

    def __call__(self, message: Any) -> Values:
        """The wanted joints' values at each point.

        Raises:
            InputError: ``length_mismatch``, ``not_finite``, ``empty_trajectory`` or ``bad_times``.
        """
        found = self._pick(message.joint_names)
        if found is None:
            return None
        field = _POINT_FIELDS[self._config.field]
        if not message.points:
            raise InputError("empty_trajectory", "it has no points")
        times_ns, rows = [], []
        for point in message.points:
            values = getattr(point, field)
            if len(values) != len(message.joint_names):
                raise _wrong_length(self._config, len(message.joint_names), field, _fields(point))
            times_ns.append(stamp_to_ns(point.time_from_start))
            rows.append([values[index] for index in found.indices])
        times = np.array(times_ns, np.float64)  # exact for 104 days
        if times[0] < 0 or (np.diff(times) <= 0).any():
            shown = f"{(times[:_MOST_SHOWN] / S_TO_NS).tolist()}" + (", ..." if len(times) > _MOST_SHOWN else "")
            raise InputError("bad_times", f"time_from_start must rise from 0 on, not {shown} s")
        return _finished(np.array(rows, np.float64), found, self._config, times)


class FloatArrays:
    """std_msgs/Float64MultiArray -> (dims,) float64, scaled: one number per joint in the order of joint_names."""

    def __init__(self, config: SignalConfig) -> None:
        self._config = config

    def __call__(self, message: Any) -> Values:
        """The values.

        Raises:
            InputError: ``length_mismatch`` or ``not_finite``.
        """
        if len(message.data) != self._config.dim:
            raise InputError("length_mismatch", f"{len(message.data)} numbers for {self._config.dim} joints")
        return _finished(np.array(message.data, np.float64), _Found([], None), self._config)


def _fields(point: Any) -> dict[str, Sequence[float]]:
    """What a trajectory_msgs/JointTrajectoryPoint has, by the values of ``actions.field``."""
    return {field: getattr(point, name, ()) for field, name in _POINT_FIELDS.items()}


def _wrong_length(config: SignalConfig, names: int, wanted: str, sent: Mapping[str, Sequence[float]]) -> InputError:
    """There are not as many values as names; where another field has them, it says which."""
    has = [field for field, values in sent.items() if len(values) == names and field != config.field]
    hint = ""
    if has and names and not len(sent[config.field]):
        hint = f"; it has {' and '.join(has)}: {config.prefix}.field takes {config.field}"
    return InputError("length_mismatch", f"{names} names but {len(sent[config.field])} {wanted}{hint}")


def _refuse_empty(config: SignalConfig, found: _Found, sent: Mapping[str, Sequence[float]]) -> None:
    """Refuse a message that says NaN for every wanted joint, as some drivers do for what they do not have, where
    another field says more: it names the parameter that reads that.

    Raises:
        InputError: ``not_finite``.
    """
    most = max(found.indices)
    has = [
        field for field, values in sent.items()
        if field != config.field and len(values) > most and np.isfinite([values[i] for i in found.indices]).all()
    ]  # fmt: skip
    if has:
        what = f"every {config.field} of {len(found.indices)} joints is NaN; it has {' and '.join(has)}"
        raise InputError("not_finite", f"{what}: {config.prefix}.field takes {config.field}")


def _finished(values: Vector, found: _Found, config: SignalConfig, times: Vector | None = None) -> Values:
    """The values, scaled, behind the times of a trajectory; a part where they are not of all joints. They are checked
    once they are scaled: what is finite as it came need not be so any more."""
    came, which = values, slice(None) if found.joints is None else found.joints
    if config.is_scaled:
        with np.errstate(over="ignore", invalid="ignore"):
            values = values * np.array(config.scale)[which] + np.array(config.offset)[which]
    if not np.abs(values).max() <= _MOST:  # also where one is no number
        fits = np.abs(values) <= _MOST
        columns, read = np.atleast_2d(fits).T, np.atleast_2d(came).T  # a row per joint
        names = np.array(config.joint_names, dtype=object)[which]
        broken = [index for index, column in enumerate(columns) if not column.all()]
        listing = ", ".join(f"{quoted(names[i])}: {read[i][~columns[i]][0]}" for i in broken[:_MOST_SHOWN])
        scaled = config.is_scaled and np.isfinite(came).all()
        why = f", too large once scaled by {config.prefix}.scale" if scaled else ""
        raise InputError("not_finite", f"{len(broken)} of {len(columns)} joints{why}: {listing}")
    if times is not None:
        values = np.column_stack([times, values])
    return values if found.joints is None else Part(values, found.joints, config.dim)
