"""Whether packets are missing before one of a stream: told by their numbers or, where they have none, by their stamps.

The numbers in the pictures themselves (:mod:`vjepa_ros.images.h264`) begin anew at each keyframe: a group that is
missing as a whole leaves no gap in them. It decodes nothing, and holds nothing back: who asks too early is told so.
"""

from __future__ import annotations

from collections import deque
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
    """

    interval_ns: int | None
    numbers: int | None


class Gaps:
    """What the packets of a stream have shown of its pace and of its order."""

    def __init__(self) -> None:
        self._intervals_ns: deque[int] = deque(maxlen=_INTERVALS)
        self._stamp_ns: int | None = None
        self._pts: int | None = None
        self._skipped = False  # a packet without a picture has taken a number, or has that of the next one
        self._forward = 0  # steps of the numbers
        self._is_reordered = False  # pictures have come that are shown before earlier ones

    def skip(self, pts: int | None) -> None:
        """Note a packet without a picture."""
        self._skipped |= pts is not None and self._pts is not None and pts == self._pts + 1

    def add(self, picture: Picture | None, stamp_ns: int, pts: int | None) -> Step:
        """Note the next packet; without its picture where nobody knows what is in it."""
        interval_ns = None if self._stamp_ns is None else stamp_ns - self._stamp_ns
        numbers = None if pts is None or self._pts is None else pts - self._pts
        if numbers == 2 and self._skipped:
            numbers = 1
        is_back = interval_ns is not None and interval_ns < 0
        may_be_earlier = picture is not None and not picture.is_key and not picture.sequence.in_order
        if may_be_earlier and (numbers < 0 if numbers is not None else is_back):
            self._is_reordered = True
        self._forward += numbers is not None and numbers > 0
        if interval_ns is not None and interval_ns > 0:  # also a long one: who has become slower is not late for ever
            self._intervals_ns.append(interval_ns)
        if not (is_back and may_be_earlier):
            self._stamp_ns = stamp_ns
        self._pts, self._skipped = pts, False
        return Step(interval_ns, numbers)

    def can_tell(self, picture: Picture, step: Step) -> bool:
        """Whether :meth:`is_loss` knows; if not, packets that come later will tell."""
        if self._is_counted(picture, step):
            return picture.sequence.in_order or self._forward >= _LEAST  # pictures out of order would show by then
        return len(self._intervals_ns) >= _LEAST

    def is_loss(self, picture: Picture, step: Step) -> bool:
        """Whether packets are missing before a picture; so too where one cannot tell, unless it needs none of them."""
        if self._is_counted(picture, step):
            return step.numbers != 1
        if step.interval_ns is None:
            return False
        if step.interval_ns < 0:
            return picture.sequence.in_order
        if len(self._intervals_ns) < _LEAST:
            return not picture.is_key
        return step.interval_ns > self._longest_ns(picture)

    def _is_counted(self, picture: Picture, step: Step) -> bool:
        return step.numbers is not None and (picture.sequence.in_order or not self._is_reordered)

    def _longest_ns(self, picture: Picture) -> float:
        known = list(self._intervals_ns)
        usual_ns = min(median(known), median(known[-_RECENT:]))  # who has become faster is so at once
        short_ns = _LONGER_AFTER_KEY * usual_ns
        is_even = sum(one > short_ns for one in known) <= _MOST_UNEVEN * len(known)
        return short_ns if picture.number == 1 and is_even and not self._is_reordered else _LONGER * usual_ns
