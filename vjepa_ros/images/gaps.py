"""Whether packets are missing before one of a stream: told by their numbers or, where they have none, by their stamps.

The numbers in the pictures themselves (:mod:`vjepa_ros.images.h264`) begin anew at each keyframe: a group that is
missing as a whole leaves no gap in them. Where pictures say their place in the order in which they are shown
(``pic_order_cnt_lsb``), numbers and stamps must keep step with that. It decodes nothing, and holds nothing back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from vjepa_ros.images.h264 import Picture

_INTERVALS, _RECENT = 31, 5  # kept, and those of the newest pace
_LEAST = 5  # to judge by: more than half of them without a gap, even if there are two
_LONGER = 2.5  # what of the usual interval is a gap: a group of two that is missing makes it three times as long
_LONGER_AFTER_KEY = 1.5  # a keyframe alone can be missing between a keyframe and a picture: twice as long
_MOST_UNEVEN = 0.25  # of the intervals that are as long as that, or there is nothing to tell by it


@dataclass(frozen=True)
class Step:
    """From one packet to the next.

    Attributes:
        interval_ns: between their stamps; None before the second.
        numbers: between their numbers, 1 as a rule; None where they have none.
        places: between their pictures in the order in which they are shown; None where that is not told.
    """

    interval_ns: int | None
    numbers: int | None
    places: int | None

    @property
    def moved(self) -> int:
        """By how much: in numbers where there are some."""
        return (self.numbers if self.numbers is not None else self.interval_ns) or 0


class Gaps:
    """What the packets of a stream have shown of its pace and of its order."""

    def __init__(self) -> None:
        self._intervals_ns: deque[int] = deque(maxlen=_INTERVALS)
        self._steps: deque[Step] = deque(maxlen=_RECENT)  # between pictures that say their place
        self._stamp_ns: int | None = None
        self._pts: int | None = None
        self._picture: Picture | None = None
        self._skipped = False  # a packet without a picture has taken a number, or has that of the next one

    def skip(self, pts: int | None) -> None:
        """Note a packet without a picture."""
        self._skipped |= pts is not None and self._pts is not None and pts == self._pts + 1

    def add(self, picture: Picture | None, stamp_ns: int, pts: int | None) -> Step:
        """Note the next packet; without its picture where nobody knows what is in it."""
        interval_ns = None if self._stamp_ns is None else stamp_ns - self._stamp_ns
        numbers = None if pts is None or self._pts is None else pts - self._pts
        if numbers == 2 and self._skipped:
            numbers = 1
        step = Step(interval_ns, numbers, None if picture is None else self._places(picture))
        if interval_ns is not None and interval_ns > 0:  # also a long one: who has become slower is not late for ever
            self._intervals_ns.append(interval_ns)
        if step.places:
            self._steps.append(step)
        self._stamp_ns, self._pts, self._picture, self._skipped = stamp_ns, pts, picture, False
        return step

    def _places(self, picture: Picture) -> int | None:
        before, bits = self._picture, picture.sequence.order_bits
        if before is None or picture.is_key or not bits or before.sequence.order_bits != bits:
            return None
        half = 1 << bits - 1
        return (picture.place - before.place + half) % (2 * half) - half

    def can_tell(self, picture: Picture, step: Step) -> bool:
        """Whether :meth:`is_loss` knows; if not, packets that come later will tell."""
        if step.places is not None:
            return len(self._steps) >= _LEAST
        return self._is_counted(picture, step) or len(self._intervals_ns) >= _LEAST

    def is_loss(self, picture: Picture, step: Step) -> bool:
        """Whether packets are missing before a picture; so too where one cannot tell, unless it needs none of them."""
        if step.places is not None:
            return len(self._steps) < _LEAST or self._is_out_of_step(picture, step)
        if self._is_counted(picture, step):
            return step.numbers != 1
        if step.interval_ns is None:
            return False
        if step.interval_ns < 0:
            return picture.sequence.in_order
        if len(self._intervals_ns) < _LEAST:
            return not picture.is_key
        return step.interval_ns > self._longest_ns(picture)

    @staticmethod
    def _is_counted(picture: Picture, step: Step) -> bool:
        return step.numbers is not None and picture.sequence.in_order

    def _longest_ns(self, picture: Picture) -> float:
        known = list(self._intervals_ns)
        usual_ns = min(median(known), median(known[-_RECENT:]))  # who has become faster is so at once
        is_near = picture.number == 1 and picture.sequence.in_order
        return usual_ns * (_LONGER_AFTER_KEY if is_near and _is_even(known, _LONGER_AFTER_KEY * usual_ns) else _LONGER)

    def _is_out_of_step(self, picture: Picture, step: Step) -> bool:
        """Whether a picture is later, or earlier, than its place says: that of another group is by a whole group."""
        pace = median(one.moved / (one.places or 1) for one in self._steps)
        usual = pace * min(abs(one.places or 1) for one in self._steps)

        def error(of: Step) -> float:
            return abs(of.moved - (of.places or 0) * pace)

        near = (_LONGER_AFTER_KEY - 1) * usual
        is_near = step.numbers is not None or (picture.number == 1 and _is_even(map(error, self._steps), near))
        return pace <= 0 or error(step) > (near if is_near else (_LONGER - 1) * usual)


def _is_even(known: Iterable[float], longest: float) -> bool:
    longer = [one > longest for one in known]
    return sum(longer) <= _MOST_UNEVEN * len(longer)
