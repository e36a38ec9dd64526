"""Motions of the tip as joint actions: the tip goes where it is told, inside of box and limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import vjepa_ros
from vjepa_ros.errors import ConfigError, ShapeError
from vjepa_ros.kinematics.inverse import InverseKinematics
from vjepa_ros.planning.plan import plan
from vjepa_ros.planning.solvers import Options
from vjepa_ros.planning.spaces import TipSpace
from vjepa_ros.simulation import panda

JOINTS = tuple(range(7))
START = panda.joints_for(np.array([[0.45, 0.05, 0.3]]))[0]


def space(**changed: Any) -> TipSpace:
    kinematics = panda.kinematics()
    inverse = InverseKinematics(kinematics, panda.LOWER, panda.UPPER, panda.READY)
    given: dict[str, Any] = {"start": START, "joints": JOINTS, "effect": "delta", **changed}
    return TipSpace(kinematics, inverse, **given)


def motions(count: int, steps: int, dims: int = 3) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.05, 0.05, (count, steps, dims))


def test_differences_of_joints_move_the_tip_as_sampled() -> None:
    samples = motions(20, 3)
    actions = space().actions(samples)
    assert actions.shape == (20, 3, 7)
    joints = START + actions.cumsum(axis=1)
    wanted = panda.tips_of(START) + samples.cumsum(axis=1)
    assert np.abs(panda.tips_of(joints) - wanted).max() < 1e-3
    turned = panda.kinematics().frames(joints)[..., -1, :3, :3] - panda.kinematics().transform(START)[:3, :3]
    assert np.abs(turned).max() < 5e-3, "the gripper looks where it looked"
    assert (joints >= panda.LOWER).all() and (joints <= panda.UPPER).all()


def test_targets_are_the_joints_themselves() -> None:
    samples = motions(5, 2)
    deltas, targets = space().actions(samples), space(effect="target").actions(samples)
    np.testing.assert_allclose(targets, START + deltas.cumsum(axis=1), atol=1e-12)


def test_a_row_does_not_depend_on_the_others() -> None:
    samples = motions(6, 2)
    np.testing.assert_allclose(space().actions(samples)[3:4], space().actions(samples[3:4]), rtol=0, atol=1e-12)


def test_the_box_holds_step_by_step() -> None:
    box = panda.tips_of(START) - 0.02, panda.tips_of(START) + 0.02
    samples = np.array([[[0.1, 0.0, 0.0], [-0.03, 0.0, 0.0]]])
    joints = START + space(box_m=box).actions(samples).cumsum(axis=1)
    moved = panda.tips_of(joints)[0, :, 0] - panda.tips_of(START)[0]
    np.testing.assert_allclose(moved, [0.02, -0.01], atol=1e-3)


def test_with_an_orientation_and_a_rest_joints_follow_from_the_tip_alone() -> None:
    """Whatever posture and turn of the gripper a motion begins with; as all that the simulated robot is commanded."""
    down = panda.kinematics().transform(panda.READY)[:3, :3]
    turned = START + np.array([0.1, 0.0, -0.1, 0.0, 0.05, 0.05, 0.3])
    samples = motions(20, 3)
    joints = space(start=turned, effect="target", orientation=down, iterations=12).actions(samples)
    wanted = panda.tips_of(turned) + samples.cumsum(axis=1)
    inside = panda.is_inside(wanted)
    assert inside.sum() > 30
    np.testing.assert_allclose(joints[inside], panda.joints_for(wanted)[inside], atol=2e-3)


def test_yaw_and_gripper_by_option() -> None:
    eight = space(start=np.append(START, 0.5), turns=True, gripper=7)
    assert eight.dims == 5 and space().dims == 3
    actions = eight.actions(np.array([[[0.0, 0.0, 0.0, 0.3, -0.1]]]))[0, 0]
    assert actions[7] == pytest.approx(-0.1)
    before, after = (panda.kinematics().transform(q)[:3, :3] for q in (START, START + actions[:7]))
    turn = after @ before.T
    assert np.arctan2(turn[1, 0], turn[0, 0]) == pytest.approx(0.3, abs=5e-3)
    assert space(start=np.append(START, 0.5)).actions(motions(1, 1))[0, 0, 7] == 0, "it stays"


def test_joints_in_another_order() -> None:
    order = (6, 5, 4, 3, 2, 1, 0)
    samples = motions(4, 2)
    turned = space(start=START[::-1].copy(), joints=order).actions(samples)
    np.testing.assert_allclose(turned[..., ::-1], space().actions(samples), atol=1e-12)


def test_a_plan_in_motions_of_the_tip() -> None:
    """The model knows nothing of robots; its forecasts of joint actions are found again through the tip."""
    wm = vjepa_ros.load("tiny_random", encoding="tubelet", encoder_depth=1, predictor_depth=2)
    rng = np.random.default_rng(0)
    seen = wm.observe(rng.normal(size=(1, 16, 128)).astype(np.float32), np.zeros((1, 0, 7)), START[None, None])
    tip = space()
    wanted = np.array([[[0.05, -0.04, 0.03]]])
    goal = wm.rollout_from(seen, tip.actions(wanted))[0]
    options = Options(samples=48, elites=6, iterations=5)
    found = plan(wm, seen, goal, horizon=1, std=0.04, low=-0.08, high=0.08, space=tip, options=options)
    assert found.samples.shape == (1, 3) and found.actions.shape == (1, 7)
    np.testing.assert_array_equal(found.actions, tip.actions(found.samples[None])[0])
    np.testing.assert_allclose(found.samples, wanted[0], atol=0.02)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ShapeError, match="6 places"):
        space(joints=JOINTS[:6])
    with pytest.raises(ConfigError, match="sample_space"):
        space(effect="pose")
