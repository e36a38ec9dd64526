"""The ends of execution over the middleware, where speeds are sent: a zero at every one of them, once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import TwistStamped
from rosgraph_msgs.msg import Clock
from support.ends import ENDED, ENDS
from support.harness import Predictor, Robot
from support.messages import S
from support.messages import stamp_ns as stamp_of
from support.planned import EXECUTED, STEP_S, Standing

from vjepa_ros.units import set_stamp


@pytest.fixture(scope="module")
def parameters() -> dict[str, Any]:
    return EXECUTED


@pytest.mark.parametrize(
    ("fault", "reason", "said"),
    [
        ("always", "model_failed", "out of memory"),
        ("nan_energies", "not_finite", "none of 8 candidates has energies that are finite"),
        ("bug", "internal_error", "latents of another shape"),
    ],
)
def test_a_model_that_fails_ends_it(log_path: Path, tmp_path: Path, fault: str, reason: str, said: str) -> None:
    faulty = str(Path(__file__).parents[1] / "support" / "faulty_node.py")
    file = tmp_path / "fault"
    file.write_text("", encoding="utf-8")
    values = {**EXECUTED, "max_failures": 1, "planner.command_type": "TwistStamped"}
    predictor = Predictor(log_path, values, ("-r", "__node:=broken"), (faulty, str(file)))
    robot = Robot("/broken")
    standing = Standing(robot, TwistStamped)
    try:
        standing.run()
        file.write_text(fault, encoding="utf-8")
        status = standing.ended(reason)
        assert said in status["end_detail"]
        assert standing.is_silent(plans=False)
        assert_stopped(standing, status)
        if reason == "model_failed":
            assert standing.execute()[1].startswith("model_failed: ")
    finally:
        standing.close()
        assert predictor.stop() == 0, predictor.log
        robot.close()


def test_a_clock_that_jumps_ends_it(log_path: Path) -> None:
    values = {**EXECUTED, "use_sim_time": True, "planner.command_type": "TwistStamped"}
    predictor = Predictor(log_path, values, ("-r", "__node:=dreaming"))
    robot = Robot("/dreaming")
    standing = Standing(robot, TwistStamped)
    back_ns = 0
    clock = robot.create_publisher(Clock, "/clock", 10)

    def tick() -> None:
        message = Clock()
        set_stamp(message.clock, robot.get_clock().now().nanoseconds - back_ns)
        clock.publish(message)

    timer = robot.create_timer(0.02, tick)
    try:
        standing.run()
        back_ns = 10 * S
        status = standing.ended("time_jumped")
        assert status["end_detail"]
        assert standing.is_silent(plans=False)
        moving = [message for message in standing.commands if speeds(message).any()]
        assert len(moving) == status["commands_sent"] and not speeds(standing.commands[-1]).any()
    finally:
        robot.destroy_timer(timer)
        robot.destroy_publisher(clock)
        standing.close()
        assert predictor.stop() == 0, predictor.log
        robot.close()


@pytest.mark.parametrize(("reason", "end"), ENDS, ids=ENDED)
def test_a_speed_of_zero_is_sent_once_at_every_end(
    predictor: Predictor, robot: Robot, reason: str, end: Callable[[Standing], None]
) -> None:
    standing = Standing(robot, TwistStamped)
    try:
        standing.run(planner__command_type="TwistStamped")
        first = standing.commands[0]
        assert first.header.frame_id == "panda_link0" and speeds(first).any()
        assert np.abs(speeds(first)).max() < 10
        end(standing)
        status = standing.ended(reason)
        standing.is_sending = standing.joints = True
        standing.hangs = False
        assert standing.is_silent(plans=reason not in ("deactivated", "reached"))
        assert_stopped(standing, status)
    finally:
        standing.close()


@pytest.mark.parametrize(
    ("reason", "values"),
    [
        ("prediction_error", {"planner__max_prediction_error": 1e-6}),
        ("no_progress", {"planner__patience": 2}),
        ("limit_hits", {"planner__max_limit_hits": 3, "planner__max_step": [1e-3]}),
        ("limit_hits", {"planner__max_limit_hits": 2, "planner__box_m": [0.0, 0.0, 0.0, 0.1, 0.1, 0.1]}),
        ("steps_done", {"planner__execute_steps": 2}),
    ],
    ids=["prediction_error", "no_progress", "step", "box", "steps_done"],
)
def test_so_it_is_where_what_is_watched_ends_it(
    predictor: Predictor, robot: Robot, reason: str, values: dict[str, Any]
) -> None:
    standing = Standing(robot, TwistStamped)
    try:
        standing.start(planner__command_type="TwistStamped", **values)
        standing.aim()
        assert standing.is_planning()
        assert robot.spin(lambda: standing.execute()[0])
        status = standing.ended(reason)
        assert standing.is_silent()
        assert_stopped(standing, status)
    finally:
        standing.close()


def assert_stopped(standing: Standing, status: dict[str, Any]) -> None:
    """All that was sent as plans is there, and after it a zero at the end, once.

    A speed that nobody has renewed becomes zero once its step is over: that is another one, where the end is later. It
    is then nearer to the speed than to the end.
    """
    moving = [message for message in standing.commands if speeds(message).any()]
    assert len(moving) == status["commands_sent"]
    last_ns = stamp_of(moving[-1]) if moving else 0
    zeros = [stamp_of(message) for message in standing.commands if stamp_of(message) > last_ns]
    after_s = (status["published_ns"] - last_ns) / S
    print(
        f"the last speed, then zeros after {[(zero - last_ns) / S for zero in zeros]} s, the end after {after_s:.3f} s"
    )
    if not moving or after_s < 0.75 * STEP_S:
        assert len(zeros) == 1
    else:
        assert 1 <= len(zeros) <= 2
    if moving and after_s > 1.0:
        assert (zeros[-1] - last_ns) / S > after_s / 2, "that of the end"


def speeds(message: TwistStamped) -> np.ndarray:
    """(6,) m/s and rad/s."""
    linear, angular = message.twist.linear, message.twist.angular
    return np.array([linear.x, linear.y, linear.z, angular.x, angular.y, angular.z])
