"""Seconds and nanoseconds, and the stamps of messages. It knows no clock and no messages but for their two fields."""

from __future__ import annotations

from typing import Any

S_TO_NS = 1_000_000_000


def to_ns(seconds: float) -> int:
    """Seconds as whole nanoseconds."""
    return round(seconds * S_TO_NS)


def stamp_to_ns(stamp: Any) -> int:
    """A builtin_interfaces/Time or Duration, whoever made it, in nanoseconds."""
    return int(stamp.sec) * S_TO_NS + int(stamp.nanosec)


def is_stamp(time_ns: int) -> bool:
    """Whether nanoseconds fit into a builtin_interfaces/Time, whose seconds have 32 bits."""
    return -(2**31) <= time_ns // S_TO_NS < 2**31


def set_stamp(stamp: Any, time_ns: int) -> None:
    """Write nanoseconds into a builtin_interfaces/Time."""
    stamp.sec, stamp.nanosec = divmod(time_ns, S_TO_NS)
