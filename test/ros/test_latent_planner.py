"""The planner of 60 lines in a process of its own, the node in another: what it asks, and what it makes of that."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rclpy.qos import QoSProfile
from std_msgs.msg import Float32MultiArray
from support.harness import Predictor, Robot
from support.messages import JOINTS, S
from support.messages import stamp_ns as stamp_of
from support.planned import DEEP, SMALL, Standing
from support.robot import TIMEOUT_S
from trajectory_msgs.msg import JointTrajectory

EXAMPLE = Path(__file__).parents[2] / "examples" / "latent_planner.py"


@pytest.fixture(scope="module")
def parameters() -> dict[str, Any]:
    return {**SMALL, **DEEP, "actions.max_wait_s": 0.2, "candidates.max_age_s": 10.0}


@pytest.fixture
def example(log_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log_path.open("wb") as out:
        process = subprocess.Popen([sys.executable, str(EXAMPLE)], stdout=out, stderr=subprocess.STDOUT)
    yield process
    process.kill()
    process.wait(TIMEOUT_S)


def test_it_is_short() -> None:
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) <= 60


def test_it_publishes_the_best_of_what_it_asked(
    predictor: Predictor, robot: Robot, example: subprocess.Popen[bytes], log_path: Path
) -> None:
    standing, deep = Standing(robot), QoSProfile(depth=1000)
    plans: list[JointTrajectory] = []
    asked: dict[float, np.ndarray] = {}
    answered: dict[float, np.ndarray] = {}
    robot.create_subscription(JointTrajectory, "/latent_planner/plan", plans.append, deep)

    def keep(into: dict[float, np.ndarray], message: Float32MultiArray) -> None:
        tag, *numbers = message.data
        into[tag] = np.reshape(numbers, [dim.size for dim in message.layout.dim])

    def is_best(plan: JointTrajectory) -> bool:
        """Whether it is, of the candidates of one question, the one whose last energy is the lowest."""
        best = [asked[tag][energies[:, -1].argmin()] for tag, energies in answered.items() if tag in asked]
        rows = np.array([point.positions for point in plan.points])
        return any(np.allclose(rows, way, rtol=0, atol=1e-6) for way in best)

    name = robot.predictor
    robot.create_subscription(Float32MultiArray, f"{name}/candidates", lambda m: keep(asked, m), deep)
    robot.create_subscription(Float32MultiArray, f"{name}/candidate_energies", lambda m: keep(answered, m), deep)
    try:
        robot.start()
        robot.need(lambda: standing.goals.get_subscription_count() == 1, "the node takes no goal")
        robot.need(lambda: robot.count_publishers("/latent_planner/plan") == 1, "the example is not there")
        robot.need(lambda: robot.count_subscribers(f"{name}/candidate_energies") == 2, "the example does not listen")
        robot.need(lambda: len(asked) >= 2, "nothing is asked")
        assert plans == [] and answered == {}, "no goal, no plan"
        standing.aim()
        robot.need(lambda: len(plans) >= 3, f"no plan: {log_path.read_text()}")
        came = list(plans)
        robot.need(lambda: all(map(is_best, came)), "not the best of what was asked")
        assert example.poll() is None
    finally:
        standing.close()

    windows = {window["step_stamps"][-1]: window for window in robot.windows}
    for plan in came:
        assert plan.joint_names == JOINTS
        window = windows[stamp_of(plan)]
        rows = np.array([point.positions for point in plan.points])
        np.testing.assert_array_equal(rows[0], window["actions"][-1])
        assert rows.shape == (3, 7) and 0 < np.abs(rows - rows[0]).max() < 1
        period_ns = np.diff(window["step_stamps"])[-1]
        since = [point.time_from_start.sec * S + point.time_from_start.nanosec for point in plan.points]
        np.testing.assert_array_equal(since, period_ns * np.arange(1, 4))
    for ways in asked.values():
        assert ways.shape == (64, 3, 7) and np.abs(ways[:, 1:] - ways[:, :1]).std() > 0.01
    example.send_signal(signal.SIGTERM)
    example.wait(TIMEOUT_S)
