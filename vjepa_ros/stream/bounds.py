"""What a message may not exceed before anybody reads it: names, points, and a stamp that can be published.

It reads objects with the fields of ROS messages, whoever made them, and knows not what they mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vjepa_ros.config.limits import MessageLimits
from vjepa_ros.errors import InputError, quoted
from vjepa_ros.units import S_TO_NS, stamp_to_ns

_NAMES = ("name", "joint_names", "dof_names")  # the fields that list joints, by the types of messages
_MOST_S = 2**31 - 1  # what the seconds of a stamp can hold


def checked_stamp_ns(stamp: Any) -> int:
    """A builtin_interfaces/Time in nanoseconds.

    Raises:
        InputError: ``bad_stamp``: before 1970, or nanoseconds of a second or more; what is made of it could not be
            stamped as it is.
    """
    if not (0 <= stamp.sec <= _MOST_S and 0 <= stamp.nanosec < S_TO_NS):
        raise InputError(
            "bad_stamp",
            f"{stamp.sec} s and {stamp.nanosec} ns is no time (0 to {_MOST_S} s, below {S_TO_NS} ns): the sender fills "
            "in its header wrongly",
        )
    return stamp_to_ns(stamp)


def check_frame_id(message: Any, limits: MessageLimits) -> None:
    """Refuse a frame's name that is too long to be kept with every frame and sent on with every window.

    Raises:
        InputError: ``too_large``.
    """
    header = getattr(message, "header", None)
    if header is not None:
        _check_names((header.frame_id,), limits)


def check_size(message: Any, limits: MessageLimits) -> None:
    """Refuse a message of joints or poses with more in it than is read.

    Raises:
        InputError: ``too_large``.
    """
    check_frame_id(message, limits)
    for field in _NAMES:
        names = getattr(message, field, None)
        if not names:
            continue
        if len(names) > limits.max_joints:
            raise InputError("too_large", f"{len(names)} joints, at most {limits.max_joints} (messages.max_joints)")
        _check_names(names, limits)
    for values in getattr(message, "interface_values", ()):
        if len(values.interface_names) > limits.max_joints:
            raise InputError(
                "too_large", f"{len(values.interface_names)} interfaces of a joint, at most {limits.max_joints}"
            )
        _check_names(values.interface_names, limits)
    points = getattr(message, "points", ())
    if len(points) > limits.max_points:
        raise InputError(
            "too_large", f"a trajectory of {len(points)} points, at most {limits.max_points} (messages.max_points)"
        )


def check_description(text: str, limits: MessageLimits) -> None:
    """Refuse a robot description that is too long to be read in one callback.

    Raises:
        InputError: ``bad_description``.
    """
    if len(text) > limits.max_description_length:
        raise InputError(
            "bad_description",
            f"{len(text):,} characters, at most {limits.max_description_length:,} (messages.max_description_length)",
        )


def _check_names(names: Sequence[str], limits: MessageLimits) -> None:
    if max(map(len, names), default=0) > limits.max_name_length:
        longest = max(names, key=len)
        raise InputError(
            "too_large",
            f"the name {quoted(longest, 40)} of {len(longest)} characters, at most {limits.max_name_length} "
            "(messages.max_name_length)",
        )
