"""What test/launch/launch_tests share: the description of a launch file, and a node that looks at what it started.

They are run by ``launch_test FILE`` of launch_testing, from an installed package or by ``test_launch_testing.py``.
"""

from __future__ import annotations

import time
import unittest
from collections.abc import Callable
from typing import Any

import rclpy
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare
from launch_testing.actions import ReadyToTest
from launch_testing.asserts import assertExitCodes
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.executors import SingleThreadedExecutor

DEADLINE_S = 60.0  # for a start with imports and model on a busy machine
PREDICTOR = "/vjepa_predictor"
TRANSITIONS = {
    "deactivate": (Transition.TRANSITION_DEACTIVATE, "inactive"),
    "cleanup": (Transition.TRANSITION_CLEANUP, "unconfigured"),
    "configure": (Transition.TRANSITION_CONFIGURE, "inactive"),
    "activate": (Transition.TRANSITION_ACTIVATE, "active"),
}
"""The id of each transition, and the state that it leads to."""


def describe(file: str, **arguments: str) -> LaunchDescription:
    """A launch file of the package with these arguments, to be tested as soon as it has been included."""
    source = PathJoinSubstitution([FindPackageShare("vjepa_ros"), "launch", file])
    include = IncludeLaunchDescription(PythonLaunchDescriptionSource(source), launch_arguments=list(arguments.items()))
    return LaunchDescription([include, ReadyToTest()])


class Watching(unittest.TestCase):
    """A test with a node of its own, ``self.watcher``."""

    def setUp(self) -> None:
        """Start the node."""
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.watcher: Any = rclpy.create_node("launch_test_watcher", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.watcher)
        self.clients: dict[str, Any] = {}

    def tearDown(self) -> None:
        """End it."""
        self.executor.shutdown()
        self.watcher.destroy_node()
        rclpy.shutdown(context=self.context)

    def need(self, what: str, fulfilled: Callable[[], Any]) -> Any:
        """Wait until it is; what it gives then."""
        deadline = time.monotonic() + DEADLINE_S
        while not (answer := fulfilled()):
            self.assertLess(time.monotonic(), deadline, f"{what} did not come about")
            time.sleep(0.1)
        return answer

    def ask(self, kind: Any, name: str, request: Any, timeout_s: float) -> Any:
        """The answer of a service, None where there is none in time."""
        if name not in self.clients:  # kept: what is sent before both sides know each other is lost
            self.clients[name] = self.watcher.create_client(kind, name)
        answer = self.clients[name].call_async(request)
        self.executor.spin_until_future_complete(answer, timeout_sec=timeout_s)
        return answer.result() if answer.done() else None

    def state(self, node: str = PREDICTOR) -> str | None:
        """The state of a lifecycle node; None where it does not answer within 1 s."""
        answer = self.ask(GetState, f"{node}/get_state", GetState.Request(), 1.0)
        return answer and str(answer.current_state.label)

    def need_state(self, wanted: str, node: str = PREDICTOR) -> None:
        """Wait until a node is in this state."""
        self.need(f"{node} being {wanted}", lambda: self.state(node) == wanted)

    def change(self, transition: str, node: str = PREDICTOR) -> None:
        """Make a transition; the node answers, and is in the state that it leads to."""
        number, wanted = TRANSITIONS[transition]
        request = ChangeState.Request(transition=Transition(id=number))
        answer = self.ask(ChangeState, f"{node}/change_state", request, DEADLINE_S)
        self.assertIsNotNone(answer, transition)
        self.assertTrue(answer.success, transition)
        self.assertEqual(self.need(f"an answer of {node}", lambda: self.state(node)), wanted)

    def need_topics(self, published: dict[str, str], subscribed: dict[str, str], node: str = PREDICTOR) -> None:
        """Wait until a node has these topics, by name, with their types."""
        namespace, _, name = node.rpartition("/")

        def of(by_node: Callable[[str, str], list[tuple[str, list[str]]]]) -> dict[str, list[str]]:
            try:
                return dict(by_node(name, namespace or "/"))
            except rclpy.node.NodeNameNonExistentError:  # not known yet
                return {}

        def there() -> bool:
            sent = of(self.watcher.get_publisher_names_and_types_by_node)
            read = of(self.watcher.get_subscriber_names_and_types_by_node)
            return all(sent.get(topic) == [kind] for topic, kind in published.items()) and all(
                read.get(topic) == [kind] for topic, kind in subscribed.items()
            )

        self.need(f"the topics of {node}", there)


def assert_clean_ends(test: unittest.TestCase, proc_info: Any, proc_output: Any, count: int = 1) -> None:
    """Every process was ended by the SIGINT that launch sends, with status 0, and without a traceback."""
    test.assertEqual(len(proc_info.process_names()), count)
    assertExitCodes(proc_info)
    text = "".join(output.text.decode(errors="replace") for output in proc_output)
    test.assertNotIn("Traceback", text)
    test.assertNotIn("escalating", text)
