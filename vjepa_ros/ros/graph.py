"""Who sends to the node's inputs: nobody, several, somebody another type, or on a topic that nearly has the name.

It looks at the graph when it is asked to, once a second, and knows what is read from the table of inputs; it sees no
message.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from rclpy.node import Node

from vjepa_ros.config.inputs import CAMERAS, TYPES, Input, of_camera
from vjepa_ros.config.names import near_topics
from vjepa_ros.config.node import NodeConfig
from vjepa_ros.errors import quoted
from vjepa_ros.ros.inputs import rows_of
from vjepa_ros.stream.clocks import Setting
from vjepa_ros.stream.watch import Watch
from vjepa_ros.units import S_TO_NS

CLOCK = "/clock"
_PATIENCE_S = 4.0  # until then a sender may not have been discovered, or is just being started again
_SURE_S = 1.5  # a second sender that is there for so long: one that is replaced by another leaves before
_MOST_NODES = 5
_UNKNOWN = "_NODE_NAME_UNKNOWN_"  # rmw's, until a participant has told its nodes
_MOST_CAMERAS = 3  # topics of images that are named, whatever they are called
_NO_CAMERAS = ("/compressedDepth", "/zstd")  # compressed images too, by their type, but of other formats
_COUNTS = {
    "camera": "frames of all are mixed into one window, as if they were one camera's",
    "sensor": "the newest message of any of them counts",
    "reliable": "the newest command of any of them counts",
    "latched": "the last one to arrive counts, and each other one resets everything",
}
"""What becomes of the messages of several senders, by the quality of the input."""


@dataclass(frozen=True)
class Finding:
    """Something about a topic that keeps the node from working, or makes it work with the wrong things.

    Attributes:
        topic: its name, resolved.
        reason: a short stable key.
        found: what is so.
        remedy: what to do about it; empty where that is said elsewhere.
    """

    topic: str
    reason: str
    found: str
    remedy: str = ""

    @property
    def detail(self) -> str:
        """Both in one sentence."""
        return f"{self.found}: {self.remedy}" if self.remedy else self.found


class Graph:
    """Looks for senders.

    Args:
        node: whose inputs they are.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._since_s: dict[tuple[str, str], float] = {}  # when it was first seen, by topic and what
        self.senders: dict[str, int] = {}

    def forget(self) -> None:
        """The node is not active: nothing is looked for, and the next look is a first one."""
        self._since_s.clear()
        self.senders.clear()

    def look(self, config: NodeConfig, watch: Watch) -> list[Finding]:
        """What is wrong now, for an active node.

        Args:
            config: says what is read.
            watch: has seen the messages: senders that complete each other are not too many.
        """
        found: list[Finding] = []
        self.senders.clear()
        if _is_simulated(self._node):
            found += self._clock()
        for row, ros_type in rows_of(config.stream, config.camera.transport, config.camera.each):
            topic = self._node.resolve_topic_name(row.topic)
            senders = self._node.get_publishers_info_by_topic(topic)
            ours = [sender for sender in senders if sender.topic_type == ros_type]
            self.senders[topic] = len(ours)
            if self._lasts(topic, "several", len(ours) > 1, _SURE_S) and not watch.complete_each_other(topic):
                found.append(several(topic, row, ours))
            others = [sender for sender in senders if sender not in ours]
            is_unknown = any(sender.node_name == _UNKNOWN for sender in others)
            if self._lasts(topic, "unknown", is_unknown, _PATIENCE_S) or not is_unknown:  # it is said once: by its name
                found += other_types(topic, row, ros_type, others)
            if self._lasts(topic, "nobody", not senders, _PATIENCE_S):
                found.append(self.nobody(topic, row, ros_type))
        return found

    def _lasts(self, topic: str, what: str, is_so: bool, least_s: float) -> bool:
        """Whether something has been so at every look for this long."""
        if not is_so:
            self._since_s.pop((topic, what), None)
            return False
        now_s = time.monotonic()
        return now_s - self._since_s.setdefault((topic, what), now_s) >= least_s

    def _clock(self) -> Iterator[Finding]:
        """Where the time comes from, with ``use_sim_time``."""
        senders = self._node.get_publishers_info_by_topic(CLOCK)
        self.senders[CLOCK] = len(senders)
        if self._lasts(CLOCK, "several", len(senders) > 1, _SURE_S):
            text = f"{_nodes(senders)} publish it: time jumps between theirs, and everything is reset each time it does"
            yield Finding(CLOCK, "several_senders", text, "let one of them publish it")
        time_s = self._node.get_clock().now().nanoseconds / S_TO_NS
        if self._lasts(CLOCK, "stands", not (senders and time_s > 0), _PATIENCE_S):
            yield self.clock_stands(senders, time_s)

    @staticmethod
    def clock_stands(senders: Collection[Any], time_s: float) -> Finding:
        """That no time comes in, though the node goes by /clock."""
        who = "nothing has come from those that publish it" if senders else "nobody publishes it"
        stands = f"use_sim_time is true and {who}, so that this node's clock stands at {time_s:.3f} s"
        what = "start the simulation, or let the player of a bag publish it; for a real robot set use_sim_time: false"
        return Finding(CLOCK, "no_clock", stands, what)

    def nobody(self, topic: str, row: Input, ros_type: str) -> Finding:
        """That nobody sends, and who does so on another topic."""
        own = (self._node.get_name(), self._node.get_namespace())
        kinds = {name: types[0] for name, types in self._node.get_topic_names_and_types() if types and name != topic}
        names = near_topics(topic, kinds)
        if row.quality == "camera":
            cameras = sorted(name for name, kind in kinds.items() if kind == ros_type and name not in names)
            names += cameras[: _MOST_CAMERAS * 2]  # some of them are of this node
        hints = []
        for name in names:
            senders = self._node.get_publishers_info_by_topic(name)
            readers = self._node.get_subscriptions_info_by_topic(name) if row.camera else ()
            if any((reader.node_name, reader.node_namespace) == own for reader in readers):
                continue  # another camera of this node
            if any((sender.node_name, sender.node_namespace) != own for sender in senders):
                hints.append(f"there is {name} ({kinds[name]}): {remedy(row, ros_type, name, kinds[name])}")
        what = "; ".join(hints[:_MOST_CAMERAS]) or f"start what does, or {row.renamed()}"
        return Finding(topic, "no_sender", f"nobody publishes {ros_type} there", what)


def setting_of(node: Node) -> Setting:
    """Which clock a node receives messages by."""
    return Setting(
        simulated=_is_simulated(node),
        clock_published=node.count_publishers(CLOCK) > 0,
        boot_ns=time.time_ns() - time.monotonic_ns(),
    )


def _is_simulated(node: Node) -> bool:
    return bool(node.get_parameter("use_sim_time").value)


def several(topic: str, row: Input, senders: Iterable[Any]) -> Finding:
    """That several send, and what becomes of that."""
    found = f"{_nodes(senders)} publish it: {_COUNTS[row.quality]}"
    return Finding(topic, "several_senders", found, f"stop all but one, or {row.renamed()}")


def other_types(topic: str, row: Input, ros_type: str, senders: Iterable[Any]) -> Iterator[Finding]:
    """Those who send something that is not read."""
    for kind in sorted({sender.topic_type for sender in senders}):
        nodes = _nodes(sender for sender in senders if sender.topic_type == kind)
        text = f"{nodes} sends {kind}, this node reads {ros_type}, and gets nothing of it"
        yield Finding(topic, "other_type", text, remedy(row, ros_type, topic, kind))


def remedy(row: Input, wanted: str, name: str, kind: str) -> str:
    """What makes the node read a topic.

    Args:
        row: the input.
        wanted: the type that it is read as.
        name, kind: the topic's own name and type.
    """
    remap = row.renamed(name)
    if kind == wanted:
        return remap
    for transport, other in CAMERAS.items():
        if row.quality == "camera" and other.ros_type == kind and not name.endswith(_NO_CAMERAS):
            own = of_camera(other.topic, row.camera)
            if other.suffix and not name.endswith(other.suffix):
                return f"set image_transport: {transport} and remap {own}:={name}"
            return f"set image_transport: {transport}, remap {own}:={name} where that is not its name yet"
    for choice in TYPES[row.typed_by].values() if row.typed_by else ():
        if choice.ros_type == kind:
            return f"set {row.typed_by}: {choice.name}" + ("" if name.endswith(f"/{row.topic}") else f", and {remap}")
    return f"such messages cannot be read: {row.renamed()} to a topic of {wanted}"


def _nodes(senders: Iterable[Any]) -> str:
    """The nodes of some endpoints, with how many of them each has."""
    counts: dict[str, int] = {}
    for sender in senders:
        name = f"{sender.node_namespace.rstrip('/')}/{sender.node_name}"
        if sender.node_name == _UNKNOWN:
            name = "a node that is not known yet"
        counts[name] = counts.get(name, 0) + 1
    texts = [quoted(name)[1:-1] + (f" ({count} times)" if count > 1 else "") for name, count in sorted(counts.items())]
    more = f" and {len(texts) - _MOST_NODES} more" if len(texts) > _MOST_NODES else ""
    return ", ".join(texts[:_MOST_NODES]) + more
