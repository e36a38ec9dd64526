"""From measured joints over poses to ``~/plan``, as the released V-JEPA 2-AC does it: its sizes, but for the depths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import PoseArray
from support import checkpoint_files, oracle, panda
from support.harness import Predictor, Robot
from support.messages import JOINTS, MS
from support.messages import stamp_ns as stamp_of
from support.planned import DEEP, READY, Standing

DEPTHS = {"encoder_depth": 1, "predictor_depth": 1}
HORIZON, STEP_NS = 3, 250 * MS
FINGER = 0.01  # m: three quarters closed


@pytest.fixture(scope="module")
def parameters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    checkpoint = checkpoint_files.released(tmp_path_factory.mktemp("released"), **DEPTHS)
    return {
        **DEEP, **DEPTHS, "joint_names": None, "preset": "vjepa2_ac_vitg", "checkpoint": str(checkpoint),
        "pose.tip_link": "panda_hand", "pose.gripper_joint": panda.FINGER, "pose.gripper_open": panda.FINGER_OPEN,
        "pose.gripper_closed": 0.0, "queue": "latest", "actions.max_wait_s": 0.2, "planner.enabled": True,
        "planner.samples": 2, "planner.elites": 1, "planner.iterations": 1, "planner.horizon": HORIZON,
        "planner.std": "[0.02]", "planner.max_action": "[0.05]", "planner.max_age_s": 250.0,
        "planner.time_limit_s": 250.0, "hop": 4,
    }  # fmt: skip


@pytest.fixture
def standing(robot: Robot) -> Iterator[Standing]:
    found = Standing(robot, plan=PoseArray)
    found.names, found.positions = [*JOINTS, panda.FINGER], np.array([*READY, FINGER])
    yield found
    found.close()


def turn(standing: Standing) -> None:
    """The first joint turns on: the tip goes round the base."""
    standing.positions[0] += 0.005


def rotation(pose: Any) -> np.ndarray:
    """(3, 3) of a message's quaternion."""
    x, y, z, w = (getattr(pose.orientation, name) for name in "xyzw")
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


@pytest.mark.timeout(300)  # the giant's layers take their time on a busy machine
def test_from_measured_joints_to_a_plan_of_poses(predictor: Predictor, robot: Robot, standing: Standing) -> None:
    timer = robot.create_timer(0.1, lambda: turn(standing))
    standing.begin()
    standing.aim()
    assert robot.spin(lambda: bool(standing.plans), 240.0), (standing.statuses[-1:], predictor.log)
    robot.destroy_timer(timer)
    plans = list(standing.plans)

    def planned() -> list[dict[str, Any]]:
        return [status for status in standing.statuses if status["state"] == "planned"]

    robot.need(lambda: len(planned()) >= len(plans), "a plan has no status")
    used = {status["window"] for status in planned()[: len(plans)]}
    robot.need(lambda: used <= {window["window"] for window in robot.windows}, "a window has no window_info")
    assert (robot.info["model"], robot.info["trained"], robot.info["grid"]) == ("vjepa2_ac_vitg", True, [8, 16, 16])
    windows = {window["window"]: window for window in robot.windows}
    tip = panda.pose(READY)
    for plan, status in zip(plans, planned(), strict=False):
        window, decided, actions = windows[status["window"]], status["decided"], np.array(status["actions"])
        states = np.array(window["states"])
        np.testing.assert_allclose(np.hypot(states[:, 0], states[:, 1]), np.hypot(*tip[:2]), atol=1e-3)
        np.testing.assert_allclose(states[:, 2], tip[2], atol=1e-6)
        np.testing.assert_allclose(states[:, 6], 1 - FINGER / panda.FINGER_OPEN, atol=1e-9)
        assert np.ptp(states[:, 1]) > 0.01, "the arm has moved"
        # The first that is decided is the action in force; those that are not go no further than they may.
        assert actions.shape == (HORIZON, 7) and 0 <= decided < HORIZON
        np.testing.assert_allclose(actions[:decided][:1], np.array(window["actions"])[-1:][:decided], atol=1e-12)
        assert 0 < np.abs(actions[decided:]).max() <= 0.05
        # A pose after each action that is not decided, by the rule of pose differences from the newest measured pose.
        place, turned = states[-1, :3], oracle.turn(states[-1, 3:6])
        poses = []
        for action in actions:
            place, turned = place + action[:3], oracle.turn(action[3:6]) @ turned
            poses.append((place, turned))
        assert len(plan.poses) == HORIZON - decided and plan.header.frame_id == "panda_link0"
        assert stamp_of(plan) == window["step_stamps"][-1] + decided * STEP_NS
        for pose, (place, turned) in zip(plan.poses, poses[decided:], strict=True):
            np.testing.assert_allclose([pose.position.x, pose.position.y, pose.position.z], place, atol=1e-9)
            np.testing.assert_allclose(rotation(pose), turned, atol=1e-9)
        assert np.isfinite([status["energy"], status["planned_energy"]]).all()
