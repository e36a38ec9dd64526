"""When a message counts: its stamp or, without one, its time of receipt, on one clock for all streams (rule 1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from vjepa_ros.stream.bounds import checked_stamp_ns
from vjepa_ros.stream.counters import Counters
from vjepa_ros.stream.watch import STREAMS, Watch
from vjepa_ros.units import to_ns

NO_OFFSETS = dict.fromkeys(STREAMS, 0.0)
_SAME_TICK_NS = 1_000_000  # this many messages without a stamp, 1 ns apart, may come within one tick of a clock


def own_stamp_ns(message: Any) -> int:
    """The stamp of a message; 0 where it has none, and its time of receipt counts.

    Args:
        message: with a ``header``, or without one as a Float64MultiArray.

    Raises:
        InputError: ``bad_stamp``.
    """
    header = getattr(message, "header", None)
    return 0 if header is None else checked_stamp_ns(header.stamp)


class CommonClock:
    """The clock that the stamps of all streams are brought to.

    Args:
        offsets_s: added to the stamps, by stream: ``image``, ``joint_commands``, ``joint_states``.
        watch: told of every stamp.
        counters: where messages without a stamp are counted.
        report: told (topic, reason, detail) of a topic whose messages have no stamp, once.
    """

    def __init__(
        self, offsets_s: Mapping[str, float], watch: Watch, counters: Counters, report: Callable[[str, str, str], None]
    ) -> None:
        self._offsets_ns = {stream: to_ns(offset_s) for stream, offset_s in offsets_s.items()}
        self._watch = watch
        self._counters = counters
        self._report = report
        self._told: set[str] = set()
        self._last_received_ns: dict[str, int] = {}  # of the messages without a stamp, by stream

    def stamp_ns(self, stream: str, topic: str, message: Any, received_ns: int, epoch: int) -> tuple[int, int]:
        """A message's time, and what of it was added to its stamp.

        Args:
            stream, topic: where it came.
            message: with a ``header``, or without one as a Float64MultiArray.
            received_ns: its time of receipt, on this clock.
            epoch: the streams'.

        Raises:
            InputError: ``bad_stamp``.
        """
        stamp_ns = own_stamp_ns(message)
        if stamp_ns != 0:
            offset_ns = self._offsets_ns[stream]
            self._watch.stamped(topic, stream, stamp_ns, offset_ns, received_ns, epoch, own=True)
            return stamp_ns + offset_ns, offset_ns
        self._watch.stamped(topic, stream, received_ns, 0, received_ns, epoch, own=False)
        self._counters.zero_stamps += 1
        last_ns = self._last_received_ns.get(stream, -_SAME_TICK_NS)
        if last_ns - _SAME_TICK_NS < received_ns <= last_ns:
            received_ns = last_ns + 1  # a clock that ticks slowly must not make one message out of several
        self._last_received_ns[stream] = received_ns
        if topic not in self._told:
            self._told.add(topic)
            self._report(topic, "zero_stamp", "the receive time stands in: replays will not be bit-identical")
        return received_ns, 0
