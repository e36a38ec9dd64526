"""Every type of command and source of states through the real node: the right actions in window_info."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Duration
from lifecycle_msgs.msg import Transition
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from support.harness import Predictor, Robot
from support.messages import JOINTS, MS, T0_NS, image_message, joint_message, stamped
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

PERIOD_NS = 50 * MS
STREAM = "/vjepa_predictor: stream"


def start(robot: Robot, kind: type, measures: bool, **values: Any) -> None:
    """Configure and activate for commands of a type; wait until they are connected, and states if they should be."""
    robot.command_by(kind)
    robot.disconnect()
    assert all(ok for ok, _ in robot.set_parameters(**values))
    assert robot.change_state(Transition.TRANSITION_CONFIGURE)
    assert robot.change_state(Transition.TRANSITION_ACTIVATE)
    assert robot.spin(lambda: robot.commands.get_subscription_count() == 1), "commands are not subscribed"
    assert robot.spin(lambda: robot.images.get_subscription_count() == 1), "no frame is subscribed"
    assert robot.spin(lambda: robot.states.get_subscription_count() == measures)
    robot.settle(0.2)
    assert robot.states.get_subscription_count() == measures
    robot.predicted.clear()
    robot.windows.clear()


def send_frames(robot: Robot, count: int) -> None:
    for index in range(count):
        robot.images.publish(image_message(T0_NS + index * PERIOD_NS, index))
        robot.executor_.spin_once(timeout_sec=0.0)


def only_window(robot: Robot) -> dict[str, Any]:
    assert robot.spin(lambda: bool(robot.windows and robot.predicted))
    robot.settle(0.3)
    (window,) = robot.windows
    assert len(robot.predicted) == 1
    return window


def trajectory(stamp_ns: int, *points: tuple[int, list[float]]) -> JointTrajectory:
    """Joints backwards and with one more; points are (time from start in ms, values in the order of JOINTS)."""
    message = JointTrajectory(joint_names=["gripper", *reversed(JOINTS)])
    for time_ms, values in points:
        since = Duration(sec=time_ms // 1000, nanosec=time_ms % 1000 * MS)
        message.points.append(JointTrajectoryPoint(positions=[9.0, *reversed(values)], time_from_start=since))
    return stamped(message, stamp_ns, "base")


def values(number: float) -> list[float]:
    return [number + 0.01 * index for index in range(7)]


@pytest.mark.parametrize("source", ["joint_states", "none"])
def test_trajectories(predictor: Predictor, robot: Robot, source: str) -> None:
    """Its first point is 150 ms after its start: before, what is measured stands in, whatever the states' source."""
    start(
        robot,
        JointTrajectory,
        True,
        actions__type="JointTrajectory",
        actions__alignment="linear",
        states__source=source,
        latents__horizon=3,
    )
    points = ((150, values(10.0)), (550, values(50.0)), (650, values(0.0)), (850, values(10.0)))
    robot.commands.publish(trajectory(T0_NS, *points))
    robot.commands.publish(trajectory(T0_NS + 1000 * MS, (0, values(-1.0))))  # in force later; it ends the waiting
    for index in range(22):
        robot.states.publish(joint_message(T0_NS + index * PERIOD_NS, JOINTS, values(-float(index))))
    send_frames(robot, 16)
    window = only_window(robot)
    expected = [values(n) for n in (0.0, -2.0, 15.0, 25.0, 35.0, 45.0, 25.0, 2.5)]  # at 0, 100 .. 700 ms
    np.testing.assert_allclose(window["actions"], expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(window["future_actions"], [values(7.5), values(10.0)], rtol=0, atol=1e-9)
    assert window["future_sources"] == ["trajectory", "held"]  # at 800 ms, and at 900, after its last point
    assert window["future_step_stamps"] == [T0_NS + 800 * MS, T0_NS + 900 * MS]
    assert window["action_stamps"] == [T0_NS, T0_NS + 100 * MS, *[T0_NS] * 6]
    measured = [values(-float(index)) for index in range(0, 16, 2)]
    np.testing.assert_array_equal(window["states"], measured if source == "joint_states" else np.zeros((8, 7)))
    assert window["state_source"] == ("/joint_states" if source == "joint_states" else "none")
    assert window["held"] == 0
    assert (robot.info["command_type"], robot.info["alignment"]) == ("JointTrajectory", "linear")


def test_arrays_take_the_time_of_receipt(predictor: Predictor, robot: Robot) -> None:
    """Sent at about the time of frames stamped now: each action is one of those sent, in order."""
    start(
        robot, Float64MultiArray, False, actions__type="Float64MultiArray", actions__alignment="hold",
        actions__on_missing="zero", actions__timeout_s=60.0, states__source="none",
    )  # fmt: skip
    t0_ns = robot.get_clock().now().nanoseconds
    robot.commands.publish(Float64MultiArray(data=values(0.5)))  # in force at the first frame, however slow the node is
    assert robot.spin(lambda: robot.diagnostics[STREAM]["commands"] == "1")
    for index in range(20):
        robot.commands.publish(Float64MultiArray(data=values(float(index + 1))))
        robot.settle(0.05)
        now_ns = robot.get_clock().now().nanoseconds
        robot.images.publish(image_message(now_ns, index))
    assert robot.spin(lambda: bool(robot.windows))
    window = robot.windows[0]
    numbers = [row[0] for row in window["actions"]]
    np.testing.assert_allclose(window["actions"], [values(number) for number in numbers], rtol=0, atol=1e-12)
    assert numbers == sorted(numbers)
    assert len(set(numbers)) >= 6, "about every second one"
    assert all(t0_ns < stamp < t0_ns + 20 * 10**9 for stamp in window["action_stamps"])
    assert "/joint_commands: zero_stamp" in predictor.log
    assert robot.spin(lambda: int(robot.diagnostics.get(STREAM, {}).get("zero_stamps", 0)) == 21)


def test_what_a_controller_aims_at(predictor: Predictor, robot: Robot) -> None:
    """Where control_msgs is installed; arm and gripper have controllers of their own."""
    control_msgs = pytest.importorskip("control_msgs.msg")
    kind = control_msgs.JointTrajectoryControllerState
    start(robot, kind, False, actions__type="JointTrajectoryControllerState", states__source="none")
    for index in range(17):
        for names in (JOINTS[:6], ["wheel"], JOINTS[6:]):
            of = dict(zip(JOINTS, values(float(index)), strict=True)) | {"wheel": 9.0}
            reference = JointTrajectoryPoint(positions=[of[name] for name in names])
            robot.commands.publish(
                stamped(kind(joint_names=names, reference=reference), T0_NS + index * PERIOD_NS, "base")
            )
    send_frames(robot, 16)
    window = only_window(robot)
    np.testing.assert_array_equal(window["actions"], [values(float(step)) for step in range(0, 16, 2)])
    assert robot.info["command_type"] == "JointTrajectoryControllerState"


def test_a_type_that_is_not_installed_is_refused_at_configure(predictor: Predictor, robot: Robot) -> None:
    if find_spec("control_msgs") is not None:
        return  # then test/ros/test_subscribed.py alone says it
    robot.stop()
    assert all(ok for ok, _ in robot.set_parameters(states__type="DynamicJointState", actions__type="JointState"))
    assert not robot.change_state(Transition.TRANSITION_CONFIGURE)
    said = "states.type: control_msgs/msg/DynamicJointState is not installed here"
    assert robot.spin(lambda: said in predictor.log), predictor.log


@pytest.mark.parametrize("source", ["none", "commands"])
def test_without_measured_states(predictor: Predictor, robot: Robot, source: str) -> None:
    start(robot, JointState, False, actions__type="JointState", actions__on_missing="skip", states__source=source)
    for index in range(-2, 17):
        robot.commands.publish(joint_message(T0_NS + index * PERIOD_NS, JOINTS, values(float(index))))
    send_frames(robot, 16)
    window = only_window(robot)
    steps = range(0, 16, 2)
    np.testing.assert_array_equal(window["actions"], [values(float(step)) for step in steps])
    before = [values(float(step - 2)) for step in steps]
    np.testing.assert_array_equal(window["states"], before if source == "commands" else np.zeros((8, 7)))
    assert window["state_source"] == ("/joint_commands" if source == "commands" else "none")
    assert robot.info["state_source"] == source
    assert robot.info["state_names"] == []
