"""How often a model that fails is asked again; live and in a replay alike. It knows neither models nor threads."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from vjepa_ros.errors import EngineError

ResultT = TypeVar("ResultT")


def attempt(
    compute: Callable[[], ResultT],
    most: int,
    *,
    goes_on: Callable[[], bool] = lambda: True,
    failed: Callable[[EngineError], None] = lambda _error: None,
) -> tuple[ResultT, float] | None:
    """Compute, and try again where the model fails.

    Args:
        compute: raises EngineError where the model fails.
        most: attempts that may fail in a row.
        goes_on: asked before each attempt whether the result is still wanted.
        failed: called after each attempt that failed, with what it raised.

    Returns:
        The result and how long its attempt took, in ms; None if it was no longer wanted.

    Raises:
        EngineError: the last one, after too many.
    """
    failures = 0
    while goes_on():
        started_s = time.monotonic()
        try:
            result = compute()
        except EngineError as error:
            failed(error)
            failures += 1
            if failures >= most:
                raise
        else:
            return result, (time.monotonic() - started_s) * 1e3
    return None
