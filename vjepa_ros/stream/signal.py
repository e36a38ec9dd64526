"""The values of one stream in the order of their stamps: what is kept, what is late, what a jump of time leaves.

It knows stamps and arrays, not what the arrays mean, nor messages or frames.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable

import numpy as np

from vjepa_ros.geometry import Vector

Stamped = tuple[int, Vector]  # stamp in ns, value

_OPEN = 2**63  # later than any stamp
# Values kept at most, for a camera that lags or stalls: 50 s at 1 kHz. By number and size, not by time, so that a
# single wrong stamp cannot make everything else look old.
_MOST = 50_000
_VALUE_BYTES = 250  # of a value besides its numbers: the array itself, its stamp, its places in three lists


class Signal:
    """The values of one stream that may still be asked for, sorted by stamp.

    Args:
        jump_back_ns: a stamp this far before the one that arrived last means that the sender's time has jumped.
        max_bytes: kept at most, with what each value takes besides its numbers; the oldest go first.
    """

    def __init__(self, jump_back_ns: int, max_bytes: float = math.inf) -> None:
        self._jump_back_ns = jump_back_ns
        self._max_bytes = max_bytes
        self.clear()

    def clear(self) -> None:
        """Forget every value."""
        self._stamps_ns: list[int] = []
        self._values: list[Vector] = []
        self._arrivals: list[int] = []  # number of arrival of each value
        self._bytes = 0  # of all values
        self._count = 0
        self._jumped_at: int | None = None  # number of the arrival that jumped back, until a reset follows
        self._jumped_from_ns = 0  # the newest stamp at that moment
        self._frames_at_jump_ns: int | None = None  # the newest frame after it
        self._last_arrived_ns: int | None = None
        self._undecided_late = 0  # late if what jumped back was a straggler, of the new epoch if it was time
        self._asked_until_ns = -1  # a value stamped up to here comes too late

    @property
    def newest_ns(self) -> int | None:
        """The newest stamp delivered, None before the first."""
        return self._stamps_ns[-1] if self._stamps_ns else None

    def __len__(self) -> int:
        return len(self._stamps_ns)

    def lies_within(self, from_ns: int, until_ns: int) -> bool:
        """Whether all that is kept is stamped there, both ends included."""
        return not self._stamps_ns or (from_ns <= self._stamps_ns[0] and self._stamps_ns[-1] <= until_ns)

    def jumps_back(self, stamp_ns: int) -> bool:
        """Whether this stamp lies so far before the one that arrived last that time must have jumped."""
        return self._last_arrived_ns is not None and stamp_ns <= self._last_arrived_ns - self._jump_back_ns

    def repeats(self, stamp_ns: int, value: Vector) -> bool:
        """Whether the last value with this stamp is the same."""
        found = self.at(stamp_ns)
        return found is not None and found[0] == stamp_ns and np.array_equal(found[1], value)

    def comes_late(self, stamp_ns: int) -> bool:
        """Whether a value stamped so has been asked for already."""
        return stamp_ns <= self._asked_until_ns

    def insert(self, stamp_ns: int, value: Vector, *, is_new: bool = False, is_counted: bool = False) -> bool:
        """Add a value, after those with the same stamp; False for a repetition of one that is there already.

        Args:
            stamp_ns: its stamp.
            value: the value.
            is_new: whether it is known not to be a repetition, whatever it looks like here.
            is_counted: whether another signal counts it where it is late.
        """
        index = bisect_right(self._stamps_ns, stamp_ns)
        self._count += 1
        if self.jumps_back(stamp_ns):
            self._jumped_at, self._jumped_from_ns = self._count, self._stamps_ns[-1] if self._stamps_ns else stamp_ns
            self._frames_at_jump_ns = None
        elif stamp_ns > self._jumped_from_ns:
            self._jumped_at = None  # it was one straggler, not time
        self._last_arrived_ns = stamp_ns
        is_same = index and self._stamps_ns[index - 1] == stamp_ns and np.array_equal(self._values[index - 1], value)
        if is_same and not is_new:
            self._arrivals[index - 1] = self._count  # in a loop the repetition belongs to the new epoch
            return False
        self._stamps_ns.insert(index, stamp_ns)
        self._values.insert(index, value)
        self._arrivals.insert(index, self._count)
        self._bytes += value.nbytes + _VALUE_BYTES
        if len(self) > _MOST or self._bytes > self._max_bytes:
            self._forget_oldest()
        if stamp_ns <= self._asked_until_ns:
            self._undecided_late += not is_counted
            if self._asked_until_ns == _OPEN:
                self._asked_until_ns = stamp_ns  # from now on this is the value that followed
        return True

    def asked(self, time_ns: int, *, looks_ahead: bool) -> None:
        """Remember that the value at a time has been given out, so that what comes too late for it is counted.

        Args:
            time_ns: the time.
            looks_ahead: the value depended on the next one too; where there was none yet, any next one is late.
        """
        until_ns = time_ns
        if looks_ahead and (held := self.at(time_ns)) is not None and held[0] < time_ns:
            following = self.after(time_ns)
            until_ns = _OPEN if following is None else following[0]
        self._asked_until_ns = max(self._asked_until_ns, until_ns)

    def take_late(self) -> int:
        """How many values are newly known to be late; none while it is open whether time has jumped."""
        if self.awaits_reset:
            return 0
        late, self._undecided_late = self._undecided_late, 0
        return late

    def at(self, time_ns: int) -> Stamped | None:
        """The newest value stamped at or before a time, None where there is none."""
        index = bisect_right(self._stamps_ns, time_ns) - 1
        return None if index < 0 else (self._stamps_ns[index], self._values[index])

    def after(self, time_ns: int) -> Stamped | None:
        """The last to arrive of the earliest values stamped after a time, None where there is none."""
        index = bisect_right(self._stamps_ns, time_ns)
        if index == len(self._stamps_ns):
            return None
        last = bisect_right(self._stamps_ns, self._stamps_ns[index]) - 1
        return self._stamps_ns[last], self._values[last]

    def between(self, after_ns: int, until_ns: int) -> list[Stamped]:
        """Every value stamped in (after, until], in order."""
        which = slice(bisect_right(self._stamps_ns, after_ns), bisect_right(self._stamps_ns, until_ns))
        return list(zip(self._stamps_ns[which], self._values[which], strict=True))

    @property
    def awaits_reset(self) -> bool:
        """Whether time has jumped back and no reset has followed: it will need what came after the jump."""
        return self._jumped_at is not None

    def frames_go_on(self, newest_ns: int) -> None:
        """Take note of a frame that came in order. Where the signal has jumped back and the frames do not follow for a
        while, time has not jumped: a stamp far ahead was wrong, and the values after it go on as before.
        """
        if self._jumped_at is None:
            return
        if self._frames_at_jump_ns is None:
            self._frames_at_jump_ns = newest_ns
        elif newest_ns - self._frames_at_jump_ns >= self._jump_back_ns:
            self._jumped_at = None

    def forget_before(self, time_ns: int) -> None:
        """Drop what no question about this time or a later one can need."""
        self._delete(slice(max(bisect_right(self._stamps_ns, time_ns) - 1, 0)))

    def forget_after(self, time_ns: int) -> None:
        """Drop what is stamped after this time."""
        self._delete(slice(bisect_right(self._stamps_ns, time_ns), None))

    def start_epoch(self) -> None:
        """Forget what came before the last jump back; without one, everything.

        Commands and frames travel on their own topics: after a jump, the first commands with the new time may arrive
        before the first frame with it. They must survive the reset which that frame causes.
        """
        if self._jumped_at is None:
            self.clear()
            return
        jumped_at = self._jumped_at
        self._jumped_at = None
        self._undecided_late = 0
        self._asked_until_ns = -1
        kept = [i for i, arrival in enumerate(self._arrivals) if arrival >= jumped_at]
        self._stamps_ns = [self._stamps_ns[i] for i in kept]
        self._values = [self._values[i] for i in kept]
        self._arrivals = [self._arrivals[i] for i in kept]
        self._bytes = _size(self._values)

    def _forget_oldest(self) -> None:
        """Keep as many as may be kept, the newest one in any case: it is the value in force."""
        count, size = max(len(self) - _MOST, 0), self._bytes - _size(self._values[: max(len(self) - _MOST, 0)])
        while size > self._max_bytes and count < len(self) - 1:
            size -= self._values[count].nbytes + _VALUE_BYTES
            count += 1
        self._delete(slice(count))

    def split(self, pick: Callable[[Vector], Vector], share: float, *, is_counted: bool) -> Signal:
        """A signal of a part of each value, to which all has happened that has happened to this one.

        Args:
            pick: the part.
            share: of the bytes that may be kept, what is the part's; that of all parts is 1.
            is_counted: whether another part counts what is late and not decided yet.
        """
        part = Signal(self._jump_back_ns)
        part.__dict__.update(self.__dict__)
        part._stamps_ns, part._arrivals = list(self._stamps_ns), list(self._arrivals)
        part._values = list(map(pick, self._values))
        part._bytes, part._max_bytes = _size(part._values), self._max_bytes * share
        part._undecided_late = 0 if is_counted else self._undecided_late
        return part

    def _delete(self, which: slice) -> None:
        self._bytes -= _size(self._values[which])
        del self._stamps_ns[which]  # in place: this happens with every message
        del self._values[which]
        del self._arrivals[which]


def _size(values: list[Vector]) -> int:
    return sum(value.nbytes + _VALUE_BYTES for value in values)
