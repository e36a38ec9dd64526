"""Joints as drivers send them: arm and gripper in messages of their own, other parts of the robot in between."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.builders import MS
from support.split_joints import OTHER_ARM, T0_NS, Robot, S, arm, header, signal


def trajectory(stamp_ns: int, *points: tuple[float, dict[str, float]]) -> Any:
    """Points are (time from start in ms, positions)."""
    made = []
    for time_ms, positions in points:
        sec, nanosec = divmod(round(time_ms * MS), S)
        since = SimpleNamespace(sec=sec, nanosec=nanosec)
        made.append(
            SimpleNamespace(positions=[*positions.values()], velocities=[], effort=[], time_from_start=since)
        )  # fmt: skip
    return SimpleNamespace(header=header(stamp_ns), joint_names=list(points[0][1]), points=made)


# -- values


def test_arm_and_gripper_are_put_together_each_with_its_own_stamp() -> None:
    robot = Robot()
    for index in range(5):
        at_ms = 100.0 * index
        robot.command(at_ms, **arm(index))
        robot.command(at_ms, b1=9.0, b2=9.0, b3=9.0)  # of the other arm
        robot.command(at_ms - 30, g=-float(index))
        robot.state(at_ms - 10, g=float(index), **dict.fromkeys(OTHER_ARM, 9.0))  # with some that nobody wants
        robot.state(at_ms, **arm(10 + index))
    robot.frames()
    (window,) = robot.windows
    np.testing.assert_array_equal(window.actions.values, [[*arm(0).values(), 0], [*arm(2).values(), -2]])
    np.testing.assert_array_equal(window.states.values, [[*arm(10).values(), 0], [*arm(12).values(), 2]])
    assert window.actions.stamps_ns == (T0_NS, T0_NS + 200 * MS)  # of the newest message in it
    counters = robot.intake.counters
    assert (counters.foreign, counters.commands, counters.states, counters.late) == (5, 10, 10, 0)
    assert (robot.told, counters.rejected_total, counters.missing_commands) == ([], 0, 0)


def test_a_window_waits_for_every_joint_and_for_no_longer() -> None:
    robot = Robot(max_wait_s=60.0, state_source="none")
    robot.command(-10, g=1.0)
    robot.command(-10, **arm(1))
    robot.frames()
    robot.command(250, **arm(2))
    assert robot.windows == []
    robot.command(250, b1=1.0)
    assert robot.windows == []
    robot.command(199, g=2.0)
    assert robot.windows == []
    robot.command(200, g=3.0)
    (window,) = robot.windows
    assert window.actions.values[:, 3].tolist() == [1, 3]
    assert window.actions.values[:, 0].tolist() == [1, 1]
    robot.command(199, **arm(7))
    robot.command(201, g=7.0)
    assert robot.intake.counters.late_commands == 1


@pytest.mark.parametrize(
    ("on_missing", "expected"),
    [("skip", None), ("hold", [1.0, 1.1, 1.2, 5.0]), ("zero", [1.0, 1.1, 1.2, 0.0])],
)
def test_only_the_joint_that_has_timed_out_is_missing(on_missing: Any, expected: Any) -> None:
    commands = signal("actions", on_missing=on_missing, timeout_s=0.15)
    robot = Robot(commands=commands, state_source="none", max_wait_s=0.1)
    robot.command(0, **arm(0))
    robot.command(0, g=5.0)
    robot.command(100, **arm(1))
    robot.frames()
    counters = robot.intake.counters
    assert (counters.missing_commands, counters.windows_skipped) == (1, int(on_missing == "skip"))
    if expected is not None:
        (window,) = robot.windows
        assert window.actions.values[1].tolist() == expected
        assert window.actions.missing == 1


@pytest.mark.parametrize("on_missing", ["skip", "hold", "zero"])
def test_a_joint_that_has_never_come(on_missing: Any) -> None:
    commands = signal("actions", on_missing=on_missing)
    robot = Robot(commands=commands, state_source="none", max_wait_s=0.1)
    for index in range(4):
        robot.command(100.0 * index, **arm(index))
    robot.frames()
    assert robot.intake.counters.windows_skipped == int(on_missing != "zero")
    if on_missing == "zero":
        assert robot.windows[0].actions.values[1].tolist() == [2.0, 2.1, 2.2, 0.0]
    ((topic, reason, detail),) = robot.told
    assert (topic, reason) == ("/commands", "missing_joints")
    assert detail.startswith("no message so far has a value of 'g'; those that came are about 'a1', 'a2', 'a3'. ")
    assert detail.endswith("see joint_names")


def test_the_complaint_ends_when_the_joint_comes() -> None:
    robot = Robot(state_source="none", max_wait_s=0.1)
    for index in range(4):
        robot.command(100.0 * index, **arm(index))
    robot.frames()
    told = len(robot.told)
    assert told == 1
    robot.command(300, g=1.0)
    for index in range(4, 8):
        robot.command(100.0 * index, **arm(index))
        robot.command(100.0 * index, g=1.0)
    robot.frames(4, 4)
    assert (len(robot.windows), len(robot.told)) == (1, told)


def test_nothing_but_other_joints_is_said_and_counted() -> None:
    robot = Robot(max_wait_s=0.1, state_source="none")
    for index in range(8):
        robot.command(100.0 * index, b1=1.0, b2=2.0)
    robot.frames(8)
    assert (robot.windows, robot.intake.counters.foreign) == ([], 8)
    assert robot.intake.counters.windows_skipped == 2
    assert {(topic, reason) for topic, reason, _ in robot.told} == {("/commands", "missing_joints")}
    assert (
        "no message so far has a value of 'a1', 'a2', 'a3', 'g'; those that came are about 'b1', 'b2'"
        in (robot.told[0][2])
    )


def test_foreign_messages_never_warn_where_nothing_is_missing() -> None:
    robot = Robot(state_source="none")
    for index in range(200):
        robot.command(10.0 * index, **arm(index))
        robot.command(10.0 * index, g=1.0)
        robot.command(10.0 * index, b1=1.0)
        robot.command(10.0 * index)  # nothing at all
        if index % 10 == 0:
            robot.frame(10.0 * index)
    assert (robot.told, robot.intake.counters.foreign, len(robot.windows)) == ([], 400, 5)


@pytest.mark.parametrize(("alignment", "expected"), [("linear", [10.5, 8.0]), ("nearest", [10.0, 9.0])])
def test_joints_are_interpolated_each_between_its_own_messages(alignment: Any, expected: list[float]) -> None:
    robot = Robot(commands=signal("actions", alignment=alignment), state_source="none")
    robot.command(-50, g=5.0)
    robot.command(-100, **arm(9))
    robot.command(100, **arm(10))
    robot.command(190, g=6.0)
    robot.command(300, **arm(11))  # half of the way at 200 ms
    robot.command(205, g=9.0)  # two thirds of the way
    robot.frames()
    (window,) = robot.windows
    assert window.actions.values[1, [0, 3]].tolist() == pytest.approx(expected)


def test_sums_add_each_joints_own_motions() -> None:
    robot = Robot(reduction="sum", tail="zero", state_source="none")
    robot.command(0, **arm(0))
    robot.command(0, g=0.0)
    robot.command(50, **arm(1))
    robot.command(60, g=0.5)
    robot.command(60, g=0.5)  # repeated: ignored
    robot.command(100, g=0.25, **arm(2))
    robot.command(100, g=0.125, **arm(2))  # the same for the arm, and another motion of the gripper: no repetition
    robot.command(200, g=1.0)
    robot.command(201, g=100.0)
    robot.command(210, **arm(100))
    robot.frames()
    (window,) = robot.windows
    np.testing.assert_allclose(window.actions.values[0], [5.0, 5.3, 5.6, 1.875], rtol=0, atol=1e-12)
    assert robot.intake.counters.duplicates == 1


def test_an_arms_trajectory_is_not_replaced_by_the_grippers() -> None:
    robot = Robot(command_type="JointTrajectory", max_wait_s=0.1, horizon=2)

    def send(at_ms: float, *points: tuple[float, dict[str, float]]) -> None:
        message = trajectory(T0_NS + round(at_ms * MS), *points)
        robot.windows += robot.intake.joint_command("/commands", message, 0)

    send(0, (0, arm(1)), (200, arm(2)), (400, arm(4)))
    send(-100, (0, {"g": 5.0}))
    send(50, (100, {"g": 7.0}))
    send(100, (0, dict.fromkeys(OTHER_ARM, 9.0)))
    for index in range(4):
        robot.state(100.0 * index, **arm(20))
        robot.state(100.0 * index, g=-1.0)
    robot.frames()
    (window,) = robot.windows
    np.testing.assert_array_equal(window.actions.values, [[*arm(1).values(), 5.0], [*arm(2).values(), 7.0]])
    np.testing.assert_array_equal(window.future.values[0], [*arm(4).values(), 7.0])
    assert robot.intake.counters.foreign == 1
