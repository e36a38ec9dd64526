"""predictor.launch.py: what it makes of its arguments."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy
from support import added

from vjepa_ros.config.inputs import INPUTS
from vjepa_ros.config.node import resolve
from vjepa_ros.config.pose import PoseConfig

with contextlib.suppress(ImportError):  # without it, conftest.py skips all of this
    from launch import LaunchContext
    from launch.actions import DeclareLaunchArgument, OpaqueFunction
    from launch.launch_description_sources import PythonLaunchDescriptionSource
    from launch.utilities import perform_substitutions
    from launch_ros.actions import LifecycleNode

DEFAULTS = {
    "preset": "",
    "checkpoint": "",
    "device": "",
    "image_topic": "image",
    "image_transport": "",
    "joint_commands_topic": "joint_commands",
    "joint_states_topic": "joint_states",
    "pose_source": "",
    "tip_link": "",
    "base_link": "",
    "robot_description_topic": "robot_description",
    "pose_topic": "end_effector_pose",
    "commanded_pose_topic": "commanded_pose",
    "planner": "",
    "planner_goals": "",
    "namespace": "",
    "node_name": "vjepa_predictor",
    "use_sim_time": "",
    "log_level": "info",
    "fastdds_profile": "",
    "autostart": "true",
    "respawn": "false",
    "respawn_delay": "2.0",
}


def declared(share: Path) -> dict[str, DeclareLaunchArgument]:
    source = PythonLaunchDescriptionSource(str(share / "launch" / "predictor.launch.py"))
    description = source.get_launch_description(LaunchContext())
    return {argument.name: argument for argument in description.get_launch_arguments()}


def evaluate(share: Path, pushed_namespace: str | None = None, **arguments: str) -> tuple[LifecycleNode, list[str]]:
    """The node action, and the command line that launch would start its executable with (without the executable)."""
    context = LaunchContext()
    context.launch_configurations.update(arguments)
    if pushed_namespace is not None:  # what PushRosNamespace in an including file leaves
        context.launch_configurations["ros_namespace"] = pushed_namespace
    source = PythonLaunchDescriptionSource(str(share / "launch" / "predictor.launch.py"))
    nodes = []
    for entity in source.get_launch_description(context).entities:
        made = entity.execute(context)
        if isinstance(entity, OpaqueFunction):
            nodes = [action for action in made if isinstance(action, LifecycleNode)]
    (node,) = nodes
    node._perform_substitutions(context)
    name, namespace = node.node_name.rpartition("/")[2], node.expanded_node_namespace
    context.extend_locals({"ros_specific_arguments": {"name": f"__node:={name}", "ns": f"__ns:={namespace}"}})
    return node, [perform_substitutions(context, part) for part in node.cmd[1:]]


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
    assert set(arguments) == {"params_file", *DEFAULTS}
    for argument in arguments.values():
        assert len(argument.description) > 10, argument.name
    context = LaunchContext()
    for name, default in DEFAULTS.items():
        assert perform_substitutions(context, arguments[name].default_value) == default
    default_file = perform_substitutions(context, arguments["params_file"].default_value)
    assert Path(default_file) == share / "config" / "predictor.yaml"
    assert arguments["image_transport"].choices == ["", "raw", "compressed"]
    assert arguments["log_level"].choices == ["debug", "info", "warn", "error", "fatal"]


def test_the_page_describes_every_argument(share: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "launch.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == list(declared(share))


def params_file(folder: Path, text: str) -> str:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("key", ["/**", "vjepa_predictor", "/vjepa_predictor", "/**/vjepa_predictor"])
def test_an_argument_overrides_the_file_only_where_given(share: Path, tmp_path: Path, key: str) -> None:
    file = params_file(
        tmp_path, f"{key}: {{ros__parameters: {{preset: filed, checkpoint: filed.pt, use_sim_time: true}}}}\n"
    )
    with started(evaluate(share, params_file=file)[1]) as node:
        got = {name: node.get_parameter(name).value for name in ("preset", "checkpoint", "use_sim_time")}
        assert got == {"preset": "filed", "checkpoint": "filed.pt", "use_sim_time": True}
        assert not node.has_parameter("device")
    with started(evaluate(share, params_file=file, preset="given", device="cuda:1", use_sim_time="False")[1]) as node:
        got = {name: node.get_parameter(name).value for name in ("preset", "checkpoint", "device", "use_sim_time")}
        assert got == {"preset": "given", "checkpoint": "filed.pt", "device": "cuda:1", "use_sim_time": False}


@pytest.mark.parametrize("text", ["1", "1.5", "true", "null", "[a, b]", "it's: odd", "~/a b.pt"])
def test_a_string_argument_stays_a_string(share: Path, text: str) -> None:
    with started(evaluate(share, preset=text, checkpoint=text)[1]) as node:
        assert node.get_parameter("preset").value == text
        assert node.get_parameter("checkpoint").value == text


def test_what_the_released_model_needs_is_a_preset_a_checkpoint_and_a_tip_link(share: Path) -> None:
    given = {"preset": "vjepa2_ac_vitg", "checkpoint": "/models/ac.pt", "tip_link": "panda_hand"}
    with started(evaluate(share, **given)[1]) as node:
        values = {
            name: parameter.value
            for name, parameter in node.get_parameters_by_prefix("").items()
            if name.split(".")[0] in {"preset", "checkpoint", "joint_names", "pose", "queue"}
        }
    config = resolve({**values, "checkpoint": ""})
    assert (config.model.preset, values["checkpoint"]) == ("vjepa2_ac_vitg", "/models/ac.pt")
    assert config.stream.pose == PoseConfig(
        "forward_kinematics", "measured", "panda_hand", "", "panda_finger_joint1", 0.04, 0.0
    )


def test_poses_have_topics_and_parameters_of_their_own(share: Path) -> None:
    given = {"pose_source": "pose_topic", "base_link": "base"}
    topics = {"robot_description_topic": "/urdf", "pose_topic": "tcp", "commanded_pose_topic": "/goal"}
    with started(evaluate(share, namespace="arm", **given, **topics)[1]) as node:
        assert node.get_parameter("pose.source").value == "pose_topic"
        assert node.get_parameter("pose.base_link").value == "base"
        names = ("robot_description", "end_effector_pose", "commanded_pose")
        assert [node.resolve_topic_name(name) for name in names] == ["/urdf", "/arm/tcp", "/goal"]


def test_a_planner_is_added_where_it_is_asked_for(share: Path) -> None:
    with started(evaluate(share)[1]) as node:
        assert not node.has_parameter("planner.enabled") and not node.has_parameter("planner.goals")
    with started(evaluate(share, planner="true", planner_goals="1")[1]) as node:
        assert node.get_parameter("planner.enabled").value is True
        assert node.get_parameter("planner.goals").value == "1"


def test_topics_are_remapped_whole_and_private_ones_stay(share: Path) -> None:
    topics = {"image_topic": "/camera/image_raw", "joint_commands_topic": "arm/commands", "joint_states_topic": "/js"}
    with started(evaluate(share, namespace="robot1", **topics)[1]) as node:
        assert node.get_fully_qualified_name() == "/robot1/vjepa_predictor"
        names = ("image", "image/compressed", "joint_commands", "joint_states", "~/predicted_latents")
        assert [node.resolve_topic_name(name) for name in names] == [
            "/camera/image_raw",
            "/camera/image_raw/compressed",
            "/robot1/arm/commands",
            "/js",
            "/robot1/vjepa_predictor/predicted_latents",
        ]


def test_default_topics_are_relative_to_the_namespace(share: Path) -> None:
    with started(evaluate(share, namespace="/robot1")[1]) as node:
        names = ("image", "image/compressed", "joint_commands", "joint_states")
        assert [node.resolve_topic_name(name) for name in names] == [f"/robot1/{name}" for name in names]


@pytest.mark.parametrize(
    ("pushed", "namespace", "full_name", "logger"),
    [
        (None, "", "/eyes", "eyes"),
        (None, "robot1", "/robot1/eyes", "robot1.eyes"),
        ("/fleet", "robot1", "/fleet/robot1/eyes", "fleet.robot1.eyes"),
        ("fleet", "", "/fleet/eyes", "fleet.eyes"),
        ("/fleet", "/robot1", "/robot1/eyes", "robot1.eyes"),
    ],
)
def test_name_and_namespace_reach_node_parameters_and_logger(
    share: Path, pushed: str | None, namespace: str, full_name: str, logger: str
) -> None:
    action, command_line = evaluate(
        share, pushed, namespace=namespace, node_name="eyes", preset="given", log_level="debug"
    )
    assert action.node_name == full_name
    assert command_line[command_line.index("--log-level") + 1] == f"{logger}:=debug"
    with started(command_line) as node:
        assert node.get_fully_qualified_name() == full_name
        assert node.get_logger().name == logger
        assert node.get_parameter("preset").value == "given"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("params_file", "/nowhere/predictor.yaml"),
        ("use_sim_time", "maybe"),
        ("planner", "maybe"),
        ("autostart", ""),
        ("respawn", "2"),
        ("respawn_delay", "soon"),
        ("image_transport", "theora"),
        ("pose_source", "tf"),
        ("log_level", "loud"),
    ],
)
def test_nonsense_is_refused_with_the_name_of_the_argument(share: Path, name: str, value: str) -> None:
    with pytest.raises(RuntimeError, match=name):
        evaluate(share, **{name: value})


@pytest.mark.parametrize(
    ("given", "passed", "handler"),
    [
        ({}, True, "OnStateTransition"),
        ({"respawn": "true"}, None, "OnProcessStart"),  # launch_ros starts the first process only
        ({"autostart": "false"}, None, None),
    ],
)
def test_the_autostart_of_launch_ros_is_used_where_there_is_one(
    share: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], passed: bool | None, handler: str | None
) -> None:
    class Newer(LifecycleNode):
        """As of launch_ros 0.26.7."""

        def __init__(self, *, autostart: bool | None = None, **arguments: Any) -> None:
            super().__init__(**arguments)
            self.autostart = autostart

    monkeypatch.setattr("launch_ros.actions.LifecycleNode", Newer)
    node, handlers = acted(share, **given)
    assert isinstance(node, Newer) and node.autostart is passed
    assert handlers == ([handler] if handler else [])


def acted(share: Path, **arguments: str) -> tuple[LifecycleNode, list[str]]:
    """The node action, and the names of the event handlers that are registered before it."""
    context = LaunchContext()
    context.launch_configurations.update(arguments)
    source = PythonLaunchDescriptionSource(str(share / "launch" / "predictor.launch.py"))
    entities = source.get_launch_description(context).entities
    made = [action for entity in entities for action in entity.execute(context) or [] if entity is entities[-1]]
    return made[-1], [type(action.event_handler).__name__ for action in made[:-1]]


@pytest.mark.parametrize("given", ["", "false"])
def test_without_a_fast_dds_profile_the_environment_stays(share: Path, given: str) -> None:
    node, _ = evaluate(share, fastdds_profile=given)
    assert not any(
        "PROFILES_FILE" in perform_substitutions(LaunchContext(), key) for key, _ in node.additional_env or []
    )


def test_a_fast_dds_profile_reaches_the_process(share: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.xml"
    mine.touch()
    for given, path in (("true", share / "config" / "fastdds.xml"), (str(mine), mine)):
        node, _ = evaluate(share, fastdds_profile=given)
        context = LaunchContext()
        values = {
            perform_substitutions(context, key): perform_substitutions(context, value)
            for key, value in node.additional_env
        }
        assert values == dict.fromkeys(
            ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"), str(path.resolve())
        )


def test_a_fast_dds_profile_that_is_not_a_file_stops_the_launch(share: Path) -> None:
    with pytest.raises(RuntimeError, match="fastdds_profile: .*nowhere.xml is not a file"):
        evaluate(share, fastdds_profile="/nowhere.xml")


def test_another_input_is_one_row(share: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(INPUTS, added.WHEELS.topic, added.WHEELS)
    argument = declared(share)["wheels_topic"]
    assert argument.description == "Topic of the wheels."
    with started(evaluate(share, wheels_topic="/base/wheels")[1]) as node:
        assert node.resolve_topic_name("wheel_speeds") == "/base/wheels"
