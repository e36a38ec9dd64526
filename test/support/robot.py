"""What every hand-made robot is, in tests and benchmarks: a camera and joints that publish, and a planner that waits.

A robot adds what it sends and what it listens to. It knows the node's topics and services, nothing else of the package.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image, JointState

TIMEOUT_S = 30.0


class WaitingNode(Node):
    """Spins in an executor of its own, until something holds.

    Args:
        name: of the node.
        namespace: where the node and its topics are.

    Attributes:
        timeout_s: how long is waited for anything.
        poll_s: how long one turn of waiting lasts where nothing comes.
    """

    timeout_s = TIMEOUT_S
    poll_s = 0.02

    def __init__(self, name: str, namespace: str = "") -> None:
        super().__init__(name, namespace=namespace)
        self.executor_ = SingleThreadedExecutor()
        self.executor_.add_node(self)

    def close(self) -> None:
        """Leave the middleware."""
        self.executor_.shutdown()
        self.destroy_node()

    def spin(self, until: Callable[[], bool], timeout_s: float | None = None) -> bool:
        """Spin until something holds; whether it did in time. A key that is asked for and has not come yet is no."""
        end_s = time.monotonic() + (self.timeout_s if timeout_s is None else timeout_s)

        def holds() -> bool:
            try:
                return until()
            except KeyError:
                return False

        while not holds():
            if time.monotonic() > end_s:
                return False
            self.executor_.spin_once(timeout_sec=self.poll_s)
        return True

    def need(self, condition: Callable[[], bool], otherwise: str) -> None:
        """Spin until something holds.

        Raises:
            TimeoutError: where it did not hold in time; it begins with ``otherwise``.
        """
        if not self.spin(condition):
            raise TimeoutError(f"{otherwise}, for {self.timeout_s:g} s")

    def settle(self, seconds: float = 0.5) -> None:
        """Spin for a while, so that what should not come has the time to come."""
        self.spin(lambda: False, seconds)

    def need_listeners(self, *publishers: Publisher) -> None:
        """Spin until each publisher has one subscriber.

        Raises:
            TimeoutError: naming the topics that nobody has subscribed to in time, or more than one has.
        """

        def wrong() -> list[str]:
            return [publisher.topic_name for publisher in publishers if publisher.get_subscription_count() != 1]

        if not self.spin(lambda: not wrong()):
            raise TimeoutError(f"not one subscriber each of {', '.join(wrong())}, for {self.timeout_s:g} s")

    def ask(self, client: Any, request: Any) -> Any:
        """The answer of a service.

        Raises:
            TimeoutError: where there is none in time.
        """
        future = client.call_async(request)
        self.need(future.done, f"{client.srv_name} did not answer")
        return future.result()


class RobotNode(WaitingNode):
    """Publishes frames, commands and states.

    Args:
        name: of the node.
        images: quality of service of the frames.
        namespace: where the node and its topics are.

    Attributes:
        images, commands, states: the publishers, of ``image``, ``joint_commands`` and ``joint_states``.
    """

    def __init__(self, name: str, images: QoSProfile, namespace: str = "") -> None:
        super().__init__(name, namespace)
        self.images: Publisher = self.create_publisher(Image, "image", images)
        self.commands: Publisher = self.create_publisher(JointState, "joint_commands", QoSProfile(depth=1000))
        self.states: Publisher = self.create_publisher(JointState, "joint_states", QoSProfile(depth=1000))
