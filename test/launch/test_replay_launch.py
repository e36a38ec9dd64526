"""replay.launch.py: its arguments, and that the bag starts when the node hears the player and not before."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from support import bags, replays

from vjepa_ros import latents

with contextlib.suppress(ImportError):  # without it, conftest.py skips all of this
    from launch import LaunchContext
    from launch.actions import DeclareLaunchArgument, ExecuteProcess, IncludeLaunchDescription, OpaqueFunction
    from launch.launch_description_sources import PythonLaunchDescriptionSource
    from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions

ROOT = Path(__file__).resolve().parents[2]
BAG = ROOT / "examples" / "data" / "panda_pick"
DEADLINE_S = 60.0
SECONDS = 3.0  # of the sample bag

# In the place of `ros2`: writes down what it was called with, and what the node was like by then; then it plays.
FAKE_ROS2 = """#!{python}
import json, os, sys
import rclpy
from lifecycle_msgs.srv import GetState
from rcl_interfaces.srv import GetParameters
from support import bag_play
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
bag_play.main(sys.argv[1:])
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
    options = ["--clock", "--rate", "0.5", "--start-paused", "--disable-keyboard-controls"]
    assert command(share, rate="0.5") == ["ros2", "bag", "play", str(BAG), *options]
    given = command(share, rate="0.5", play_args="--loop --topics /a '/b c'")
    assert given == ["ros2", "bag", "play", str(BAG), *options, "--loop", "--topics", "/a", "/b c"]


@pytest.mark.parametrize(("given", "used"), [(None, "true"), ("false", "false"), ("true", "true"), ("", "")])
def test_simulated_time_is_what_is_asked_for(share: Path, given: str | None, used: str) -> None:
    """``use_sim_time:=false`` is obeyed, not overridden in silence."""
    context = LaunchContext()
    if given is not None:
        context.launch_configurations["use_sim_time"] = given
    source = PythonLaunchDescriptionSource(str(share / "launch" / "replay.launch.py"))
    entities = source.get_launch_description(context).entities
    (include,) = [entity for entity in entities if isinstance(entity, IncludeLaunchDescription)]
    ((name, value),) = include.launch_arguments
    assert (name, perform_substitutions(context, normalize_to_list_of_substitutions(value))) == ("use_sim_time", used)


@pytest.mark.parametrize(
    ("name", "value"), [("bag", "/nowhere"), ("rate", "0"), ("rate", "fast"), ("delay", "-1"), ("play_args", "'")]
)
def test_nonsense_is_refused_with_the_name_of_the_argument(share: Path, name: str, value: str) -> None:
    with pytest.raises(RuntimeError, match=name):
        command(share, **{name: value})


@pytest.fixture
def launch(share: Path, tmp_path: Path) -> Iterator[Any]:
    """Start the launch file with these arguments and a player that stands in for ``ros2 bag play``; its log, and the
    file that says what the player was called with."""
    called, log = tmp_path / "called.json", tmp_path / "log"
    ros2 = tmp_path / "bin" / "ros2"
    ros2.parent.mkdir()
    ros2.write_text(FAKE_ROS2.format(python=sys.executable, out=str(called)), encoding="utf-8")
    ros2.chmod(0o755)
    runner, file = Path(__file__).parents[1] / "support" / "run_launch.py", share / "launch" / "replay.launch.py"
    running: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> tuple[Callable[[], str], Path]:
        with log.open("w") as output:
            running.append(
                subprocess.Popen(
                    [sys.executable, str(runner), str(file), *arguments],
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    env=os.environ | {"PATH": f"{ros2.parent}{os.pathsep}{os.environ['PATH']}"},
                )  # fmt: skip
            )
        return log.read_text, called

    yield start
    for process in running:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20.0)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def wait_for(condition: Callable[[], bool], log: Callable[[], str]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s, log()
        time.sleep(0.1)


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    """The beginning of the sample bag."""
    messages = [message for message in bags.sample() if message.topic in bags.TOPICS]
    end_ns = messages[0].received_ns + SECONDS * bags.S
    return bags.write(tmp_path / "bag", [message for message in messages if message.received_ns < end_ns])


@pytest.mark.parametrize("again", range(2))
def test_the_bag_starts_when_the_node_listens_and_all_of_it_arrives(
    launch: Any, bag: Path, tmp_path: Path, again: int
) -> None:
    """Windows, actions and states are those of vjepa_replay, with their hashes."""
    wait = ("--set", "actions.max_wait_s=30.0")
    assert replays.run(bag, "-o", tmp_path / "out", *wait) == 0
    want = replays.report(tmp_path / "out")
    parameters = tmp_path / "parameters.yaml"
    reliable = {
        f"qos_overrides./{topic}.subscription": {"reliability": "reliable", "depth": 1000}
        for topic in ("camera/image_raw/compressed", "joint_states")
    }
    shared = yaml.safe_load(replays.PARAMS.read_text(encoding="utf-8"))
    shared["/**"]["ros__parameters"] |= {"queue": "all", "threads": 1, "actions.max_wait_s": 30.0, **reliable}
    parameters.write_text(yaml.safe_dump(shared), encoding="utf-8")

    rclpy.init()
    watcher = rclpy.create_node("watcher")
    windows: list[dict[str, Any]] = []
    watcher.create_subscription(
        DiagnosticArray, "/vjepa_predictor/window_info",
        lambda message: windows.append(latents.read_window_info(message)), 1000,
    )  # fmt: skip
    try:
        log, called = launch(
            f"bag:={bag}", f"params_file:={parameters}", "device:=cpu", "image_topic:=/camera/image_raw",
            "image_transport:=compressed",
        )  # fmt: skip

        def complete() -> bool:
            rclpy.spin_once(watcher, timeout_sec=0.1)
            return len(windows) >= want["counts"]["windows"]

        wait_for(complete, log)
    finally:
        watcher.destroy_node()
        rclpy.shutdown()
    arguments, state, uses_sim_time = json.loads(called.read_text())
    assert arguments[:3] == ["bag", "play", str(bag)]
    assert (state, uses_sim_time) == ("active", True)
    assert "the player starts" in log() and "though after" not in log()
    hashes = replays.digest(windows)
    assert hashes == {name: want["sha256"][name] for name in hashes}


def test_a_node_that_reads_nothing_of_the_bag_is_told_and_the_player_starts_all_the_same(
    launch: Any, bag: Path, share: Path
) -> None:
    file = share / "launch" / "replay.launch.py"
    file.write_text(file.read_text().replace("LISTENING_S = 30.0", "LISTENING_S = 3.0"))
    log, _ = launch(f"bag:={bag}", "image_topic:=/elsewhere", "joint_commands_topic:=/a", "joint_states_topic:=/b")
    wait_for(lambda: "the player starts" in log() and "listens" in log(), log)
    said = re.search(r"though after 3 s /vjepa_predictor subscribes to none of its topics: it wants (.*)", log())
    assert said is not None and "/elsewhere" in said[1] and "/camera/image_raw/compressed" in said[1]


def test_simulated_time_that_was_not_wanted_is_not_used(launch: Any, bag: Path) -> None:
    log, called = launch(f"bag:={bag}", "use_sim_time:=false", "image_topic:=/camera/image_raw", "rate:=3.0")
    wait_for(lambda: "listens: the player starts" in log(), log)
    assert json.loads(called.read_text())[2] is False
    assert "though after" not in log()


def test_a_pause_that_was_asked_for_stays(launch: Any, bag: Path) -> None:
    log, called = launch(f"bag:={bag}", "play_args:=--start-paused", "image_topic:=/camera/image_raw")
    wait_for(called.exists, log)
    time.sleep(5.0)
    assert "the player starts" not in log()
