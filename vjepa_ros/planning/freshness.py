"""What execution is judged on, and how old that is: measured joints, windows, and how wrong forecasts were.

One rule for all of them: something is as old as its stamp says by the clock of the stamps, and as old as the machine's
own clock says since it came, whichever is more; so what is delayed on its way is as old as it is, and a clock that
stands still keeps nothing new. Numbers in, sentences out; it knows no messages, and whoever uses it from two threads
holds a lock.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.errors import InputError
from vjepa_ros.geometry import Vector
from vjepa_ros.planning.arm import Arm
from vjepa_ros.units import S_TO_NS, to_ns

_NEVER = -(2**62)  # ns: before any stamp


@dataclass(frozen=True)
class Seen:
    """When something was seen.

    Attributes:
        stamp_ns: its stamp.
        came_s: when it came, on the monotonic clock.
    """

    stamp_ns: int = _NEVER
    came_s: float = -np.inf


class Freshness:
    """Keeps what was measured, and says what of it all is too old.

    Args:
        max_age_s: how old it may be.
        jump_back_s: a measurement older than the one before it by this much means that time has jumped; by less, it
            was overtaken on its way and counts for nothing.
        now_ns: the time on the clock of the stamps.

    Attributes:
        joints: (joints,) where the arm is, NaN for what was never measured.
    """

    def __init__(self, max_age_s: float, jump_back_s: float, now_ns: Callable[[], int]) -> None:
        self._max_age_s = max_age_s
        self._jump_back_ns = to_ns(jump_back_s)
        self._now_ns = now_ns
        self._names: tuple[str, ...] = ()
        self._window = self._error = Seen()
        self._every_s = 0.0  # from one window to the next
        self._forget()

    def _forget(self) -> None:
        count = len(self._names)
        self.joints: Vector = np.full(count, np.nan)
        self._stamps_ns: NDArray[np.int64] = np.full(count, _NEVER, np.int64)
        self._came_s: Vector = np.full(count, -np.inf)

    def describe(self, arm: Arm | None) -> None:
        """Begin with another robot, of which nothing is measured yet; None where there is none."""
        self._names = () if arm is None else arm.joint_names
        self._forget()

    def measured(self, joints: NDArray[np.int64] | slice, positions: Vector, stamp_ns: int) -> str:
        """Take in where some of the joints were; how time has jumped back, in words, empty where it has not.

        Raises:
            InputError: ``out_of_order`` where something newer of one of them has come already.
        """
        back_ns = int(np.max(self._stamps_ns[joints], initial=_NEVER)) - stamp_ns
        jumped = ""
        if back_ns >= self._jump_back_ns:
            jumped = f"measured joints are stamped {back_ns / S_TO_NS:.3f} s before those that came last"
            self._forget()
        elif back_ns > 0:
            raise InputError("out_of_order", f"measured {back_ns / S_TO_NS:.3f} s before what has come already")
        self.joints[joints], self._stamps_ns[joints] = positions, stamp_ns
        self._came_s[joints] = time.monotonic()
        return jumped

    def window(self, stamp_ns: int, every_s: float) -> None:
        """Take in that a window has gone through the model, and how long the next one takes."""
        self._window, self._every_s = Seen(stamp_ns, time.monotonic()), every_s

    def compared(self) -> None:
        """Take in that a forecast was compared with what was observed, or that the next time is waited for."""
        self._error = Seen(self._now_ns(), time.monotonic())

    def stale(self) -> str:
        """What of joints and windows is not new enough, in words; empty where everything is."""
        most_s = self._max_age_s
        if not self._names:
            return "there is no robot description"
        for name, stamp_ns, came_s in zip(self._names, self._stamps_ns.tolist(), self._came_s, strict=True):
            if said := self._too_old(Seen(stamp_ns, came_s), most_s, "measured", "never measured"):
                return f"joint {name!r} was {said}; planner.max_age_s is {most_s:g} s"
        said = self._too_old(self._window, most_s + self._every_s, "the newest came", "none has come")
        return said and f"windows: {said}; planner.max_age_s is {most_s:g} s, and one comes in {self._every_s:.2f} s"

    def blind(self) -> str:
        """Why it is not known how wrong forecasts are, in words; empty where it is."""
        most_s = self._max_age_s + self._every_s
        said = self._too_old(self._error, most_s, "the newest came, or was first waited for,", "none has come")
        return said and (
            f"prediction errors: {said}; one is needed every {most_s:.2f} s. Where windows are superseded, a larger "
            "latents.horizon has forecasts of more steps compared"
        )

    def _too_old(self, seen: Seen, most_s: float, before: str, never: str) -> str:
        """Why it is, in words."""
        if seen.stamp_ns == _NEVER:
            return never
        by_stamp_s = (self._now_ns() - seen.stamp_ns) / S_TO_NS
        if by_stamp_s < -most_s:
            return f"stamped {-by_stamp_s:.2f} s ahead of the node's clock: the clocks do not agree"
        age_s = max(by_stamp_s, time.monotonic() - seen.came_s)
        return f"{before} {age_s:.2f} s ago" if age_s > most_s else ""
