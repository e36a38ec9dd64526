"""What controllers of ros2_control say, as commands and as states: by itself, and what is refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support import controllers
from support.builders import signal_config

from vjepa_ros.errors import InputError
from vjepa_ros.stream.joint_signal import Part
from vjepa_ros.stream.joints import ControllerFeedback, ControllerReferences, DynamicJointStates, JointStates

NAMES = ["joint_b", "other", "joint_a"]
STORES = {"jazzy": controllers.types(), "humble": controllers.types(JointTrajectoryControllerState=controllers.HUMBLE)}


def dynamic(**joints: dict[str, float]) -> Any:
    return controllers.dynamic_state(STORES["jazzy"], 1, joints)


def refusal(read: Any, message: Any) -> tuple[str, str]:
    with pytest.raises(InputError) as refused:
        read(message)
    return refused.value.reason, refused.value.detail


@pytest.mark.parametrize("release", STORES)
def test_a_controller_aims_and_measures(release: str) -> None:
    message = controllers.controller_state(STORES[release], 1, NAMES, [2.0, 9.0, 1.0], [20.0, 9.0, 10.0])
    config = signal_config(scale=(2.0, 1.0), offset=(0.0, 0.5))
    assert ControllerReferences(config)(message).tolist() == [2, 2.5]
    assert ControllerFeedback(config)(message).tolist() == [20, 20.5]
    other = signal_config(names=("x", "y"))
    assert ControllerReferences(other)(message) is None
    part = ControllerFeedback(signal_config(names=("joint_a", "y")))(message)
    assert isinstance(part, Part) and (part.values.tolist(), part.joints.tolist(), part.of) == ([10], [0], 2)


def test_a_controller_that_still_fills_the_old_fields() -> None:
    """Humble's message has both; which of them is filled depends on the topic."""
    empty = SimpleNamespace(positions=[], velocities=[], effort=[])
    full = SimpleNamespace(positions=[1.0, 2.0], velocities=[3.0, 4.0], effort=[])
    names = ["joint_a", "joint_b"]
    old = SimpleNamespace(joint_names=names, reference=empty, feedback=empty, desired=full, actual=full)
    new = SimpleNamespace(joint_names=names, reference=full, feedback=full, desired=empty, actual=empty)
    for message in (old, new):
        assert ControllerReferences(signal_config())(message).tolist() == [1, 2]
        assert ControllerFeedback(signal_config(field="velocity"))(message).tolist() == [3, 4]
    nothing = SimpleNamespace(joint_names=names, reference=empty, feedback=empty)
    assert refusal(ControllerReferences(signal_config()), nothing) == ("length_mismatch", "2 names but 0 positions")


def test_the_refusal_names_the_parameter_and_what_there_is() -> None:
    message = SimpleNamespace(name=["joint_a", "joint_b"], position=[], velocity=[1.0, 2.0], effort=[3.0, 4.0])
    said = "2 names but 0 positions; it has velocity and effort: actions.field takes position"
    assert refusal(JointStates(signal_config()), message) == ("length_mismatch", said)
    message.effort = []
    said = "2 names but 0 efforts; it has velocity: states.field takes effort"
    assert refusal(JointStates(signal_config("states", field="effort")), message) == ("length_mismatch", said)
    point = SimpleNamespace(positions=[], velocities=[1.0, 2.0], effort=[])
    controller = SimpleNamespace(joint_names=["joint_a", "joint_b"], reference=point)
    said = "2 names but 0 positions; it has velocity: actions.field takes position"
    assert refusal(ControllerReferences(signal_config()), controller) == ("length_mismatch", said)
    reason, said = refusal(DynamicJointStates(signal_config()), dynamic(joint_a={"velocity": 1.0, "effort": 2.0}))
    assert reason == "missing_field"
    assert said == "no position in it, which actions.field asks for; it has 'velocity', 'effort'"


def test_a_field_of_nothing_but_nan_is_one_that_is_not_there() -> None:
    """As drivers fill what they do not have: the parameter is named where another field has all that is wanted."""
    nan = np.nan
    message = SimpleNamespace(
        name=["x", "joint_b", "joint_a"], position=[0.0, nan, nan], velocity=[nan, 1.0, 2.0], effort=[0.0, nan, 3.0]
    )
    said = "every position of 2 joints is NaN; it has velocity: actions.field takes position"
    assert refusal(JointStates(signal_config()), message) == ("not_finite", said)
    said = "every position of 2 joints is NaN; it has velocity and effort: states.field takes position"
    message.effort[1] = 4.0
    assert refusal(JointStates(signal_config("states")), message) == ("not_finite", said)
    point = SimpleNamespace(positions=[nan, nan], velocities=[1.0, 2.0], effort=[])
    controller = SimpleNamespace(joint_names=["joint_a", "joint_b"], reference=point)
    said = "every position of 2 joints is NaN; it has velocity: actions.field takes position"
    assert refusal(ControllerReferences(signal_config()), controller) == ("not_finite", said)
    for velocity in ([], [1.0, 2.0], [1.0, 2.0, nan]):  # too few, and not of all that is wanted
        message.velocity, message.effort = velocity, []
        reason, said = refusal(JointStates(signal_config()), message)
        assert (reason, said) == ("not_finite", "2 of 2 joints: 'joint_a': nan, 'joint_b': nan")


@pytest.mark.parametrize(("field", "expected"), [("position", [1.0, 2.0]), ("velocity", [10.0, 20.0])])
def test_interfaces_are_picked_by_name(field: Any, expected: list[float]) -> None:
    message = dynamic(
        joint_b={"velocity": 20.0, "position": 2.0}, sensor={"force.x": np.nan},
        joint_a={"position": 1.0, "temperature": np.nan, "velocity": 10.0},
    )  # fmt: skip
    assert DynamicJointStates(signal_config(field=field))(message).tolist() == expected


def test_a_joint_without_the_interface_is_not_in_it() -> None:
    read = DynamicJointStates(signal_config(field="velocity", scale=(1.0, 3.0)))
    part = read(dynamic(joint_a={"position": 1.0}, joint_b={"velocity": 2.0}))
    assert (part.values.tolist(), part.joints.tolist(), part.of) == ([6], [1], 2)
    assert read(dynamic(joint_a={"velocity": 1.0}, joint_b={"velocity": 2.0})).tolist() == [1, 6]
    assert read(dynamic(sensor={"force.x": 1.0})) is None
    reason, said = refusal(read, dynamic(joint_a={"velocity": np.nan}, joint_b={"position": 2.0}))
    assert (reason, said) == ("not_finite", "1 of 1 joints: 'joint_a': nan")


def test_lists_that_do_not_fit_each_other() -> None:
    read = DynamicJointStates(signal_config())
    message = dynamic(joint_a={"position": 1.0}, joint_b={"position": 2.0})
    message.joint_names = ["joint_a"]
    assert refusal(read, message) == ("length_mismatch", "1 names but 2 interface_values")
    message = dynamic(joint_a={"position": 1.0}, joint_b={"position": 2.0})
    message.interface_values[1].values = np.zeros(3)
    assert refusal(read, message) == ("length_mismatch", "'joint_b': 1 interface_names but 3 values")
