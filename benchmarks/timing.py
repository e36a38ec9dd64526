"""Times several workloads against each other: in turns, so that whatever else the machine does meets all of them alike.

It knows neither models nor devices: workloads are called, and a function is given that waits for their results.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

Work = Callable[[], object]

MIN_ROUNDS = 2


def no_wait() -> None:
    """The wait for workloads whose result is there when they return: none."""


def interleaved(
    works: Mapping[str, Work],
    rounds: int,
    budget_s: float,
    wait: Callable[[], None] = no_wait,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Run all workloads in turns, forwards and backwards alternately; nothing is left out as a warm-up.

    Args:
        works: what to time, by name.
        rounds: how often each is run.
        budget_s: no round begins after this time, in seconds, once :data:`MIN_ROUNDS` were run.
        wait: called before each reading of the clock; waits for a device that computes behind the caller's back.
        clock: seconds, monotonic.

    Returns:
        Per name the durations in ms, in the order of the rounds.
    """
    durations_ms: dict[str, list[float]] = {name: [] for name in works}
    wait()
    began_s = clock()
    for number in range(max(rounds, MIN_ROUNDS)):
        if number >= MIN_ROUNDS and clock() - began_s > budget_s:
            break
        order = list(works)
        for name in order if number % 2 == 0 else reversed(order):
            started_s = clock()
            works[name]()
            wait()
            durations_ms[name].append((clock() - started_s) * 1e3)
    return durations_ms


def medians(durations_ms: Mapping[str, list[float]]) -> dict[str, float]:
    """The median of each workload's durations."""
    return {name: statistics.median(values) for name, values in durations_ms.items()}


def fastest(medians_ms: Mapping[str, float]) -> str:
    """The name with the smallest median; the first of equal ones."""
    return min(medians_ms, key=lambda name: medians_ms[name])
