"""How long callbacks take. It measures time by a monotonic clock, and knows neither topics' types nor what is done."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

KEPT = 10_000  # per topic: 20 s of commands at 500 Hz


class CallbackTimes:
    """The durations of each topic's last callbacks; one append per call."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget all of them."""
        self._durations_s: dict[str, deque[float]] = {}
        self._longest_s: dict[str, float] = {}

    @contextmanager
    def measured(self, topic: str) -> Iterator[None]:
        """Measure what is done inside of it, waiting included."""
        started_s = time.perf_counter()
        try:
            yield
        finally:
            took_s = time.perf_counter() - started_s
            self._durations_s.setdefault(topic, deque(maxlen=KEPT)).append(took_s)
            if took_s > self._longest_s.get(topic, 0.0):
                self._longest_s[topic] = took_s

    def p99_ms(self) -> dict[str, float]:
        """The 99th percentile of each topic's last 10,000 callbacks."""
        return {
            topic: float(np.percentile(np.fromiter(durations, float), 99)) * 1e3
            for topic, durations in sorted(self._durations_s.items())
        }

    def max_ms(self) -> dict[str, float]:
        """The longest callback of each topic since the last :meth:`clear`."""
        return {topic: longest_s * 1e3 for topic, longest_s in sorted(self._longest_s.items())}
