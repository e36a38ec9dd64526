"""How often messages come, how regularly, and how old they are: of each topic's last ones.

Times in, numbers out; it knows no messages, and measures no time itself.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from statistics import median

KEPT = 200  # messages of a topic that are remembered
_LATELY_S = 5.0  # of the newest messages, in which a rate is counted: a pause is forgotten after it
_FEWEST = 10  # periods that it is counted over all the same, where messages come seldom
_SLOWER = 0.9  # of the rate that is wanted: a camera of nominally that rate is somewhat off it


@dataclass(frozen=True)
class Rate:
    """What is known of a topic's last messages.

    Attributes:
        count: messages in all.
        hz: how many came a second, in the last seconds; None before the second one.
        period_s: the median time between two; None before the second one.
        jitter_s: how far the times between two differ from that in the median; None before the second one.
        longest_s: the longest time between two.
        silence_s: how long ago the last one came, None before the first.
        awaited_s: for how long the first one has been asked after in vain; None once it has come.
        age_s: the median time from a stamp to its reception; None where there are no stamps.
    """

    count: int = 0
    hz: float | None = None
    period_s: float | None = None
    jitter_s: float | None = None
    longest_s: float | None = None
    silence_s: float | None = None
    awaited_s: float | None = None
    age_s: float | None = None

    def is_below(self, wanted_hz: float | None) -> bool:
        """Whether fewer come than are wanted; None where nothing is."""
        return self.hz is not None and self.hz < _SLOWER * (wanted_hz or 0.0)


class Rates:
    """Remembers when messages came; one append per message."""

    def __init__(self) -> None:
        self.clear()

    def forget(self, topic: str) -> None:
        """Forget a topic's messages: what comes next is its first."""
        for of_topics in (self._came_s, self._ages_ns, self._counts, self._asked_s):
            of_topics.pop(topic, None)

    def clear(self) -> None:
        """Forget all of them."""
        self._came_s: dict[str, deque[float]] = {}
        self._ages_ns: dict[str, deque[int]] = {}
        self._counts: dict[str, int] = {}
        self._asked_s: dict[str, float] = {}  # when a topic without messages was first asked after

    def add(self, topic: str, now_s: float, age_ns: int | None) -> None:
        """A message has come.

        Args:
            topic: where.
            now_s: when, by a monotonic clock.
            age_ns: from its stamp to then by the clock of stamps; None where it has none.
        """
        if topic not in self._counts:
            self._came_s[topic], self._ages_ns[topic], self._counts[topic] = deque(maxlen=KEPT), deque(maxlen=KEPT), 0
        self._came_s[topic].append(now_s)
        self._counts[topic] += 1
        if age_ns is not None:
            self._ages_ns[topic].append(age_ns)

    def of(self, topic: str, now_s: float | None = None) -> Rate:
        """What is known of a topic.

        Args:
            topic: its name.
            now_s: the time now, by the same clock; None where the silence is of no interest.
        """
        if topic not in self._counts:
            if not now_s:  # a simulated clock that nobody has set yet stands at 0
                return Rate()
            return Rate(awaited_s=max(0.0, now_s - self._asked_s.setdefault(topic, now_s)))
        came, ages = list(self._came_s[topic]), self._ages_ns[topic]
        silence_s = None if now_s is None else max(0.0, now_s - came[-1])
        age_s = median(ages) / 1e9 if ages else None
        if len(came) < 2:
            return Rate(self._counts[topic], silence_s=silence_s, age_s=age_s)
        steps = [after - before for before, after in zip(came, came[1:], strict=False)]
        lately_s = [time_s for time_s in came if time_s >= came[-1] - _LATELY_S]
        lately_s = max(lately_s, came[-_FEWEST - 1 :], key=len)
        middle_s, span_s = median(steps), lately_s[-1] - lately_s[0]
        return Rate(
            count=self._counts[topic],
            hz=(len(lately_s) - 1) / span_s if span_s > 0 else None,
            period_s=middle_s,
            jitter_s=median(abs(step - middle_s) for step in steps),
            longest_s=max(steps),
            silence_s=silence_s,
            age_s=age_s,
        )
