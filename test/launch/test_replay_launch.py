"""replay.launch.py: its arguments, and that the player starts when the node is active and not before."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

with contextlib.suppress(ImportError):  # without it, conftest.py skips all of this
    from launch import LaunchContext
    from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction
    from launch.launch_description_sources import PythonLaunchDescriptionSource
    from launch.utilities import perform_substitutions

ROOT = Path(__file__).resolve().parents[2]
BAG = ROOT / "examples" / "data" / "panda_pick"
DEADLINE_S = 60.0

# In the place of `ros2`: writes down what it was called with, and what the node was like by then.
FAKE_ROS2 = """#!{python}
import json, os, sys
import rclpy
from lifecycle_msgs.srv import GetState
from rcl_interfaces.srv import GetParameters
rclpy.init()
node = rclpy.create_node("fake_ros2")
client = node.create_client(GetState, "/vjepa_predictor/get_state")
client.wait_for_service(20.0)
future = client.call_async(GetState.Request())
rclpy.spin_until_future_complete(node, future, timeout_sec=20.0)
asked = node.create_client(GetParameters, "/vjepa_predictor/get_parameters")
asked.wait_for_service(20.0)
answer = asked.call_async(GetParameters.Request(names=["use_sim_time"]))
rclpy.spin_until_future_complete(node, answer, timeout_sec=20.0)
with open({out!r} + ".part", "w") as file:
    json.dump([sys.argv[1:], future.result().current_state.label, answer.result().values[0].bool_value], file)
os.rename({out!r} + ".part", {out!r})
rclpy.shutdown()
"""


def description(share: Path) -> tuple[list[DeclareLaunchArgument], OpaqueFunction]:
    source = PythonLaunchDescriptionSource(str(share / "launch" / "replay.launch.py"))
    found = source.get_launch_description(LaunchContext())
    (player,) = [entity for entity in found.entities if isinstance(entity, OpaqueFunction)]
    return found.get_launch_arguments(), player


def command(share: Path, **arguments: str) -> list[str]:
    """The command line of the player."""
    context = LaunchContext()
    defaults = {"bag": str(BAG), "rate": "1.0", "delay": "1.0", "play_args": ""}
    context.launch_configurations.update(defaults | arguments)
    (registered,) = description(share)[1].execute(context)
    (player,) = registered.event_handler.entities
    assert isinstance(player, ExecuteProcess)
    return [perform_substitutions(context, part) for part in player.cmd]


def test_the_arguments_are_its_own_and_those_of_the_node(share: Path) -> None:
    arguments = {argument.name: argument for argument in description(share)[0]}
    context = LaunchContext()
    defaults = {
        name: argument.default_value and perform_substitutions(context, argument.default_value)
        for name, argument in arguments.items()
    }
    own = {"bag": None, "rate": "1.0", "delay": "1.0", "play_args": ""}
    assert {name: defaults[name] for name in own} == own
    assert {"params_file", "image_topic", "image_transport", "node_name", "respawn"} < set(arguments)
    page = (ROOT / "docs" / "replay.md").read_text(encoding="utf-8")
    table = page.split("## On the ROS graph")[1]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(own)


def test_the_player_gets_the_clock_and_what_was_asked_for(share: Path) -> None:
    options = ["--clock", "--rate", "0.5", "--delay", "1.0", "--disable-keyboard-controls"]
    assert command(share, rate="0.5") == ["ros2", "bag", "play", str(BAG), *options]
    given = command(share, rate="0.5", play_args="--loop --topics /a '/b c'")
    assert given == ["ros2", "bag", "play", str(BAG), *options, "--loop", "--topics", "/a", "/b c"]


@pytest.mark.parametrize(
    ("name", "value"), [("bag", "/nowhere"), ("rate", "0"), ("rate", "fast"), ("delay", "-1"), ("play_args", "'")]
)
def test_nonsense_is_refused_with_the_name_of_the_argument(share: Path, name: str, value: str) -> None:
    with pytest.raises(RuntimeError, match=name):
        command(share, **{name: value})


def test_the_player_starts_when_the_node_is_active(share: Path, tmp_path: Path) -> None:
    called = tmp_path / "called.json"
    ros2 = tmp_path / "bin" / "ros2"
    ros2.parent.mkdir()
    ros2.write_text(FAKE_ROS2.format(python=sys.executable, out=str(called)), encoding="utf-8")
    ros2.chmod(0o755)
    runner, file = Path(__file__).parents[1] / "support" / "run_launch.py", share / "launch" / "replay.launch.py"
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, str(runner), str(file), f"bag:={BAG}", "rate:=2", "device:=cpu"],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | {"PATH": f"{ros2.parent}{os.pathsep}{os.environ['PATH']}"},
            start_new_session=True,
        )
    try:
        deadline_s = time.monotonic() + DEADLINE_S
        while not called.exists():
            assert time.monotonic() < deadline_s, (tmp_path / "log").read_text()
            assert process.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.1)
        arguments, state, uses_sim_time = json.loads(called.read_text())
        assert arguments[:3] == ["bag", "play", str(BAG)]
        assert state == "active"
        assert uses_sim_time is True
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20.0)
        finally:
            process.kill()
