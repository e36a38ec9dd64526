"""Start ``panda_sim``, the simulated Franka Panda: a robot for whoever has none.

Every parameter of the node is an argument, with ``_`` for ``.``; given, it overrides the parameter file.
``docs/simulation.md`` describes them. The file knows the node's names, and nothing of what it does.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import launch.logging
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.utilities import make_namespace_absolute, prefix_namespace

from vjepa_ros.config import names
from vjepa_ros.config.table import Parameter
from vjepa_ros.simulation.robot import BY_NAME, TABLE

TOPICS = {  # by argument: the node's name of it, what it is
    "image_topic": ("image", "Topic of the pictures; the compressed ones are on <image_topic>/compressed."),
    "joint_states_topic": ("joint_states", "Topic of the measured joints."),
    "joint_commands_topic": ("joint_commands", "Topic of the commands."),
    "robot_description_topic": ("robot_description", "Topic of the robot description (URDF)."),
    "goal_image_topic": ("~/goal_image", "Topic of the goals that are drawn."),
}


def generate_launch_description() -> LaunchDescription:
    """The arguments, and the node that they describe."""
    keep = "Empty: as the parameter file says."
    return LaunchDescription(
        [
            _argument("params_file", "", "Parameter file (YAML) of the node. Empty: none."),
            *(_argument(argument_of(row), "", f"{row.description} {keep}") for row in TABLE),
            *(_argument(name, topic, description) for name, (topic, description) in TOPICS.items()),
            _argument("namespace", "", "Namespace of the node."),
            _argument("node_name", "panda_sim", "Name of the node."),
            _argument("use_sim_time", "", f"true takes the time from /clock; true or false. {keep}"),
            _argument(
                "log_level",
                "info",
                "Least severe messages that the node logs; other loggers of its process keep theirs.",
                choices=["debug", "info", "warn", "error", "fatal"],
            ),
            OpaqueFunction(function=_node),
        ]
    )


def argument_of(row: Parameter) -> str:
    """What the argument for a parameter is called."""
    return row.name.replace(".", "_")


def _argument(name: str, default: str, description: str, choices: list[str] | None = None) -> DeclareLaunchArgument:
    return DeclareLaunchArgument(name, default_value=default, description=description, choices=choices)


def _boolean(text: str) -> bool:
    return {"true": True, "1": True, "false": False, "0": False}[text.strip().lower()]


# Typed, or YAML would decide what a value looks like.
KINDS: dict[str, Callable[[str], Any]] = {
    "bool": _boolean, "int": int, "float": float, "str": lambda text: ParameterValue(text, value_type=str),
}  # fmt: skip


def _read(context: LaunchContext, name: str, kind: str) -> Any:
    """The argument ``name``; a RuntimeError that names it where it is of another kind."""
    text = context.launch_configurations[name]
    try:
        return KINDS[kind](text)
    except (KeyError, ValueError):
        raise RuntimeError(f"{name}: {text!r} is not a {kind}") from None


def _node(context: LaunchContext) -> list[Any]:
    """The node action.

    Raises:
        RuntimeError: where an argument cannot be read or ``params_file`` is not a file (launch itself would only warn
            and run without it).
    """
    given = context.launch_configurations
    files = [Path(given["params_file"]).expanduser()] if given["params_file"] else []
    for file in files:
        if not file.is_file():
            raise RuntimeError(f"params_file: {file} is not a file")
    declared = [argument.name for argument in generate_launch_description().get_launch_arguments()]
    for sentence in names.unknown_arguments(given, declared, BY_NAME):  # launch itself says nothing of them
        launch.logging.get_logger("panda_sim.launch.py").warning(sentence)
    overrides = {row.name: _read(context, argument_of(row), row.kind) for row in TABLE if given[argument_of(row)]}
    if given["use_sim_time"]:
        overrides["use_sim_time"] = _read(context, "use_sim_time", "bool")
    namespace = make_namespace_absolute(prefix_namespace(given.get("ros_namespace"), given["namespace"]))
    logger = prefix_namespace(namespace, given["node_name"]).strip("/").replace("/", ".")  # as rcl names it
    renamed = {topic: given[name] for name, (topic, _) in TOPICS.items()}
    renamed["image/compressed"] = f"{renamed['image']}/compressed"
    node = Node(
        package="vjepa_ros",
        executable="panda_sim",
        name=given["node_name"],
        namespace=given["namespace"],
        # launch_ros writes a dictionary under the node's full name, which beats the wildcards of a file before it.
        parameters=[*map(str, files), *([overrides] if overrides else [])],
        remappings=list(renamed.items()),
        ros_arguments=["--log-level", f"{logger}:={given['log_level']}"],
        output="screen",
    )
    return [node]
