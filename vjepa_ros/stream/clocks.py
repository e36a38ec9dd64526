"""Whether stamps are of the clock by which messages are received, and what to do where they are not, in words.

A stamp far from the time of reception is no fault by itself: a robot whose sensors all stamp with one clock needs no
other. But what has no stamp takes the time of reception, and questions go by it. Numbers in, sentences out: it knows no
messages.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from statistics import median

from vjepa_ros.stream.stamps import seconds
from vjepa_ros.units import S_TO_NS

_SINCE_START_NS = 2 * 365 * 24 * 3600 * S_TO_NS  # simulations and computers are started anew; clocks say later years
_FAR_NS = 2 * S_TO_NS  # no transport takes so long for long, and it is more than a question may be late
_WAY_NS = 60 * S_TO_NS  # what is late by more is not on its way
_FIRST, _MESSAGES = 5, 31  # messages for a judgement: where it is a matter of years, and where it may be a delay
_BOOT_NS = 5 * S_TO_NS  # stamps this near to the time since boot are that
_QUARTER_NS, _ZONE_SLACK_NS = 900 * S_TO_NS, 30 * S_TO_NS
_ZONES_NS = 1800 * S_TO_NS, 14 * 3600 * S_TO_NS  # the least and the most that zones differ by
_NEVER_SET_NS = 1_420_070_400 * S_TO_NS  # 2015: before ROS 2
_DAY_S = 86400.0


@dataclass(frozen=True)
class Setting:
    """Which clock messages are received by.

    Attributes:
        recorded: it is that of whoever recorded them, not a node's.
        simulated: the node has ``use_sim_time``.
        clock_published: somebody publishes ``/clock``, or it is in the recording.
        boot_ns: how far this computer's clock is ahead of its time since boot; None where that is not known.
    """

    recorded: bool = False
    simulated: bool = False
    clock_published: bool = False
    boot_ns: int | None = None

    @property
    def whose(self) -> str:
        """The clock, in words."""
        return "the recorder's clock" if self.recorded else "the node's clock"


class FarClock:
    """Whether a camera's stamps are far from the clock that its messages are received by.

    Args:
        max_skew_s: stamps no further from it than this are never far.
    """

    def __init__(self, max_skew_s: float) -> None:
        self._far_ns = max(_FAR_NS, max_skew_s * S_TO_NS)
        self._ages_ns: deque[int] = deque(maxlen=_MESSAGES)
        self._stamp_ns = self._received_ns = self._since_ns = 0

    def clear(self) -> None:
        """Forget every message: after a jump of time the old ones say nothing."""
        self._ages_ns.clear()

    def add(self, stamp_ns: int, received_ns: int) -> None:
        """Count in a message; one received at time 0, by a clock that has not begun yet, does not count."""
        if received_ns <= 0:
            return
        if not self._ages_ns:
            self._since_ns = received_ns
        self._stamp_ns, self._received_ns = stamp_ns, received_ns
        self._ages_ns.append(received_ns - stamp_ns)

    def far(self, asked: Callable[[], Setting], joints_ns: Sequence[int]) -> str:
        """How far the stamps are away, what that probably is, and what to do; empty where they are not far.

        Args:
            asked: gives the setting; only where something is far, for it may take a while.
            joints_ns: how long after their stamps the messages of the joints arrive, for each stream that has come.
        """
        if len(self._ages_ns) < _FIRST:
            return ""
        age_ns = int(median(self._ages_ns))
        if abs(age_ns) <= self._far_ns:
            return ""
        setting = asked()
        alike = _is_since_start(self._stamp_ns) == _is_since_start(self._received_ns)
        if alike and abs(age_ns) <= _WAY_NS and len(self._ages_ns) < _MESSAGES:
            return ""
        # Simulated time jumps, and frames may do so somewhat before /clock.
        if alike and setting.simulated and self._received_ns - self._since_ns < _FAR_NS:
            return ""
        side = "behind" if age_ns > 0 else "ahead of"
        away = f"the stamps are {_long(abs(age_ns))} {side} {setting.whose}"
        moments = f"({_moment(self._stamp_ns)} against {_moment(self._received_ns)})"
        # An offset helps where the joints go by the clock here, and would part them from the camera where they do not.
        helps = bool(joints_ns) and all(abs(joint_ns) <= self._far_ns for joint_ns in joints_ns)
        remedy = _remedy(age_ns, self._stamp_ns, self._received_ns, setting, helps)
        if joints_ns and all(abs(joint_ns - age_ns) <= self._far_ns for joint_ns in joints_ns):
            remedy += "; the joints are stamped alike, so that windows are right; questions go by the clock here"
        return f"{away} {moments}: {remedy}"


def _remedy(age_ns: int, stamp_ns: int, received_ns: int, setting: Setting, helps: bool) -> str:
    """What the difference probably is, and what to do about it; an offset only where it helps."""
    if setting.recorded:
        return _remedy_of_recording(age_ns, stamp_ns, received_ns, setting)
    if setting.simulated:
        if _is_since_start(received_ns) and not _is_since_start(stamp_ns):
            return "this node runs on simulated time, the camera does not: set use_sim_time: true there, or false here"
        return "this node runs on the time of /clock, and the camera on another: let both take it from one /clock"
    if setting.clock_published:
        return "somebody publishes /clock, which this node does not read: set use_sim_time: true"
    if _is_since_start(received_ns):
        return "this computer's clock was never set: set it (NTP)"
    if _is_since_start(stamp_ns):
        if setting.boot_ns is not None and abs(age_ns - setting.boot_ns) <= _BOOT_NS:
            return f"this is this computer's time since boot: {_DRIVER}"
        return (
            f"time of a simulation, or since the boot of the camera's computer: set use_sim_time: true and have /clock "
            f"published for the first; for the second, {_DRIVER}"
        )
    offset = f"; until then set time.offset_s.image to {age_ns / S_TO_NS:.3f}" if helps else ""
    if _is_time_zone(age_ns):
        return f"it looks like local time in place of UTC: set the clock that stamps to UTC{offset}"
    if stamp_ns < _NEVER_SET_NS:
        return f"the clock that stamps was never set: set it (NTP, PTP); {_NO_OFFSET}"
    synchronise = f"synchronise the clocks (NTP, PTP){offset}"
    if age_ns > _DAY_S * S_TO_NS:
        return f"if a recording is played, let the player publish /clock and set use_sim_time: true; else {synchronise}"
    if 0 < age_ns <= _WAY_NS:
        return f"if its messages take so long, mend the way (network, encoding, queues); else {synchronise}"
    return synchronise


_NO_OFFSET = "a time.offset_s.image would fit until its next start only"
_DRIVER = f"let the driver stamp with the system's clock; {_NO_OFFSET}"


def _remedy_of_recording(age_ns: int, stamp_ns: int, received_ns: int, setting: Setting) -> str:
    harm = "no harm where all streams are stamped so; what has no stamp takes the time of recording and does not fit"
    if _is_since_start(stamp_ns) and not _is_since_start(received_ns):
        live = "a node that reads this live needs use_sim_time: true"
        since = "time of a simulation" if setting.clock_published else "time of a simulation, or since boot"
        return f"{since}: {harm} (let the recorder use simulated time); {live}"
    if _is_time_zone(age_ns):
        return f"it looks like local time in place of UTC: {harm}"
    if age_ns > _DAY_S * S_TO_NS:
        return f"it was recorded while something older was played, or the clocks were not the same: {harm}"
    return f"the clocks were not the same: {harm}"


def skew(stream: str, ages_ns: dict[str, int], spread_ns: int, limit_s: float, *, alike: bool, stamped: bool) -> str:
    """That camera and joints are stamped by clocks that do not agree, and what helps, if anything does.

    Args:
        stream: of the joints: ``joint_commands`` or ``joint_states``.
        ages_ns: how long after their stamps messages of ``image`` and of the stream arrive.
        spread_ns: by how much these times differ among the messages of the one that is off.
        limit_s: differences up to it are none.
        alike: whether both clocks are of one kind: both set, or both since a start.
        stamped: whether the stream has stamps; else the time of reception stands in for them.
    """
    skew_ns = ages_ns["image"] - ages_ns[stream]  # the camera's stamps are so far behind
    apart = f"{abs(skew_ns) / S_TO_NS:.3f} s {'behind' if skew_ns > 0 else 'ahead of'} those here"
    apart += "" if stamped else ", the times of reception, for want of stamps"
    return f"the camera's stamps seem to be {apart}; {_help(stream, ages_ns, spread_ns, limit_s, alike, stamped)}"


def culprit(stream: str, ages_ns: dict[str, int], limit_s: float) -> str:
    """Which of image and a stream of joints is the one that is off: where one fits the clock here, the other."""
    image_ns, stream_ns = abs(ages_ns["image"]), abs(ages_ns[stream])
    return stream if image_ns <= limit_s * S_TO_NS < stream_ns else "image"


def _help(
    stream: str, ages_ns: dict[str, int], spread_ns: int, limit_s: float, alike: bool, stamped: bool
) -> str:  # fmt: skip
    if not alike:
        when = "one clock counts from a start (a simulation, a boot), the other is set"
        return f"{when}: an offset would fit until the next start only; stamp both with one clock (use_sim_time)"
    off = culprit(stream, ages_ns, limit_s)
    add_ns = ages_ns["image"] - ages_ns[stream]
    add_ns = add_ns if off == "image" else -add_ns
    add = f"add {add_ns / S_TO_NS:.3f} to time.offset_s.{off}"
    if not stamped and off != "image":
        return "give these messages stamps"  # cannot be: what has none arrives when it is stamped
    age_ns = ages_ns[off]
    other_fits = abs(ages_ns[stream if off == "image" else "image"]) <= limit_s * S_TO_NS
    may_be_late = other_fits and 0 < age_ns < _WAY_NS
    if not may_be_late:
        return f"if its clock is wrong, {add}" if off == "image" else f"these are the ones that are off: {add}"
    whose = "its messages" if off == "image" else "the messages here"
    late = f"{whose} arrive {age_ns / S_TO_NS:.3f} s after their stamps"
    harmless = "raise time.max_skew_s, and mend the way" if stamped else "give the messages here stamps"
    if spread_ns > max(S_TO_NS // 10, age_ns // 5):
        differs = f"by {spread_ns / S_TO_NS:.3f} s more or less, which no clock is"
        return f"{late}, {differs}: a slow way (network, encoding, queues), which no offset mends: {harmless}"
    return f"{late}: if that is their way (exposure, network, encoding), {harmless}; if its clock is wrong, {add}"


def alike(stamps_ns: list[int]) -> bool:
    """Whether clocks are of one kind: all set, or all since some start."""
    return len(set(map(_is_since_start, stamps_ns))) == 1


def _is_since_start(time_ns: int) -> bool:
    return time_ns < _SINCE_START_NS


def _is_time_zone(age_ns: int) -> bool:
    """Whether a difference is one between time zones, which are whole quarters of an hour apart."""
    rest_ns = abs(abs(age_ns) - round(abs(age_ns) / _QUARTER_NS) * _QUARTER_NS)
    within = _ZONES_NS[0] - _ZONE_SLACK_NS <= abs(age_ns) <= _ZONES_NS[1] + _ZONE_SLACK_NS
    return within and rest_ns <= _ZONE_SLACK_NS


def _long(time_ns: int) -> str:
    """A length of time, in seconds and, where that is long, in words."""
    length_s = time_ns / S_TO_NS
    words = ""
    for unit, unit_s in (("years", 365.25 * _DAY_S), ("days", _DAY_S), ("hours", 3600.0), ("minutes", 60.0)):
        if length_s >= 2 * unit_s or (unit == "hours" and length_s >= unit_s):
            words = f" ({length_s / unit_s:.1f} {unit})"
            break
    return f"{length_s:.3f} s{words}"


def _moment(time_ns: int) -> str:
    """A time: its date where it is one, else seconds."""
    if _is_since_start(time_ns):
        return f"{seconds(time_ns)} s"
    try:
        date = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=time_ns // 1000)
    except OverflowError:
        return f"{seconds(time_ns)} s"
    return f"{date:%Y-%m-%d %H:%M:%S} UTC"
