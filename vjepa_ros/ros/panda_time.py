"""What time it is for the simulated robot: the node's clock, or one that it drives itself.

It knows no messages, and not what happens at which time.
"""

from __future__ import annotations

import time

from rclpy.clock import ROSClock

from vjepa_ros.simulation.episodes import START_NS
from vjepa_ros.units import S_TO_NS

_MARGIN_NS = 1_000_000


class OfClock:
    """The time of a node's clock, which is the machine's, or that of /clock.

    Attributes:
        is_driven: whether it is this process that says what time it is.
    """

    is_driven = False

    def __init__(self, clock: ROSClock) -> None:
        self._clock = clock

    @property
    def margin_ns(self) -> int:
        """How long before a look at the time its next event should lie: looks are never quite on time, and what just
        misses one is late by the time to the next. The times of /clock are as they are said."""
        return 0 if self._clock.ros_time_is_active else _MARGIN_NS

    def now_ns(self) -> int:
        """The time in ns; 0 where /clock has not come yet."""
        return int(self._clock.now().nanoseconds)


class Driven:
    """A time of its own, which passes in proportion to the machine's and stands still when it is told to.

    Args:
        rate: its seconds per second.
        start_ns: where it begins.
    """

    is_driven = True

    def __init__(self, rate: float, start_ns: int = START_NS) -> None:
        self._rate = rate
        self._from_ns, self._from_s = start_ns, time.monotonic()

    def now_ns(self) -> int:
        """The time in ns."""
        return self._from_ns + round((time.monotonic() - self._from_s) * self._rate * S_TO_NS)

    def go_on_from(self, time_ns: int) -> None:
        """It is this time now, whatever it should have been: what was missed is not made up for."""
        self._from_ns, self._from_s = time_ns, time.monotonic()
