"""A bare subscription to commands: what rclpy takes for each of them, by either of its executors, before any work.

python -m benchmarks.bare_commands single|events
"""

from __future__ import annotations

import sys
from contextlib import suppress

import rclpy
from rclpy.executors import Executor, ExternalShutdownException, SingleThreadedExecutor
from support.messages import joint_message

from vjepa_ros.ros import qos


def events_executor() -> Executor:
    """Where rclpy has one."""
    from rclpy.experimental import EventsExecutor

    return EventsExecutor()


def main() -> None:
    """Spin until a signal comes."""
    rclpy.init()
    node = rclpy.create_node("bare_commands")
    node.create_subscription(type(joint_message(0, [], [])), "joint_commands", lambda _: None, qos.COMMANDS())
    executor = SingleThreadedExecutor() if sys.argv[1] == "single" else events_executor()
    executor.add_node(node)
    with suppress(KeyboardInterrupt, ExternalShutdownException):
        while rclpy.ok():  # the events executor of Jazzy calls nothing in spin()
            executor.spin_once(timeout_sec=1.0)
    node.destroy_node()
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()
