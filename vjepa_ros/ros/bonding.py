"""The topic ``bond``: heartbeats for a lifecycle manager, from activate to deactivate. Wiring only.

The messages are of the package ``bond``, which is looked for only where the parameters ask for it.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode

from vjepa_ros.bond import Bond, Status
from vjepa_ros.config.parts import BondConfig
from vjepa_ros.ros.inputs import message_class
from vjepa_ros.ros.last_line import LastLine

TOPIC, TYPE = "bond", "bond/msg/Status"
_SENT, _HEARD = 5, 30  # depths, as bondcpp has them


def needed(config: BondConfig) -> dict[str, str]:
    """The types of messages that a configuration needs, by the parameter that asks for them."""
    return {"bond.heartbeat_s": TYPE} if config.heartbeat_s else {}


class Bonding:
    """The node's side of a bond, where the parameters want one.

    Args:
        node: whose it is; its name is the bond's id.
        last_line: takes what callbacks let through.
    """

    def __init__(self, node: LifecycleNode, last_line: LastLine) -> None:
        self._node = node
        self._last_line = last_line
        self._bond: Bond | None = None
        self._kind: Any = None
        self._ends: list[Any] = []  # publisher, subscription, timer
        self._formed = False

    def open(self, config: BondConfig) -> None:
        """Begin heartbeats, in the place of a bond that is still being left."""
        self._close()
        if not config.heartbeat_s:
            return
        self._kind = message_class(TYPE)
        self._bond = Bond(
            self._node.get_name(), str(uuid.uuid4()), period_s=config.heartbeat_s, timeout_s=config.timeout_s,
            now_s=time.monotonic(),
        )  # fmt: skip
        self._formed = False
        hear = self._last_line.guarded(TOPIC, self._hear, lambda _message: None)
        tick = self._last_line.guarded(TOPIC, self._tick, lambda: None)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._ends = [
            self._node.create_publisher(self._kind, TOPIC, _SENT),
            self._node.create_subscription(self._kind, TOPIC, hear, _HEARD),
            self._node.create_timer(config.heartbeat_s, tick, clock=steady),
        ]
        self._tick()

    def leave(self) -> None:
        """Say farewell; heartbeats that say so go on until the manager has heard, or 2 s."""
        if self._bond is not None:
            self._send(self._bond.leave(time.monotonic()))

    def _hear(self, message: Any) -> None:
        if self._bond is not None:
            self._send(self._bond.heard(read(message), time.monotonic()))
            self._look()

    def _tick(self) -> None:
        if self._bond is not None:
            self._send(self._bond.tick(time.monotonic()))
            self._look()

    def _look(self) -> None:
        """Say what has become of the bond."""
        bond = self._bond
        if bond is None:
            return
        if bond.state == "alive" and not self._formed:
            self._formed = True
            self._node.get_logger().info("bond: a lifecycle manager watches this node")
        if bond.state == "dead":
            if bond.reason:
                self._node.get_logger().warning(f"bond: {bond.reason}: the node goes on without")
            self._close()

    def _send(self, status: Status | None) -> None:
        if status is not None and self._ends and self._node.context.ok():
            self._ends[0].publish(write(self._kind(), status, self._node.get_clock().now().to_msg()))

    def _close(self) -> None:
        if self._ends:
            publisher, subscription, timer = self._ends
            self._node.destroy_timer(timer)
            self._node.destroy_subscription(subscription)
            self._node.destroy_publisher(publisher)
        self._bond, self._ends = None, []


def read(message: Any) -> Status:
    """What a bond/msg/Status says."""
    return Status(
        message.id, message.instance_id, bool(message.active), message.heartbeat_timeout, message.heartbeat_period
    )


def write(message: Any, status: Status, stamp: Any) -> Any:
    """Fill a bond/msg/Status."""
    message.header.stamp = stamp
    message.id, message.instance_id, message.active = status.id, status.instance_id, status.active
    message.heartbeat_timeout, message.heartbeat_period = (
        float(status.heartbeat_timeout),
        float(status.heartbeat_period),
    )
    return message
