"""Lists as people and tools send them: empty ones without a type, whole numbers among those with a point."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters, SetParameters, SetParametersAtomically
from rclpy.parameter import get_parameter_value, parameter_value_to_python
from support.harness import Predictor, Robot
from support.messages import JOINTS

from vjepa_ros.config.table import TABLE

LISTS = [row for row in TABLE if row.kind.endswith("[]")]


def send(robot: Robot, name: str, value: ParameterValue) -> tuple[bool, str]:
    """As ``ros2 param set`` does; both services give the same answer."""
    message = ParameterMessage(name=name, value=value)
    one = SetParameters.Request(parameters=[message])
    first = robot.call(SetParameters, "set_parameters", one).results[0]
    same = SetParametersAtomically.Request(parameters=[message])
    second = robot.call(SetParametersAtomically, "set_parameters_atomically", same).result
    assert first.successful == second.successful
    return first.successful, first.reason


def values(robot: Robot) -> dict[str, Any]:
    names = [row.name for row in TABLE]
    found = robot.call(GetParameters, "get_parameters", GetParameters.Request(names=names)).values
    return {name: parameter_value_to_python(value) for name, value in zip(names, found, strict=True)}


@pytest.mark.parametrize("name", [row.name for row in LISTS])
def test_an_empty_list_may_have_any_type(predictor: Predictor, robot: Robot, name: str) -> None:
    before = ParameterMessage(name=name, value=get_parameter_value("[]"))
    wanted = {"int[]": "[1, 2, 3, 4]", "float[]": "[0.25, 0.5]", "str[]": "[a, b]"}[
        next(row.kind for row in LISTS if row.name == name)
    ]
    robot._remember([name])
    assert send(robot, name, get_parameter_value(wanted)) == (True, "")
    for kind in (
        ParameterType.PARAMETER_BOOL_ARRAY, ParameterType.PARAMETER_BYTE_ARRAY, ParameterType.PARAMETER_INTEGER_ARRAY,
        ParameterType.PARAMETER_DOUBLE_ARRAY, ParameterType.PARAMETER_STRING_ARRAY,
    ):  # fmt: skip
        assert send(robot, name, ParameterValue(type=kind)) == (True, "")
        assert list(values(robot)[name]) == []
    assert send(robot, name, before.value) == (True, "")


def test_whole_numbers_do_for_a_list_of_numbers(robot: Robot) -> None:
    robot._remember(["actions.scale", "view.roi"])
    assert send(robot, "actions.scale", get_parameter_value("[1, 1, 2]")) == (True, "")
    assert list(values(robot)["actions.scale"]) == [1.0, 1.0, 2.0]
    assert not send(robot, "view.roi", get_parameter_value("[1.0, 1.5, 2.0, 3.0]"))[0]
    assert not send(robot, "actions.scale", get_parameter_value("[a, b]"))[0]
    assert not send(robot, "actions.scale", ParameterValue(type=ParameterType.PARAMETER_BOOL_ARRAY,
                                                           bool_array_value=[True]))[0]  # fmt: skip


def test_what_is_dumped_can_be_loaded_back(robot: Robot) -> None:
    """As ``ros2 param load`` does of a file by ``ros2 param dump``: each value as text."""
    before = values(robot)
    for name, value in before.items():
        assert send(robot, name, get_parameter_value(str(value))) == (True, ""), name
    assert values(robot) == before


def test_a_node_starts_with_what_was_dumped(robot: Robot, tmp_path: Path) -> None:
    plain = {name: list(value) if hasattr(value, "__len__") and not isinstance(value, str) else value
             for name, value in values(robot).items()}  # fmt: skip
    plain |= {"joint_names": JOINTS, "actions.scale": [1, 1, 1, 1, 1, 1, 2]}
    file = tmp_path / "dump.yaml"
    file.write_text(yaml.safe_dump({"/another": {"ros__parameters": plain}}), encoding="utf-8")
    nothing = dict.fromkeys(("joint_names", "device", "queue", "threads", "actions.max_wait_s"))
    node = Predictor(
        tmp_path / "log.txt", nothing, ("--params-file", str(file), "-p", "view.roi:=[]", "-r", "__node:=another")
    )
    other = Robot("/another", "other")
    try:
        found = values(other)
        assert {name: list(v) if isinstance(plain[name], list) else v for name, v in found.items()} == plain
        assert other.change_state(1), node.log
        assert node.stop() == 0
    finally:
        node.process.kill()
        other.close()
