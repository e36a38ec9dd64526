"""Refusals that name the parameter at fault."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable

from vjepa_ros.errors import ConfigError

Refusal = tuple[bool, str, str]
"""Whether a combination is refused, the parameter at fault, and why."""


def require(condition: bool, parameter: str, reason: str) -> None:
    """Raise :class:`ConfigError` for ``parameter`` unless ``condition`` holds."""
    if not condition:
        raise ConfigError(parameter, reason)


def refuse(refusals: Iterable[Refusal]) -> None:
    """Raise :class:`ConfigError` for the first combination that is refused."""
    for refused, parameter, reason in refusals:
        require(not refused, parameter, reason)


def require_finite(parameter: str, value: float, *, above_zero: bool = False) -> None:
    """Refuse what is negative (or zero), infinite or no number: none of them can be a rate or whole nanoseconds."""
    wanted = "positive" if above_zero else "zero or more"
    fits = math.isfinite(value) and (value > 0 if above_zero else value >= 0)
    require(fits, parameter, f"must be {wanted} and finite, not {value!r}")


def require_choice(value: str, parameter: str, choices: Collection[str]) -> None:
    """Refuse a value that is not among the choices."""
    require(value in choices, parameter, f"{value!r} is not one of {', '.join(choices)}")
