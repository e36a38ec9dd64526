"""Start the node of ``predictor.launch.py`` on simulated time, and play a bag to it once it is active.

It is for replays that need the ROS graph: topics to look at, a planner that listens. Where none is needed,
``vjepa_replay`` is faster and loses nothing. The file takes every argument of ``predictor.launch.py`` and knows
``ros2 bag play``, nothing of what is played.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import PathJoinSubstitution
from launch_ros.event_handlers import OnStateTransition
from launch_ros.substitutions import FindPackageShare


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
                description="Pause between the node being active and the first message, in seconds, for discovery.",
            ),
            DeclareLaunchArgument(
                "play_args", default_value="", description="Further arguments of ros2 bag play, for example --loop."
            ),
            OpaqueFunction(function=_player),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(predictor), launch_arguments=[("use_sim_time", "true")]
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
    # --clock may be followed by a number of its own, so it never stands before the bag.
    command += ["--delay", _positive(context, "delay"), "--disable-keyboard-controls", *play_args]
    player = ExecuteProcess(cmd=command, name="ros2_bag_play", output="screen")
    # The node is the only one here with a life cycle. Once: one that is activated again gets no second player.
    return [RegisterEventHandler(OnStateTransition(goal_state="active", entities=[player], handle_once=True))]
