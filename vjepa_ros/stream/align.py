"""Joint commands and states in the order of their stamps, and their value at a time (rule 5).

It knows stamps and vectors, not joints' names, messages or frames.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.config import SignalConfig, to_ns

Vector = NDArray[np.float64]


class Signal:
    """The values of one stream that may still be asked for, sorted by stamp.

    Args:
        jump_back_ns: a stamp this far before the one that arrived last means that the sender's time has jumped.
    """

    def __init__(self, jump_back_ns: int) -> None:
        self._jump_back_ns = jump_back_ns
        self.clear()

    def clear(self) -> None:
        """Forget every value."""
        self._stamps_ns: list[int] = []
        self._values: list[Vector] = []
        self._arrivals: list[int] = []  # number of arrival of each value
        self._count = 0
        self._jumped_at: int | None = None  # number of the arrival that jumped back, until a reset follows
        self._jumped_from_ns = 0  # the newest stamp at that moment
        self._last_arrived_ns: int | None = None
        self.undecided_late = 0  # late if what jumped back was a straggler, of the new epoch if it was time

    @property
    def newest_ns(self) -> int | None:
        """The newest stamp delivered, None before the first."""
        return self._stamps_ns[-1] if self._stamps_ns else None

    def __len__(self) -> int:
        return len(self._stamps_ns)

    def jumps_back(self, stamp_ns: int) -> bool:
        """Whether this stamp lies so far before the one that arrived last that time must have jumped."""
        return self._last_arrived_ns is not None and stamp_ns <= self._last_arrived_ns - self._jump_back_ns

    def insert(self, stamp_ns: int, value: Vector) -> bool:
        """Add a value, after those with the same stamp; False for a repetition of one that is there already."""
        index = bisect_right(self._stamps_ns, stamp_ns)
        self._count += 1
        if self.jumps_back(stamp_ns):
            self._jumped_at, self._jumped_from_ns = self._count, self._stamps_ns[-1] if self._stamps_ns else stamp_ns
        elif stamp_ns > self._jumped_from_ns:
            self._jumped_at = None  # it was one straggler, not time
        self._last_arrived_ns = stamp_ns
        if index and self._stamps_ns[index - 1] == stamp_ns and np.array_equal(self._values[index - 1], value):
            self._arrivals[index - 1] = self._count  # in a loop the repetition belongs to the new epoch
            return False
        self._stamps_ns.insert(index, stamp_ns)
        self._values.insert(index, value)
        self._arrivals.insert(index, self._count)
        return True

    def at(self, time_ns: int) -> tuple[int, Vector] | None:
        """(stamp, value) of the newest value stamped at or before a time, None where there is none."""
        index = bisect_right(self._stamps_ns, time_ns) - 1
        return None if index < 0 else (self._stamps_ns[index], self._values[index])

    @property
    def awaits_reset(self) -> bool:
        """Whether time has jumped back and no reset has followed: it will need what came after the jump."""
        return self._jumped_at is not None

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
        self.undecided_late = 0
        kept = [i for i, arrival in enumerate(self._arrivals) if arrival >= jumped_at]
        self._stamps_ns = [self._stamps_ns[i] for i in kept]
        self._values = [self._values[i] for i in kept]
        self._arrivals = [self._arrivals[i] for i in kept]

    def _delete(self, which: slice) -> None:
        del self._stamps_ns[which]  # in place: this happens with every message
        del self._values[which]
        del self._arrivals[which]


@dataclass(frozen=True)
class Steps:
    """The values of one signal at the steps of a window.

    Attributes:
        values: (T', dims) float64.
        stamps_ns: per step the stamp of the message that the value came from; None where zeros stand in for one.
        missing: steps whose value was missing, or had timed out, and was held or replaced by zeros if it may be.
        usable: False where a missing value may not be replaced; then the window must be skipped.
    """

    values: NDArray[np.float64]
    stamps_ns: tuple[int | None, ...]
    missing: int
    usable: bool


def read_steps(signal: Signal, config: SignalConfig, times_ns: tuple[int, ...]) -> Steps:
    """The signal's values at the times of a window's steps (rules 5 and 6: zero-order hold, reduction ``pick``)."""
    values = np.zeros((len(times_ns), len(config.joint_names)))
    stamps_ns: list[int | None] = []
    timeout_ns = to_ns(config.timeout_s)
    missing, usable = 0, True
    for step, time_ns in enumerate(times_ns):
        found = signal.at(time_ns)
        if found is None or time_ns - found[0] > timeout_ns:
            missing += 1
            if config.on_missing == "skip" or (config.on_missing == "hold" and found is None):
                usable = False
            if config.on_missing == "zero":
                found = None
        stamps_ns.append(None if found is None else found[0])
        if found is not None:
            values[step] = found[1]
    return Steps(values, tuple(stamps_ns), missing, usable)
