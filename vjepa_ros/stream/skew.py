"""Whether the clocks that stamp camera and joints agree: an estimate to warn about, which decides nothing.

A stream's messages arrive some time after their stamps; that time differs between streams by transport and exposure,
by tens of milliseconds, and between clocks that do not agree by whatever they are apart. The median over the last
messages takes out single delays. Where the delays themselves grow or shrink, as in a recording played at another speed
without its clock, there is no estimate. It knows numbers only.
"""

from __future__ import annotations

from collections import deque
from statistics import median

from vjepa_ros.units import S_TO_NS

_STEADY_NS = 100_000_000  # delays whose median moves by more than this while they are collected tell nothing
_MESSAGES = 31  # of each stream; odd, so that the median is one of them


class SkewEstimate:
    """How much later one stream's messages arrive after their stamps than another's.

    Args:
        streams: the names of the streams.
    """

    def __init__(self, *streams: str) -> None:
        self._delays_ns: dict[str, deque[int]] = {name: deque(maxlen=_MESSAGES) for name in streams}
        self._counts = dict.fromkeys(streams, 0)

    def add(self, stream: str, stamp_ns: int, received_ns: int) -> bool:
        """Count in a message; True whenever all that is remembered of its stream is new.

        Args:
            stream: which one.
            stamp_ns: the message's stamp.
            received_ns: when it was received, on any clock, but on the same for all streams.
        """
        self._delays_ns[stream].append(received_ns - stamp_ns)
        self._counts[stream] += 1
        return self._counts[stream] % _MESSAGES == 0

    def clear(self) -> None:
        """Forget every message: after a jump of time the old delays say nothing."""
        for delays in self._delays_ns.values():
            delays.clear()

    def median_ns(self, stream: str) -> int | None:
        """How long after their stamps the last messages of a stream came; None before the first."""
        delays = self._delays_ns[stream]
        return int(median(delays)) if delays else None

    def spread_ns(self, stream: str) -> int:
        """By how much these times differ, but for the tenth that differs most on each side."""
        delays = sorted(self._delays_ns[stream])
        tenth = len(delays) // 10
        return delays[-1 - tenth] - delays[tenth] if delays else 0

    def seconds(self, stream: str, reference: str) -> float | None:
        """What to add to the stream's stamps to bring them to the reference's clock; None where that is not known."""
        first, second = list(self._delays_ns[stream]), list(self._delays_ns[reference])
        if len(first) < _MESSAGES or len(second) < _MESSAGES:
            return None
        half = _MESSAGES // 2
        if any(abs(median(delays[-half:]) - median(delays[:half])) > _STEADY_NS for delays in (first, second)):
            return None
        return (median(first) - median(second)) / S_TO_NS
