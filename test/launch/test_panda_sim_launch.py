"""panda_sim.launch.py: what it makes of its arguments, and the node that it starts."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy

from vjepa_ros.simulation.robot import TABLE

with contextlib.suppress(ImportError):  # without it, conftest.py skips all of this
    import launch.logging
    from launch import LaunchContext
    from launch.actions import DeclareLaunchArgument, OpaqueFunction
    from launch.launch_description_sources import PythonLaunchDescriptionSource
    from launch.utilities import perform_substitutions
    from launch_ros.actions import Node

DEFAULTS = {
    "params_file": "",
    **{row.name.replace(".", "_"): "" for row in TABLE},
    "image_topic": "image",
    "joint_states_topic": "joint_states",
    "joint_commands_topic": "joint_commands",
    "robot_description_topic": "robot_description",
    "goal_image_topic": "~/goal_image",
    "namespace": "",
    "node_name": "panda_sim",
    "use_sim_time": "",
    "log_level": "info",
}


def source(share: Path) -> PythonLaunchDescriptionSource:
    return PythonLaunchDescriptionSource(str(share / "launch" / "panda_sim.launch.py"))


def declared(share: Path) -> dict[str, DeclareLaunchArgument]:
    description = source(share).get_launch_description(LaunchContext())
    return {argument.name: argument for argument in description.get_launch_arguments()}


def evaluate(share: Path, **arguments: str) -> list[str]:
    """The command line that launch would start the executable with (without the executable)."""
    context = LaunchContext()
    context.launch_configurations.update(arguments)
    nodes = []
    for entity in source(share).get_launch_description(context).entities:
        made = entity.execute(context)
        if isinstance(entity, OpaqueFunction):
            nodes = [action for action in made if isinstance(action, Node)]
    (node,) = nodes
    node._perform_substitutions(context)
    name, namespace = node.node_name.rpartition("/")[2], node.expanded_node_namespace
    context.extend_locals({"ros_specific_arguments": {"name": f"__node:={name}", "ns": f"__ns:={namespace}"}})
    return [perform_substitutions(context, part) for part in node.cmd[1:]]


@contextlib.contextmanager
def started(command_line: list[str]) -> Iterator[Any]:
    """A plain rclpy node that got this command line."""
    context = rclpy.Context()
    rclpy.init(args=command_line, context=context)
    node = rclpy.create_node("anything", context=context, automatically_declare_parameters_from_overrides=True)
    try:
        yield node
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)


def test_every_argument_has_a_description_and_its_default(share: Path) -> None:
    arguments = declared(share)
    assert list(arguments) == list(DEFAULTS)
    for name, argument in arguments.items():
        assert len(argument.description) > 10
        assert perform_substitutions(LaunchContext(), argument.default_value) == DEFAULTS[name]


def test_an_argument_overrides_the_file_only_where_given(share: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("/**: {ros__parameters: {seed: 3, variation: wide, clock.drive: true}}\n", encoding="utf-8")
    given = {"seed": "4", "push_distance_m": "0.2", "clock_rate": "2", "clock_drive": "False", "use_sim_time": "true"}
    wanted = {"seed": 4, "push.distance_m": 0.2, "clock.rate": 2.0, "clock.drive": False, "use_sim_time": True}
    with started(evaluate(share, params_file=str(file), **given)) as node:
        assert {name: node.get_parameter(name).value for name in wanted} == wanted
        assert node.get_parameter("variation").value == "wide" and not node.has_parameter("size")
    with started(evaluate(share)) as node:
        assert not any(node.has_parameter(row.name) for row in TABLE)


def test_names_reach_the_node(share: Path) -> None:
    given = {"namespace": "arm", "node_name": "toy", "log_level": "debug", "variation": "1"}
    topics = {"image_topic": "/camera/image_raw", "goal_image_topic": "/vjepa_predictor/goal_image"}
    command_line = evaluate(share, **given, **topics)
    assert command_line[command_line.index("--log-level") + 1] == "arm.toy:=debug"
    with started(command_line) as node:
        assert node.get_fully_qualified_name() == "/arm/toy"
        assert node.get_parameter("variation").value == "1"
        names = ("image", "image/compressed", "joint_states", "joint_commands", "robot_description", "~/goal_image")
        assert [node.resolve_topic_name(name) for name in names] == [
            "/camera/image_raw", "/camera/image_raw/compressed", "/arm/joint_states", "/arm/joint_commands",
            "/arm/robot_description", "/vjepa_predictor/goal_image",
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("params_file", "/nowhere/mine.yaml"),
        ("use_sim_time", "maybe"),
        ("clock_drive", "2"),
        ("seed", "1.5"),
        ("clock_rate", "fast"),
        ("log_level", "loud"),
    ],
)
def test_nonsense_is_refused_with_the_name_of_the_argument(share: Path, name: str, value: str) -> None:
    with pytest.raises(RuntimeError, match=name):
        evaluate(share, **{name: value})


def test_an_argument_that_there_is_not_is_spoken_of(share: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(launch.logging.get_logger("panda_sim.launch.py"), "warning", said.append)
    evaluate(share, push_distance="0.3", preset="tiny_random")  # the second is one of another launch file
    assert said == ["there is no argument 'push_distance': it is ignored; did you mean push_distance_m?"]


def test_the_node_starts_and_ends(share: Path, tmp_path: Path) -> None:
    runner = Path(__file__).parents[1] / "support" / "run_launch.py"
    log = tmp_path / "log.txt"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, str(runner), str(share / "launch" / "panda_sim.launch.py"), "seed:=3", "episode:=7"],
            stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while "episode 7 of seed 3, varied: the tip at [" not in log.read_text():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
    assert "process has finished cleanly" in log.read_text() and "Traceback" not in log.read_text()
