"""planner.launch.py: the node of predictor.launch.py, with a planner in it."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

with contextlib.suppress(ImportError):  # without it, conftest.py skips all of this
    from launch import LaunchContext
    from launch.actions import IncludeLaunchDescription
    from launch.launch_description_sources import PythonLaunchDescriptionSource
    from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions


def included(share: Path, context: LaunchContext) -> IncludeLaunchDescription:
    source = PythonLaunchDescriptionSource(str(share / "launch" / "planner.launch.py"))
    (include,) = source.get_launch_description(context).entities
    assert isinstance(include, IncludeLaunchDescription)
    return include


@pytest.mark.parametrize(("given", "used"), [(None, "true"), ("false", "false"), ("true", "true"), ("", "")])
def test_the_planner_is_there_unless_it_is_said_otherwise(share: Path, given: str | None, used: str) -> None:
    context = LaunchContext()
    if given is not None:
        context.launch_configurations["planner"] = given
    ((name, value),) = included(share, context).launch_arguments
    assert name == "planner"
    assert perform_substitutions(context, normalize_to_list_of_substitutions(value)) == used


def test_it_takes_the_arguments_of_the_node_and_none_to_execute(share: Path) -> None:
    source = PythonLaunchDescriptionSource(str(share / "launch" / "planner.launch.py"))
    names = {argument.name for argument in source.get_launch_description(LaunchContext()).get_launch_arguments()}
    assert {"params_file", "image_topic", "tip_link", "planner_goals", "node_name"} < names
    assert not any("execute" in name for name in names)
