"""Makes the node's publishers and subscriptions alike: watched, timed, their quality of service overridable.

It knows no topics of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.lifecycle import LifecycleNode

from vjepa_ros.ros import qos
from vjepa_ros.ros.connections import Connections
from vjepa_ros.ros.graph import Graph
from vjepa_ros.ros.last_line import LastLine
from vjepa_ros.ros.timing import CallbackTimes


class Endpoints:
    """Publishers and subscriptions of a node.

    Args:
        node: whose they are.
        last_line: takes what their callbacks let through.

    Attributes:
        last_line: as given.
        connections: what keeps messages from getting through.
        graph: who sends to the inputs.
        times: how long callbacks take.
    """

    def __init__(self, node: LifecycleNode, last_line: LastLine) -> None:
        self._node = node
        self.last_line = last_line
        self.connections = Connections(node)
        self.graph = Graph(node)
        self.times = CallbackTimes()

    def resolved(self, topic: str) -> str:
        """The name of a topic after what is renamed."""
        return str(self._node.resolve_topic_name(topic))

    def publisher(self, kind: type, topic: str, profile: Any) -> Any:
        """A lifecycle publisher."""
        events = self.connections.publisher(self._node.resolve_topic_name(topic))
        return self._node.create_lifecycle_publisher(
            kind, topic, profile, event_callbacks=events, qos_overriding_options=qos.overridable()
        )

    def subscription(
        self, kind: type, topic: str, profile: Any, take: Callable[[str, Any], None], group: Any = None
    ) -> Any:
        """A subscription; ``take`` gets the resolved name of the topic and the message. ``group`` may hold it up."""
        resolved = self._node.resolve_topic_name(topic)

        def callback(message: Any) -> None:
            began_s = time.perf_counter()
            try:
                take(resolved, message)
            except Exception as error:  # noqa: BLE001 - the last line
                self.last_line.caught(resolved, error)
            self.times.add(resolved, time.perf_counter() - began_s)

        events = self.connections.subscription(resolved)
        return self._node.create_subscription(
            kind, topic, callback, profile, callback_group=group, event_callbacks=events,
            qos_overriding_options=qos.overridable(),
        )  # fmt: skip

    def destroy(self, endpoint: Any) -> None:
        """End a publisher or subscription that was made here."""
        self.connections.forget(endpoint.topic_name)
        if hasattr(endpoint, "publish"):
            self._node.destroy_lifecycle_publisher(endpoint)
        else:
            self._node.destroy_subscription(endpoint)
