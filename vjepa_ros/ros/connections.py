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
        self._profiles: dict[tuple[str, bool], QoSProfile] = {}
        self.mismatches: Counter[str] = Counter()

    def subscription(self, topic: str, profile: QoSProfile) -> SubscriptionEventCallbacks:
        """Callbacks for a subscription about to be made; ``profile`` is the object that rclpy writes overrides into."""
        return SubscriptionEventCallbacks(incompatible_qos=self._watch(topic, profile, publishes=False))

    def publisher(self, topic: str, profile: QoSProfile) -> PublisherEventCallbacks:
        """The same for a publisher."""
        return PublisherEventCallbacks(incompatible_qos=self._watch(topic, profile, publishes=True))

    def _watch(self, topic: str, profile: QoSProfile, *, publishes: bool) -> Any:
        self._profiles[topic, publishes] = profile

        def on_event(event: Any) -> None:
            self.mismatches[topic] += event.total_count_change

        return on_event

    def forget(self, topic: str) -> None:
        """Stop watching a topic whose subscription or publisher is gone; its count stays."""
        for publishes in (False, True):
            self._profiles.pop((topic, publishes), None)

    def present(self) -> list[Mismatch]:
        """The mismatches that are still there, both profiles in words."""
        found = []
        for (topic, publishes), ours in self._profiles.items():
            if not self.mismatches[topic]:
                continue
            look_up = (
                self._node.get_subscriptions_info_by_topic if publishes else self._node.get_publishers_info_by_topic
            )
            for other in look_up(topic):
                theirs = other.qos_profile
                offered, requested = (ours, theirs) if publishes else (theirs, ours)
                compatibility, reason = qos_check_compatible(offered, requested)
                if compatibility == QoSCompatibility.ERROR:
                    name = f"{other.node_namespace.rstrip('/')}/{other.node_name}"
                    verb = "subscribes" if publishes else "publishes"
                    found.append(
                        Mismatch(topic, f"{name} {verb} {describe(theirs)}, this node has {describe(ours)}: {reason}")
                    )
        return found

    def namesakes(self) -> int:
        """Other nodes of the same name and namespace; one that was killed is seen for the middleware's lease (20 s)."""
        own = (self._node.get_name(), self._node.get_namespace())
        return max(0, self._node.get_node_names_and_namespaces().count(own) - 1)


def describe(profile: QoSProfile) -> str:
    """The policies that decide whether two endpoints match, in words."""
    words = [profile.reliability.name, profile.durability.name, profile.liveliness.name]
    words += [
        f"{name} {duration.nanoseconds / 1e9:g} s"
        for name, duration in (("deadline", profile.deadline), ("lease", profile.liveliness_lease_duration))
        if 0 < duration.nanoseconds < 2**62  # 0 and the middleware's infinity: none
    ]
    return ", ".join(words).lower().replace("_", " ")
