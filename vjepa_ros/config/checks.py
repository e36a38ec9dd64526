"""Refusals that name the parameter at fault."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import Any

from vjepa_ros.errors import ConfigError, brief

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
    fits = is_finite(value) and (value > 0 if above_zero else value >= 0)
    require(fits, parameter, f"must be {wanted} and finite, not {brief(value)}")


def require_choice(value: str, parameter: str, choices: Collection[str]) -> None:
    """Refuse a value that is not among the choices."""
    fits = isinstance(value, str) and value in choices
    require(fits, parameter, f"{brief(value)} is not one of {', '.join(choices)}")


def is_finite(value: Any) -> bool:
    """Whether it is a number that a float can be: a whole one may be larger than any."""
    try:
        return isinstance(value, (int, float)) and math.isfinite(value)
    except OverflowError:
        return False
