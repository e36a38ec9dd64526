"""How long callbacks take. It measures no time itself, and knows neither topics' types nor what is done."""

from __future__ import annotations

from collections import deque

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

    def add(self, topic: str, took_s: float) -> None:
        """A callback of a topic has taken so long, waiting included."""
        if topic not in self._durations_s:
            self._durations_s[topic] = deque(maxlen=KEPT)
        self._durations_s[topic].append(took_s)
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
