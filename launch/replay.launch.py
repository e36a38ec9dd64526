"""Start the node of ``predictor.launch.py`` on simulated time, and play a bag to it once it listens.

It shows the ROS graph at work: topics to look at, a planner that listens. ``vjepa_replay`` needs no graph, is faster
and loses nothing. The file takes every argument of ``predictor.launch.py`` and knows ``ros2 bag play``, nothing of what
is played.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import launch.logging
from diagnostic_msgs.msg import DiagnosticArray
from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.event_handlers import OnStateTransition
from launch_ros.ros_adapters import get_ros_node
from launch_ros.substitutions import FindPackageShare
from rclpy.qos import qos_profile_sensor_data
from rosbag2_interfaces.srv import Resume
from rosgraph_msgs.msg import Clock

PLAYER = "rosbag2_player"  # the node of ros2 bag play
POLL_S = 0.1  # how often is looked at what others may have done by now
LISTENING_S = 30.0  # after so long the player is resumed whoever listens
ANSWER_S = 1.0  # a request without an answer for so long is sent again


def generate_launch_description() -> LaunchDescription:
    """The arguments, the node, and the player."""
    predictor = PathJoinSubstitution([FindPackageShare("vjepa_ros"), "launch", "predictor.launch.py"])
    return LaunchDescription(
        [
            DeclareLaunchArgument("bag", description="Bag to play: a folder, or a single .mcap or .db3 file."),
            DeclareLaunchArgument("rate", default_value="1.0", description="Speed of the player, times real time."),
            DeclareLaunchArgument(
                "delay",
                default_value="1.0",
                description="Pause between the node listening to the player and the first message, in seconds.",
            ),
            DeclareLaunchArgument(
                "play_args", default_value="", description="Further arguments of ros2 bag play, for example --loop."
            ),
            OpaqueFunction(function=_player),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(predictor),
                launch_arguments=[("use_sim_time", LaunchConfiguration("use_sim_time", default="true"))],
            ),
        ]
    )


def _positive(context: LaunchContext, name: str) -> str:
    """The argument ``name``; a RuntimeError that names it where it is not a positive number."""
    text = context.launch_configurations[name]
    try:
        is_positive = 0 < float(text) < float("inf")
    except ValueError:
        is_positive = False
    if not is_positive:
        raise RuntimeError(f"{name}: {text!r} is not a positive number")
    return text


def _player(context: LaunchContext) -> list[Any]:
    """The handler that starts the player.

    Raises:
        RuntimeError: where an argument cannot be read or ``bag`` is not there (the player would say so only once the
            node is active).
    """
    bag = Path(context.launch_configurations["bag"]).expanduser()
    if not bag.exists():
        raise RuntimeError(f"bag: there is no {bag}")
    try:
        play_args = shlex.split(context.launch_configurations["play_args"])
    except ValueError as error:
        raise RuntimeError(f"play_args: {error}") from None
    command = ["ros2", "bag", "play", str(bag), "--clock", "--rate", _positive(context, "rate")]
    # Paused, not --delay: during a delay the player's clock runs, and then it jumps back to the start of the bag.
    # --clock may be followed by a number of its own, so it never stands before the bag.
    command += ["--start-paused", "--disable-keyboard-controls", *play_args]
    resumes = not {"-p", "--start-paused"} & set(play_args)  # else whoever has asked for the pause ends it
    player = _Player(float(_positive(context, "delay")) if resumes else None, command)
    # The node is the only one here with a life cycle. Once: one that is activated again gets no second player.
    return [RegisterEventHandler(OnStateTransition(goal_state="active", entities=[player], handle_once=True))]


class _Player(ExecuteProcess):
    """``ros2 bag play``, started paused by the transition of the node that it plays to, and resumed when that listens.

    Args:
        delay_s: pause before it is resumed; None leaves it paused.
        command: its command line.
    """

    def __init__(self, delay_s: float | None, command: list[str]) -> None:
        super().__init__(cmd=command, name="ros2_bag_play", output="screen")
        self._delay_s = delay_s

    def execute(self, context: LaunchContext) -> Any:
        """Start the process, and what waits for the node."""
        entities = super().execute(context)
        if self._delay_s is not None and not context.is_shutdown:
            listener = context.locals.event.action.node_name  # now: the event is gone when this returns
            task = context.asyncio_loop.create_task(self._resume(context, listener, self._delay_s))
            context.add_completion_future(task)  # so that launch reports what it raises
        return entities

    async def _resume(self, context: LaunchContext, listener: str, delay_s: float) -> None:
        """Resume the player once the node ``listener`` has its topics and its clock; give up when it has ended."""
        log = launch.logging.get_logger("replay.launch.py")
        ros = get_ros_node(context)
        graph = _Graph(ros, listener)
        client = ros.create_client(Resume, f"{PLAYER}/resume")

        async def comes_true(question: Callable[[], bool], timeout_s: float) -> bool:
            """Whether it does within this time, and while the player runs."""
            while not (context.is_shutdown or self.return_code is not None):
                if question():
                    return True
                if timeout_s <= 0:
                    return False
                await asyncio.sleep(POLL_S)
                timeout_s -= POLL_S
            return False

        try:
            # The service is the last thing that the player makes, so then its topics are known.
            if not await comes_true(client.service_is_ready, float("inf")):
                return
            if not await comes_true(graph.is_heard, LISTENING_S):
                log.warning(f"the player starts, though after {LISTENING_S:g} s {graph.problem()}")
            await comes_true(lambda: False, delay_s)
            answered = False
            while not answered and await comes_true(client.service_is_ready, float("inf")):
                answered = await comes_true(client.call_async(Resume.Request()).done, ANSWER_S)
                if not answered and (context.is_shutdown or self.return_code is not None):
                    return
            log.info(f"{listener} listens: the player starts")
        finally:
            if not context.is_shutdown:  # at a shutdown launch destroys its ROS node, and these with it
                ros.destroy_client(client)
                graph.destroy()


class _Graph:
    """Whether a node hears the player, as far as a third one can see.

    That both are known here says little about what they know of each other. But a node on simulated time that stamps
    its diagnostics with the time of the paused player has received a message of it, and a process makes all of another
    one's topics known in one go.

    Args:
        ros: the third node.
        listener: full name of the node that should hear the player.
    """

    def __init__(self, ros: Any, listener: str) -> None:
        self._ros, self._listener = ros, listener
        self._clock: Any = None  # what the player says
        self._said: Any = None  # what the listener says
        self._subscriptions = [
            ros.create_subscription(Clock, "/clock", self._on_clock, qos_profile_sensor_data),
            ros.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10),
        ]

    def _on_clock(self, message: Clock) -> None:
        self._clock = message.clock

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        if any(status.name.startswith(f"{self._listener}: ") for status in message.status):
            self._said = message.header.stamp

    def destroy(self) -> None:
        """Stop listening."""
        for subscription in self._subscriptions:
            self._ros.destroy_subscription(subscription)

    def _topics(self) -> tuple[set[str], set[str]]:
        """(what the player publishes, what the listener subscribes to)."""
        namespace, _, name = self._listener.rpartition("/")
        try:
            published = self._ros.get_publisher_names_and_types_by_node(PLAYER, "/")
            subscribed = self._ros.get_subscriber_names_and_types_by_node(name, namespace or "/")
        except RuntimeError:  # one of them is not known yet
            return set(), set()
        return {topic for topic, _ in published}, {topic for topic, _ in subscribed}

    def problem(self) -> str:
        """Why the listener does not hear the player, in words; empty where it does."""
        published, subscribed = self._topics()
        if not published & subscribed - {"/clock"}:
            return (
                f"{self._listener} subscribes to none of its topics: it wants {', '.join(sorted(subscribed))}; "
                f"the player has {', '.join(sorted(published))}"
            )
        if "/clock" in published & subscribed and (self._clock is None or self._clock != self._said):
            return f"{self._listener} does not have its time"
        return ""

    def is_heard(self) -> bool:
        """Whether the listener hears the player."""
        return not self.problem()
