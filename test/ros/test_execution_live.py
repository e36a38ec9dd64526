"""Execution over the middleware: only where it is allowed and switched on, and after each end nothing is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import PoseArray, PoseStamped
from lifecycle_msgs.msg import Transition
from std_msgs.msg import String
from support import panda
from support.ends import ENDED, ENDS
from support.harness import Predictor, Robot
from support.messages import JOINTS, S
from support.planned import EXECUTED, POSES, READY, STEP_S, Standing

REACH = 2.2 * STEP_S  # rad in a step: the velocity limit of the description


@pytest.fixture(scope="module")
def parameters() -> dict[str, Any]:
    return EXECUTED


@pytest.fixture
def standing(robot: Robot) -> Iterator[Standing]:
    found = Standing(robot)
    yield found
    found.close()


def test_it_is_off_until_it_is_switched_on_and_after_every_activation(predictor: Predictor, standing: Standing) -> None:
    robot = standing.robot
    standing.start()
    assert standing.execute() == (False, "no_goal: there is no goal, or the last one is met")
    standing.aim()
    assert standing.is_planning(3)
    assert standing.commands == [] and not standing.statuses[-1]["executing"]
    assert standing.execute() == (True, "on")
    assert standing.moves(3)
    sent = list(standing.commands)

    def is_of_a_window(step_s: float) -> bool:
        means_s = [np.diff(window["step_stamps"]).mean() / S for window in robot.windows]
        return any(step_s == pytest.approx(mean_s, abs=1e-6) for mean_s in means_s)

    for message in sent:
        (point,) = message.points
        assert message.joint_names == JOINTS
        assert (message.header.stamp.sec, message.header.stamp.nanosec) == (0, 0), "as soon as it comes"
        step_s = point.time_from_start.sec + point.time_from_start.nanosec / S
        assert step_s == pytest.approx(STEP_S, rel=0.2)
        assert robot.spin(lambda step_s=step_s: is_of_a_window(step_s))  # type: ignore[misc]
        assert np.abs(np.array(point.positions) - READY).max() <= REACH * 1.2
    assert standing.execute(on=False) == (True, "off")
    assert standing.is_silent()
    assert standing.execute(on=False) == (True, "it was off")

    assert standing.execute() == (True, "on")
    assert standing.moves()
    assert robot.change_state(Transition.TRANSITION_DEACTIVATE)
    assert standing.is_silent(plans=False)
    assert standing.execute()[0] is False
    robot.disconnect()
    assert robot.change_state(Transition.TRANSITION_ACTIVATE)
    robot.connect()
    standing.description.publish(String(data=panda.URDF))
    standing.aim()
    assert standing.is_planning(3)
    assert standing.is_silent(), "off after every activation"


@pytest.mark.parametrize(("reason", "end"), ENDS, ids=ENDED)
def test_whatever_ends_it_nothing_is_sent_afterwards(
    predictor: Predictor, standing: Standing, reason: str, end: Callable[[Standing], None]
) -> None:
    standing.run()
    end(standing)
    status = standing.ended(reason)
    assert status["end_detail"]
    assert standing.robot.spin(lambda: f"execution has ended: {reason}: " in predictor.log)
    standing.is_sending = standing.joints = True
    standing.hangs = False
    assert standing.is_silent(plans=reason not in ("deactivated", "reached"))
    assert len(standing.commands) == status["commands_sent"], "those from before the end, and no other"


@pytest.mark.parametrize(
    ("reason", "values", "said"),
    [
        ("prediction_error", {"planner__max_prediction_error": 1e-6}, "is above planner.max_prediction_error, 1e-06"),
        ("no_progress", {"planner__patience": 2}, "after 2 plans the energy is "),
        (
            "limit_hits",
            {"planner__max_limit_hits": 3, "planner__max_step": [1e-3]},
            "3 commands were cut or kept back, the last one by: the speed or step limit of panda_joint",
        ),
        (
            "limit_hits",
            {"planner__max_limit_hits": 2, "planner__box_m": [0.0, 0.0, 0.0, 0.1, 0.1, 0.1]},
            "2 commands were cut or kept back, the last one by: the tip would be at [",
        ),
    ],
    ids=["prediction_error", "no_progress", "step", "box"],
)
def test_what_is_watched_ends_it(
    predictor: Predictor, standing: Standing, reason: str, values: dict[str, Any], said: str
) -> None:
    standing.start(**values)
    standing.aim()
    assert standing.is_planning()
    assert standing.robot.spin(lambda: standing.execute()[0])
    status = standing.ended(reason)
    assert said in status["end_detail"]
    assert standing.is_silent()
    assert len(standing.commands) == status["commands_sent"]
    if "planner__max_step" in values:
        assert len(standing.commands) == 2, "the third hit ended it"
        for message in standing.commands:
            assert np.abs(np.array(message.points[0].positions) - READY).max() <= 1e-3 + 1e-9
    if "planner__box_m" in values:
        assert standing.commands == []


def test_it_is_not_switched_on_without_what_it_needs(predictor: Predictor, standing: Standing) -> None:
    robot = standing.robot
    standing.start()
    standing.joints = False
    standing.aim()
    success, said = standing.execute()
    assert not success and said.startswith("stale_input: joint 'panda_joint1' was never measured")
    standing.joints = True
    assert standing.is_planning()
    assert robot.spin(lambda: standing.execute()[0])
    without_limits = String(data=panda.URDF.replace('velocity="2.2"', 'velocity="0"'))
    standing.description.publish(without_limits)
    assert robot.spin(lambda: "robot_description: no_limits: joint 'panda_joint1'" in predictor.log)
    assert "cannot be used" in standing.ended("new_robot")["end_detail"]
    assert standing.is_silent(), "the limits of the robot before it do not hold"
    assert standing.execute() == (False, "no_limits: no robot description with limits has come, see the log")
    standing.description.publish(String(data=panda.URDF))
    assert robot.spin(lambda: standing.execute()[0]), "the one before it, once more"
    assert standing.moves()
    standing.statuses.clear()  # among them that of the end before
    standing.description.publish(without_limits)  # the last one comes again to a node that is activated again
    standing.ended("new_robot")
    robot.reactivate()
    standing.aim()
    assert standing.is_planning()
    assert standing.execute() == (False, "no_limits: no robot description with limits has come, see the log")


def test_poses_of_the_tip(predictor: Predictor, robot: Robot) -> None:
    standing = Standing(robot, PoseStamped)
    try:
        standing.run(planner__command_type="PoseStamped")
        message = standing.commands[0]
        assert message.header.frame_id == "panda_link0"
        place = message.pose.position
        tip = panda.transform(READY)[:3, 3]
        assert np.abs(np.array([place.x, place.y, place.z]) - tip).max() < 0.15
    finally:
        standing.close()


def test_poses_become_joints(log_path: Path) -> None:
    predictor = Predictor(log_path, {**EXECUTED, **POSES}, ("-r", "__node:=poses"))
    robot = Robot("/poses")
    standing = Standing(robot, plan=PoseArray)
    try:
        standing.begin()
        standing.aim()
        assert standing.is_planning(), (standing.statuses[-1:], predictor.log)
        assert robot.spin(lambda: standing.execute()[0]), standing.execute()
        assert standing.moves(), standing.statuses[-1:]
        for message in standing.commands:
            assert message.joint_names == JOINTS
            assert 0 < np.abs(np.array(message.points[0].positions) - READY).max() <= REACH * 1.2
        assert standing.trigger("stop")[0]
        assert standing.is_silent()
    finally:
        standing.close()
        assert predictor.stop() == 0, predictor.log
        robot.close()
