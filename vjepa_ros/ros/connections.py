"""Watches the node's topics: who cannot talk to it for want of a common quality of service, and who has its name.

The middleware tells only that there is somebody and which policy it was; the two profiles are looked up in the graph.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible

from vjepa_ros.units import S_TO_NS


@dataclass(frozen=True)
class Mismatch:
    """One endpoint of another node that a topic of ours cannot be connected to."""

    topic: str
    text: str


class Connections:
    """Counts and names what keeps messages from getting through.

    Args:
        node: whose topics they are.

    Attributes:
        mismatches: by topic, how often an endpoint with an incompatible quality of service was met.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._name = (node.get_name(), node.get_namespace())
        self._watched: set[tuple[str, bool]] = set()  # (topic, whether this node publishes it)
        self.mismatches: Counter[str] = Counter()

    def subscription(self, topic: str) -> SubscriptionEventCallbacks:
        """Callbacks for a subscription about to be made to this topic, its name resolved."""
        return SubscriptionEventCallbacks(incompatible_qos=self._watch(topic, publishes=False))

    def publisher(self, topic: str) -> PublisherEventCallbacks:
        """The same for a publisher."""
        return PublisherEventCallbacks(incompatible_qos=self._watch(topic, publishes=True))

    def _watch(self, topic: str, *, publishes: bool) -> Any:
        self._watched.add((topic, publishes))

        def on_event(event: Any) -> None:
            self.mismatches[topic] += event.total_count_change

        return on_event

    def forget(self, topic: str) -> None:
        """Stop watching a topic whose subscription or publisher is gone; its count stays."""
        self._watched -= {(topic, False), (topic, True)}

    def present(self) -> list[Mismatch]:
        """The mismatches that are still there, both profiles in words."""
        found = []
        for topic, publishes in self._watched:
            if not self.mismatches[topic]:
                continue
            ours, others = (
                self._node.get_subscriptions_info_by_topic(topic),
                self._node.get_publishers_info_by_topic(topic),
            )
            if publishes:
                ours, others = others, ours
            # As the graph has it: in the profile that a topic was made with 0 stands for an endless deadline.
            own = next((end.qos_profile for end in ours if (end.node_name, end.node_namespace) == self._name), None)
            for other in others if own is not None else []:
                theirs = other.qos_profile
                offered, requested = (own, theirs) if publishes else (theirs, own)
                compatibility, reason = qos_check_compatible(offered, requested)
                if compatibility == QoSCompatibility.ERROR:
                    name = f"{other.node_namespace.rstrip('/')}/{other.node_name}"
                    verb = "subscribes" if publishes else "publishes"
                    text = f"{name} {verb} {describe(theirs)}, this node has {describe(own)}: {reason.rstrip(';')}"
                    found.append(Mismatch(topic, text))
        return found

    def namesakes(self) -> int:
        """Other nodes of the same name and namespace; one that was killed is seen for the middleware's lease (20 s)."""
        return max(0, self._node.get_node_names_and_namespaces().count(self._name) - 1)


def describe(profile: QoSProfile) -> str:
    """The policies that decide whether two endpoints match, in words."""
    words = [profile.reliability.name, profile.durability.name, profile.liveliness.name]
    words += [
        f"{name} {duration.nanoseconds / S_TO_NS:g} s"
        for name, duration in (("deadline", profile.deadline), ("lease", profile.liveliness_lease_duration))
        if 0 < duration.nanoseconds < 2**62  # 0 and the middleware's infinity: none
    ]
    return ", ".join(words).lower().replace("_", " ")
