"""Watches what comes in, and says what is not as it should be: stamps, clocks, and two senders of one thing.

It only looks: no stamp, frame or window is changed by it. It sees stamps, times of receipt, names and sizes, and knows
no graph.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vjepa_ros.errors import listed, quoted
from vjepa_ros.stream import clocks
from vjepa_ros.stream.clocks import FarClock, Setting
from vjepa_ros.stream.senders import Alternation, are_disjoint
from vjepa_ros.stream.skew import SkewEstimate
from vjepa_ros.stream.stamps import Stamps, seconds
from vjepa_ros.units import S_TO_NS

CAMERA = "image"
STREAMS = (CAMERA, "joint_commands", "joint_states")
"""The streams that have clocks of their own."""
_MOST_CHARACTERS = 200  # of a name that others are compared with
_EVERY = 5  # frames of the camera, between two looks at its clock
_MIXED = {
    CAMERA: "frames of more than one camera would be mixed into one window: give each a topic of its own",
    "joint_commands": "the newest command of any sender counts: let one of them send, or give each a topic of its own",
    "joint_states": "the newest state of any sender counts: let one of them send, or give each a topic of its own",
}


class Watch:
    """Counts what is odd about the messages of each topic, and reports it.

    Args:
        report: told (topic, reason, detail); it is not expected to repeat itself.
        max_skew_s: clocks further apart are reported; infinite, none are looked at.
        jump_back_s: stamps this far before those before them have jumped.

    Attributes:
        setting: which clock messages are received by, now.
        last_jump: the topic on which time jumped back last, and from where to where; empty before that.
    """

    def __init__(self, report: Callable[[str, str, str], None], max_skew_s: float, jump_back_s: float) -> None:
        self.setting: Callable[[], Setting] = Setting
        self.last_jump = ("", "")
        self._report = report
        self._max_skew_s = max_skew_s
        self._jump_back_ns = round(jump_back_s * S_TO_NS)
        self._skew = SkewEstimate(*STREAMS)
        self._camera = FarClock(max_skew_s)
        self._camera_topic = ""
        self._far = ""  # what is wrong with the camera's clock now
        self._unstamped: set[str] = set()
        self._last_ns: dict[str, int] = {}  # the last stamp of each stream
        self._epoch = 0
        self._stamps: dict[str, Stamps] = {}
        self._frame_ids: dict[str, Alternation] = {}
        self._sizes: dict[str, Alternation] = {}
        self._joints: dict[str, Alternation] = {}
        self._streams: dict[str, str] = {}  # of the topics of joints
        self._said: set[tuple[str, str]] = set()
        self._jumps = 0

    # -- what has come

    def stamped(
        self, topic: str, stream: str, stamp_ns: int, offset_ns: int, received_ns: int, epoch: int, *, own: bool
    ) -> None:
        """A message has come.

        Args:
            topic, stream: where.
            stamp_ns: its stamp, or the time of receipt in place of it.
            offset_ns: what is added to stamps of the stream.
            received_ns: when it was received.
            epoch: the stream's.
            own: whether the message has a stamp.
        """
        if epoch != self._epoch:
            self._epoch = epoch
            self._skew.clear()
            self._camera.clear()
        stamps = self._stamps.get(topic)
        if stamps is None:
            stamps = self._stamps[topic] = Stamps(self._jump_back_ns)
        stamps.add(stamp_ns, received_ns)
        if own and stamps.is_frozen:
            self._once(topic, "frozen_stamps", stamps.frozen)
        if own and stream != CAMERA and stamps.jumps_back_and_forth:
            far = f"the stamps jump back again and again, by up to {stamps.furthest_s:.3f} s"
            self._once(topic, "stamps_back_and_forth", f"{far}: two senders whose clocks do not agree?")
        self._watch_clocks(topic, stream, stamp_ns + offset_ns, received_ns, own)

    def frame(self, topic: str, frame_id: str) -> None:
        """A frame of this coordinate frame has come."""
        alternation = self._frame_ids.setdefault(topic, Alternation())
        if alternation.add(frame_id[:_MOST_CHARACTERS]):
            self._report(topic, "frame_id_alternates", _alternates("frame_id", alternation))

    def picture(self, topic: str, encoding: str, height: int, width: int) -> None:
        """A frame of this kind has been decoded."""
        alternation = self._sizes.setdefault(topic, Alternation())
        if alternation.add(f"{width}x{height} {encoding[:_MOST_CHARACTERS]}"):
            self._report(topic, "size_alternates", _alternates("the size or encoding", alternation))

    def joints(self, topic: str, stream: str, message: Any, wanted: frozenset[str]) -> None:
        """A message of joints could be read, or something else that one may send of the robot.

        Args:
            topic, stream: where.
            message: with the names of joints, or without.
            wanted: those that are read; what else it names says nothing about who sent it.
        """
        every = getattr(message, "name", None) or getattr(message, "joint_names", None) or ()
        names = wanted.intersection(every)
        header = getattr(message, "header", None)
        frame_id = "" if header is None else header.frame_id[:_MOST_CHARACTERS]
        self._streams[topic] = stream
        alternation = self._joints.setdefault(topic, Alternation())
        if alternation.add((frame_id, names)) and not self.complete_each_other(topic):
            self._report(topic, "senders_alternate", self._different(topic))

    def dropped(self, topic: str) -> None:
        """A frame was dropped for its stamp."""
        self._stamps[topic].dropped += 1

    def jumped(self, topic: str, from_ns: int, to_ns: int) -> None:
        """Time has jumped back on a topic, between two stamps of it; what is said of it is ``last_jump``."""
        self._jumps += 1
        often = f", the {self._jumps}th time" if self._jumps > 1 else ""
        by_s = (from_ns - to_ns) / S_TO_NS
        self.last_jump = topic, f"from {seconds(from_ns)} to {seconds(to_ns)}, {by_s:.3f} s back{often}"

    def _different(self, topic: str) -> str:
        """That messages of joints are of different senders, in words."""
        kinds = "; ".join(
            f"{count} with frame_id {quoted(kind[0])} and {listed(sorted(kind[1]), 3)}"  # type: ignore[index]
            for kind, count in self._joints[topic].counts
        )
        return f"messages of different senders alternate ({kinds}): {_MIXED[self._streams[topic]]}"

    # -- what is to be said of it

    def complete_each_other(self, topic: str) -> bool:
        """Whether messages of different joints come there, none of them in two: an arm's and its gripper's."""
        found = self._joints.get(topic)
        return found is not None and are_disjoint(kind[1] for kind, _ in found.counts)  # type: ignore[index]

    @property
    def problems(self) -> dict[str, str]:
        """What is wrong now, by a short key; each has been reported when it began."""
        found = {"far_clock": f"{self._camera_topic}: {self._far}"} if self._far else {}
        for topic, stamps in self._stamps.items():
            if stamps.is_frozen:
                found[f"frozen_stamps {topic}"] = f"{topic}: {stamps.frozen}"
        for topic, alternation in self._joints.items():
            if alternation.alternates and not self.complete_each_other(topic):
                found[f"senders_alternate {topic}"] = f"{topic}: {self._different(topic)}"
        for key, what, alternations in (
            ("frame_id_alternates", "frame_id", self._frame_ids),
            ("size_alternates", "the size or encoding", self._sizes),
        ):
            for topic, alternation in alternations.items():
                if alternation.alternates:
                    found[f"{key} {topic}"] = f"{topic}: {_alternates(what, alternation)}"
        return found

    @property
    def values(self) -> dict[str, Any]:
        """Numbers about each topic's stamps."""
        found: dict[str, Any] = {"time_jumps_back": self._jumps}
        for topic, stamps in sorted(self._stamps.items()):
            found[f"stamped {topic}"] = stamps.arrived
            found[f"repeated_stamps {topic}"] = stamps.repeated
            found[f"stamps_back {topic}"] = stamps.behind
            if stamps.dropped:
                found[f"dropped {topic}"] = stamps.dropped
        for stream in STREAMS:
            if (age_ns := self._skew.median_ns(stream)) is not None:
                found[f"age_s {stream}"] = round(age_ns / S_TO_NS, 6)
        return found

    @property
    def losses(self) -> dict[str, str]:
        """How many frames have been dropped for their stamps in all, and why, by topic; who asks says it."""
        return {topic: stamps.lost for topic, stamps in sorted(self._stamps.items()) if stamps.dropped}

    def _once(self, topic: str, reason: str, detail: str) -> None:
        if (topic, reason) not in self._said:
            self._said.add((topic, reason))
            self._report(topic, reason, detail)

    # -- clocks

    def _watch_clocks(self, topic: str, stream: str, stamp_ns: int, received_ns: int, own: bool) -> None:
        if self._max_skew_s == float("inf"):
            return
        self._last_ns[stream] = stamp_ns
        (self._unstamped.discard if own else self._unstamped.add)(stream)
        is_renewed = self._skew.add(stream, stamp_ns if own else received_ns, received_ns)
        if stream == CAMERA and own:
            self._camera_topic = topic
            self._camera.add(stamp_ns, received_ns)
            if self._stamps[topic].arrived % _EVERY == 0:
                self._judge_camera(topic)
        elif is_renewed and stream != CAMERA:  # once per pair is enough: the joints report it
            self._judge_skew(topic, stream)

    def _judge_camera(self, topic: str) -> None:
        ages = [self._skew.median_ns(stream) for stream in STREAMS if stream != CAMERA]
        self._far = self._camera.far(self.setting, [age for age in ages if age is not None])
        if self._far:
            self._once(topic, "far_clock", self._far)

    def _judge_skew(self, topic: str, stream: str) -> None:
        skew_s = self._skew.seconds(CAMERA, stream)
        if skew_s is None or abs(skew_s) <= self._max_skew_s:
            return
        ages: dict[str, int] = {name: self._skew.median_ns(name) or 0 for name in (CAMERA, stream)}
        spread_ns = self._skew.spread_ns(clocks.culprit(stream, ages, self._max_skew_s))
        alike = clocks.alike([self._last_ns[name] for name in (CAMERA, stream)])
        stamped = stream not in self._unstamped
        detail = clocks.skew(stream, ages, spread_ns, self._max_skew_s, alike=alike, stamped=stamped)
        self._report(topic, "clock_skew", detail)


def _alternates(what: str, alternation: Alternation) -> str:
    kinds = ", ".join(f"{quoted(str(kind))} ({count} frames)" for kind, count in alternation.counts)
    return f"{what} goes back and forth between {kinds}: {_MIXED[CAMERA]}"
