"""What plans are made of goes together, or is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import panda
from support.configurations import JOINTS, refused

from vjepa_ros.config import ros_file
from vjepa_ros.config.node import resolve
from vjepa_ros.config.planner import PlannerConfig
from vjepa_ros.config.planner_rows import PLANNER, SOLVERS
from vjepa_ros.planning.solvers import SOLVERS as IMPLEMENTED
from vjepa_ros.simulation import panda as simulated
from vjepa_ros.simulation.arms import REACH_BEYOND_M

ROOT = Path(__file__).parents[2]
ON: dict[str, Any] = {"planner.enabled": True}
BOX = [-1.0, -1.0, 0.0, 1.0, 1.0, 1.0]
EXECUTE: dict[str, Any] = {
    **ON, "planner.execute": True, "planner.box_m": BOX, "planner.max_prediction_error": 0.3,
    "pose.tip_link": "panda_hand",
}  # fmt: skip
TIP: dict[str, Any] = {**ON, "planner.sample_space": "tip", "pose.tip_link": "panda_hand"}


def planner(**values: Any) -> PlannerConfig:
    return resolve({"joint_names": JOINTS, **values}).planner


def test_nothing_is_planned_or_executed_unless_asked_for() -> None:
    config = planner()
    assert not config.enabled and not config.execute and not config.needs_robot


def test_every_row_is_a_field_and_every_solver_is_there() -> None:
    assert {row.name for row in PLANNER} == {f"planner.{name}" for name in PlannerConfig.__dataclass_fields__}
    assert set(SOLVERS) == set(IMPLEMENTED)


def test_what_makes_sense_is_taken() -> None:
    assert planner(**EXECUTE).needs_robot
    config = planner(**TIP, **{"planner.std": [0.05, 0.05, 0.02, 0.1], "planner.yaw": True})
    assert config.std == (0.05, 0.05, 0.02, 0.1)
    assert planner(**ON, **{"planner.std": [0.1, *[0.0] * 6]}).enabled
    of_commands = {"actions.reduction": "difference", "states.source": "none"}
    assert planner(**TIP, **of_commands, **{"planner.rest": [0.1] * 7}).rest == (0.1,) * 7
    ahead = resolve({"joint_names": JOINTS, **ON, "actions.phase": "last", "planner.decided_steps": 1})
    assert ahead.planner.decided(ahead.stream) == 1
    poses = resolve({**panda.PRESET, **ON, "planner.horizon": 1})
    assert poses.planner.decided(poses.stream) == 0, "a step is a frame: nothing of it is over"


@pytest.mark.parametrize(
    ("values", "parameter", "said"),
    [
        ({"planner.elites": 65}, "planner.elites", "65 of 64 planner.samples"),
        ({"planner.std": []}, "planner.std", "leaves nothing to plan"),
        ({"planner.std": [0.0]}, "planner.std", "leaves nothing to plan"),
        ({"planner.std": [0.1, 0.1]}, "planner.std", "2 numbers for 7 dimensions"),
        ({"planner.momentum_std": [0.1, 0.1]}, "planner.momentum_std", "2 numbers for 7 dimensions"),
        ({"planner.momentum_mean": []}, "planner.momentum_mean", "0 numbers for 7 dimensions"),
        ({"planner.max_action": [0.1] * 3}, "planner.max_action", "3 numbers for 7 dimensions"),
        ({"planner.horizon": 1}, "planner.horizon", "in force already, so at least 2"),
        ({"planner.goal_mask": [0.0, 1.0]}, "planner.goal_mask", "must be left, top, right, bottom as fractions"),
        ({"planner.goal_mask": [0.5, 0.0, 0.5, 1.0]}, "planner.goal_mask", "not [0.5, 0.0, 0.5, 1.0]"),
        ({"planner.goal_mask": [0.0, 0.9, 1.0, 0.1]}, "planner.goal_mask", "top below bottom"),
        ({"planner.goal_mask": [0.0, 0.0, 64.0, 64.0]}, "planner.goal_mask", "more than 1"),
        ({"planner.box_m": [0.0, 1.0], "pose.tip_link": "hand"}, "planner.box_m", "must be six numbers"),
        ({"planner.box_m": [0.0, 0.0, 0.5, 1.0, 1.0, 0.5], "pose.tip_link": "hand"}, "planner.box_m", "is not below"),
        ({"planner.box_m": BOX}, "planner.box_m", "set pose.tip_link"),
        ({"planner.min_position": [1.0] * 7, "planner.max_position": [0.5] * 7}, "planner.min_position", "is above"),
        ({"planner.max_position": [1.0]}, "planner.max_position", "1 numbers for 7 joints"),
        ({"planner.max_velocity": [1.0] * 2}, "planner.max_velocity", "2 numbers for 7 joints"),
        ({"planner.yaw": True}, "planner.yaw", "belongs to planner.sample_space: tip"),
        ({"planner.gripper": "finger"}, "planner.gripper", "belongs to planner.sample_space: tip"),
        ({"planner.enabled": False, "planner.execute": True}, "planner.execute", "needs planner.enabled"),
        ({"state_names": [*JOINTS[1:], JOINTS[0]]}, "state_names", "or set planner.enabled: false"),
        ({"actions.field": "velocity", "states.field": "velocity"}, "planner.enabled", "actions.field is velocity"),
        ({"actions.reduction": "sum", "states.source": "none"}, "planner.enabled", "set states.source"),
        ({"planner.decided_steps": 4}, "planner.horizon", "4 steps with planner.decided_steps: 4 leave nothing"),
        ({"planner.rest": [0.0] * 7}, "planner.rest", "belongs to planner.sample_space: tip"),
        ({"planner.samples": 100_000, "planner.horizon": 8}, "planner.samples", "are 22,400,000 numbers, more than"),
        ({"planner.time_limit_s": 0.0}, "planner.time_limit_s", "less than 0.001 s"),
        ({"planner.solver": "best"}, "planner.solver", "is not one of cem, icem, mppi"),
        (
            {"planner.command_type": "Twist"},
            "planner.command_type",
            "is not one of JointTrajectory, JointState",
        ),
        ({"planner.std": [-0.1]}, "planner.std", "less than 0"),
        ({"planner.std": [float("nan")]}, "planner.std", "finite numbers"),
    ],
)
def test_what_does_not_go_together_is_refused_by_name(values: dict[str, Any], parameter: str, said: str) -> None:
    error = refused({**ON, **values})
    assert error.parameter == parameter
    assert said in error.reason


@pytest.mark.parametrize(
    ("without", "parameter", "said"),
    [
        ({"planner.box_m": []}, "planner.box_m", "without limits nothing is executed"),
        ({"planner.max_prediction_error": 0.0}, "planner.max_prediction_error", "execution needs a bound"),
        ({"pose.tip_link": ""}, "planner.box_m", "found by robot_description: set pose.tip_link"),
        ({"hop": 4}, "planner.max_prediction_error", "set latents.horizon to 2 or more"),
        ({"hop": 6, "latents.horizon": 2}, "planner.max_prediction_error", "set latents.horizon to 3 or more"),
        ({"hop": 16}, "planner.max_prediction_error", "bounds nothing: with hop 16 and latents.horizon 1 no forecast"),
        ({"hop": 16, "latents.horizon": 8}, "planner.max_prediction_error", "set hop to less than the 16 frames"),
    ],
)
def test_nothing_is_executed_without_limits(without: dict[str, Any], parameter: str, said: str) -> None:
    error = refused({**EXECUTE, **without})
    assert error.parameter == parameter
    assert said in error.reason


def test_what_forecasts_are_compared_with_is_there() -> None:
    for values, steps in (({}, (1,)), ({"hop": 4, "latents.horizon": 2}, (2,)), ({"latents.horizon": 9}, range(1, 8))):
        assert resolve({"joint_names": JOINTS, **EXECUTE, **values}).stream.compared_steps == tuple(steps)


@pytest.mark.parametrize(
    ("changes", "parameter", "said"),
    [
        ({"pose.tip_link": ""}, "planner.sample_space", "set pose.tip_link"),
        ({"states.source": "commands"}, "planner.sample_space", "must be the measured positions of joint_names"),
        ({"actions.scale": [2.0] * 7}, "planner.sample_space", "leave actions.scale"),
        ({"planner.gripper": "finger"}, "planner.gripper", "'finger' is not one of joint_names"),
        ({"planner.std": [0.1] * 7}, "planner.std", "7 numbers for 3 dimensions"),
        ({"planner.rest": [0.0] * 6}, "planner.rest", "6 numbers for 7 joints"),
        ({"planner.rest": [0.0] * 7, "planner.yaw": True}, "planner.rest", "use one of the two"),
        ({"actions.reduction": "pick", "states.source": "none"}, "planner.sample_space", "must be the measured"),
    ],
)
def test_the_tip_needs_joints_that_are_measured(changes: dict[str, Any], parameter: str, said: str) -> None:
    error = refused({**TIP, **changes})
    assert error.parameter == parameter
    assert said in error.reason


def test_the_file_for_the_simulated_robot() -> None:
    values, _ = ros_file.read(ROOT / "config" / "panda_sim_planner.yaml", "/vjepa_predictor")
    config = resolve(values)
    assert config.planner.action_repeat == config.planner.horizon - config.planner.decided_steps == 4
    assert config.planner.execute and config.planner.decided(config.stream) == 1 and config.planner.horizon == 5
    assert config.stream.commands.joint_names == simulated.JOINTS
    np.testing.assert_allclose(config.planner.rest, simulated.READY, atol=1e-12)
    low, high = np.reshape(config.planner.box_m, (2, 3))
    np.testing.assert_allclose([simulated.LOW - low, high - simulated.HIGH], REACH_BEYOND_M)


def test_the_tip_is_none_for_poses() -> None:
    error = refused({**panda.PRESET, **ON, "planner.sample_space": "tip"})
    assert error.parameter == "planner.sample_space" and "these actions are poses" in error.reason


def test_without_a_planner_nothing_of_it_is_judged_against_the_streams() -> None:
    assert not planner(**{"state_names": [*JOINTS[1:], JOINTS[0]], "planner.std": [0.1, 0.2]}).enabled
