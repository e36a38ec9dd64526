"""Seconds and nanoseconds. It knows no clock."""

from __future__ import annotations

S_TO_NS = 1_000_000_000


def to_ns(seconds: float) -> int:
    """Seconds as whole nanoseconds."""
    return round(seconds * S_TO_NS)
