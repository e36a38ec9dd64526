"""A clock that was set back: which stamps are of the time after it, and which frames were still on their way.

Arithmetic of stamps, in nanoseconds; it knows no stream and no clock.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ClockJump:
    """One jump.

    Attributes:
        delta_ns: by how much the clock was set, a negative number.
        before_ns: what it said before.
        near_ns: what lies this near to where it went may have overtaken it (``time.jump_back_s``).
    """

    delta_ns: int
    before_ns: int
    near_ns: int

    @property
    def new_time_ns(self) -> tuple[int, int]:
        """From when until when what came before the jump must be of the time after it: at or near where the clock
        went, and not nearer to where it was.
        """
        now_ns = self.before_ns + self.delta_ns
        return now_ns - self.near_ns, now_ns + min(-self.delta_ns // 2, self.near_ns)

    def stale_ns(self, newest_ns: int) -> tuple[int, int] | None:
        """Frames stamped in (after, until] were on their way when the clock jumped; None where there are none.

        They are told apart by lying nearer to the newest frame than to where the clock went, or after it. Where stamps
        go on regardless, they are believed once they lie further after all that can have been on its way than the
        clock jumped, or than ``near_ns``.

        Args:
            newest_ns: the newest frame before the jump.
        """
        if self.new_time_ns[0] <= newest_ns <= self.before_ns + self.delta_ns // 2:
            return None  # it was of the new time already, and so is what follows
        on_their_way_ns = self.before_ns - newest_ns
        if not 0 <= on_their_way_ns < -self.delta_ns:
            on_their_way_ns = 0  # the stamps are not this clock's
        after_ns = newest_ns + (on_their_way_ns + self.delta_ns) // 2
        return after_ns, newest_ns + on_their_way_ns + min(self.near_ns, -self.delta_ns)
