"""What the stamps of one topic are like: repeated, standing still, whole seconds, going back and forth.

It counts and words; it decides nothing, and knows neither messages nor clocks.
"""

from __future__ import annotations

from vjepa_ros.units import S_TO_NS

_REPEATED = 3  # messages with the stamp of the one before; one at a whole second may be there twice
_SELDOM = 20  # of so many stamps one may have nanoseconds where a driver stamps in whole seconds: its first one has
_FROZEN_MESSAGES, _FROZEN_NS = 10, S_TO_NS  # so many with one stamp, over so long: it stands still
_BACK_AND_FORTH = 3  # times; a frame or two may have been overtaken


class Stamps:
    """Counts what the stamps of one topic do.

    Args:
        jump_back_ns: from this far back on, time has jumped.

    Attributes:
        arrived: messages.
        repeated: of these, with the very stamp of the one before.
        behind: stamped before the one that had come before them.
        jumps: of these, by so much that time has jumped.
        dropped: frames that were not taken for their stamp.
    """

    def __init__(self, jump_back_ns: int) -> None:
        self._jump_back_ns = jump_back_ns
        self.arrived = self.repeated = self.behind = self.jumps = self.dropped = 0
        self._last_ns: int | None = None
        self._furthest_ns = 0  # behind the one before
        self._fractions = 0  # stamps that are no whole second
        self._run = 0  # messages with the last stamp
        self._run_since_ns = 0  # when the first of them was received
        self._run_ns = 0  # how long they have come

    def add(self, stamp_ns: int, received_ns: int) -> None:
        """Count in a message."""
        self.arrived += 1
        self._fractions += stamp_ns % S_TO_NS != 0
        last_ns, self._last_ns = self._last_ns, stamp_ns
        if stamp_ns == last_ns:
            self.repeated += 1
            self._run += 1
            self._run_ns = received_ns - self._run_since_ns
            return
        self._run, self._run_since_ns, self._run_ns = 1, received_ns, 0
        if last_ns is None:
            return
        if stamp_ns < last_ns:
            self.behind += 1
            self.jumps += last_ns - stamp_ns >= self._jump_back_ns
            self._furthest_ns = max(self._furthest_ns, last_ns - stamp_ns)

    @property
    def is_frozen(self) -> bool:
        """Whether the stamp stands still while messages come."""
        return self._run >= _FROZEN_MESSAGES and self._run_ns >= _FROZEN_NS

    @property
    def is_whole_seconds(self) -> bool:
        """Whether the stamps have no nanoseconds, but for a few, and messages share them for it."""
        return self._fractions * _SELDOM <= self.arrived and self.repeated >= _REPEATED

    @property
    def goes_back_and_forth(self) -> bool:
        """Whether stamps fall behind those before them again and again."""
        return self.behind >= _BACK_AND_FORTH

    @property
    def jumps_back_and_forth(self) -> bool:
        """The same, so far that time seems to jump."""
        return self.jumps >= _BACK_AND_FORTH

    @property
    def furthest_s(self) -> float:
        """How far the furthest stamp was behind the one before it."""
        return self._furthest_ns / S_TO_NS

    @property
    def frozen(self) -> str:
        """That the stamp stands still, in words."""
        stands = f"the last {self._run} messages have one stamp ({seconds(self._last_ns or 0)} s)"
        return f"{stands}, over {self._run_ns / S_TO_NS:.1f} s: the driver does not stamp each message anew"

    @property
    def lost(self) -> str:
        """How many frames were dropped for their stamps, what was wrong with these, and what to do."""
        kinds = [f"{self.repeated} with the very stamp of the one before"] if self.repeated else []
        if self.behind:
            kinds.append(f"{self.behind} stamped before the one before, by up to {self.furthest_s:.3f} s")
        text = f"{self.dropped} of {self.arrived} frames dropped, stamped at or before the newest"
        return "; ".join([f"{text} ({', '.join(kinds)})" if kinds else text, *self._causes()])

    def _causes(self) -> list[str]:
        causes = []
        if self.is_whole_seconds and not self.is_frozen:
            every = "nearly all" if self._fractions else "all"
            causes.append(
                f"{every} stamps are whole seconds: the driver must stamp each frame with its nanoseconds too"
            )
        if self.is_frozen:
            causes.append(self.frozen)
        if self.goes_back_and_forth:
            causes.append("the stamps go back and forth: two senders, or a driver that sends frames out of order")
        return causes


def seconds(time_ns: int) -> str:
    """A stamp in seconds, exactly."""
    sign, (whole, rest) = "-" if time_ns < 0 else "", divmod(abs(time_ns), S_TO_NS)
    return f"{sign}{whole}.{rest:09d}"
