"""Which source frames are sampled (rule 2) and what a stamp out of order means (rule 3).

It sees stamps only; it knows neither images nor commands.
"""

from __future__ import annotations

from enum import Enum
from typing import Generic, Protocol, TypeVar

from vjepa_ros.units import S_TO_NS


class Stamped(Protocol):
    """Anything with a stamp in nanoseconds."""

    @property
    def stamp_ns(self) -> int: ...


FrameT = TypeVar("FrameT", bound=Stamped)


class Order(Enum):
    """What the stamp of an arriving frame means."""

    FIRST = "first"  # nothing before it: ticks start here
    NEXT = "next"
    GAP = "gap"  # further from the frame before it than the largest gap: the window restarts here
    OUT_OF_ORDER = "out_of_order"  # at or before the newest, by a little: dropped
    JUMP_BACK = "jump_back"  # before the newest, by much: everything is reset


class Sampler(Generic[FrameT]):
    """Picks, for each tick t0 + round(n * 1e9 / rate), the source frame nearest to it.

    Args:
        frame_rate_hz: rate of the ticks; 0 takes every frame.
        max_gap_ns: the largest distance between source frames inside a window.
        jump_back_ns: from this far back on, a frame out of order means that time has jumped.
    """

    def __init__(self, frame_rate_hz: float, max_gap_ns: int, jump_back_ns: int) -> None:
        self._rate = frame_rate_hz
        self._max_gap_ns = max_gap_ns
        self._jump_back_ns = jump_back_ns
        self.reset()

    def reset(self) -> None:
        """Forget every frame; the next one is the first."""
        self._newest: FrameT | None = None
        self._t0_ns = 0
        self._tick = 0

    @property
    def newest_ns(self) -> int | None:
        """Stamp of the newest frame taken, None before the first."""
        return None if self._newest is None else self._newest.stamp_ns

    def order(self, stamp_ns: int) -> Order:
        """What a frame with this stamp would mean; changes nothing."""
        if self._newest is None:
            return Order.FIRST
        ahead_ns = stamp_ns - self._newest.stamp_ns
        if ahead_ns <= 0:
            return Order.OUT_OF_ORDER if -ahead_ns < self._jump_back_ns else Order.JUMP_BACK
        return Order.GAP if ahead_ns > self._max_gap_ns else Order.NEXT

    def take(self, frame: FrameT) -> list[FrameT]:
        """The frames sampled by the ticks that this frame decides, in order.

        The frame must be newer than the newest one. After a gap the ticks start anew at it.
        """
        before = self._newest if self.order(frame.stamp_ns) is Order.NEXT else None
        self._newest = frame
        if self._rate == 0:
            return [frame]
        if before is None:
            self._t0_ns, self._tick = frame.stamp_ns, 0
        sampled = []
        while (tick_ns := self._t0_ns + round(self._tick * S_TO_NS / self._rate)) <= frame.stamp_ns:
            earlier_is_nearest = before is not None and tick_ns - before.stamp_ns <= frame.stamp_ns - tick_ns
            sampled.append(before if before is not None and earlier_is_nearest else frame)
            self._tick += 1
        return sampled
