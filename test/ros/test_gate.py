"""A gate that is closed holds messages up in the middleware, and nothing else; once it is open all come, in order."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import rclpy
from rclpy.executors import Executor, MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.qos import QoSProfile
from std_msgs.msg import Int32

from vjepa_ros.ros.gate import Gate

LONG_S = 30.0


@pytest.mark.parametrize("kind", [SingleThreadedExecutor, MultiThreadedExecutor])
def test_messages_wait_where_they_are(ros: None, kind: Callable[[], Executor]) -> None:
    node, executor = rclpy.create_node("gated"), kind()
    executor.add_node(node)
    gate = Gate(node.default_callback_group)
    gated: list[int] = []
    others: list[int] = []
    deep = QoSProfile(depth=100)
    node.create_subscription(Int32, "numbers", lambda message: gated.append(message.data), deep, callback_group=gate)
    node.create_subscription(Int32, "numbers", lambda message: others.append(message.data), deep)
    publisher = node.create_publisher(Int32, "numbers", deep)
    room = node.create_guard_condition(lambda: setattr(gate, "is_open", True))

    def spin(until: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + LONG_S
        while not until():
            assert time.monotonic() < deadline_s, (gated, others)
            executor.spin_once(timeout_sec=0.1)

    try:
        spin(lambda: publisher.get_subscription_count() == 2)
        publisher.publish(Int32(data=0))
        spin(lambda: gated == [0] and others == [0])
        gate.is_open = False
        for number in range(1, 21):
            publisher.publish(Int32(data=number))
        spin(lambda: len(others) == 21)
        for _ in range(5):
            executor.spin_once(timeout_sec=0.02)
        assert gated == [0]
        room.trigger()
        spin(lambda: len(gated) == 21)
        assert gated == others == list(range(21))
    finally:
        executor.shutdown()
        node.destroy_node()
