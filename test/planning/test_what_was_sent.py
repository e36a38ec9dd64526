"""What of a plan was sent is what the next one takes for decided: as limits have cut it, in the actions' terms."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support import panda
from support.builders import model_window
from support.plan_bench import GIVEN, Bench, picture

import vjepa_ros
from vjepa_ros.config.node import resolve
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.geometry import euler_angles, pose_delta, pose_sum, rotation_matrix
from vjepa_ros.planning.command import Command
from vjepa_ros.planning.motion import Motion
from vjepa_ros.planning.plan_outcome import Outcome
from vjepa_ros.planning.planner import Planner

READY = np.array([0.0, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785])


@pytest.fixture(scope="module")
def model() -> WorldModel:
    return vjepa_ros.load("tiny_random", encoder_depth=1, predictor_depth=1)


def command(joints: np.ndarray, *, is_cut: bool) -> Command:
    arm: Any = SimpleNamespace(tip=panda.transform)
    return Command(arm, joints, joints, 0.1, 0, is_cut)


def planned(model: WorldModel, **values: Any) -> tuple[Planner, Outcome]:
    bench = Bench(model)
    bench.planner = Planner(
        resolve({**GIVEN, **values}), model, bench.forecaster, (picture(1),), lambda: bench.now_ns
    )  # fmt: skip
    bench.planner._took_s.append(0.0)
    return bench.planner, bench.plan()


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_targets(model: WorldModel, scale: float) -> None:
    planner, outcome = planned(model, **{"actions.scale": [scale] * 7, "actions.offset": [0.5] * 7})
    assert outcome.plan is not None and outcome.reached is not None and outcome.first == 1
    whole = command(outcome.reached[1], is_cut=False)
    assert planner.as_sent(outcome, whole) is not None
    np.testing.assert_array_equal(planner.as_sent(outcome, whole), outcome.plan.actions[1])
    sent = planner.as_sent(outcome, command(np.arange(9.0), is_cut=True))
    np.testing.assert_allclose(sent, np.arange(7.0) * scale + 0.5, atol=1e-12)


@pytest.mark.parametrize("first", [0, 1, 3])
def test_differences(model: WorldModel, first: int) -> None:
    planner, outcome = planned(model, **{"actions.reduction": "difference"})
    assert outcome.plan is not None and outcome.reached is not None
    before = outcome.reached[first - 1] if first else model_window().states.values[-1]
    moved = Outcome(**{**vars(outcome), "first": first})
    sent = planner.as_sent(moved, command(before + 0.25, is_cut=True))
    np.testing.assert_allclose(sent, np.full(7, 0.25), atol=1e-9)


def test_poses() -> None:
    config = resolve({**GIVEN, "preset": "vjepa2_ac_vitg", "pose.tip_link": "hand", "joint_names": []})
    motion = Motion(config)
    start = np.array([0.4, 0.1, 0.3, 0.1, -0.2, 0.3, 0.5])
    actions = np.array([[0.01, 0.0, 0.02, 0.0, 0.1, 0.0, 0.1], [0.05, 0.0, 0.0, 0.2, 0.0, 0.0, -0.2]])
    reached = motion.reached(start, actions)
    np.testing.assert_allclose(motion.action(start, actions, reached[1]), actions[1], atol=1e-9)
    np.testing.assert_allclose(motion.action(start, actions[:1], reached[0]), actions[0], atol=1e-9)
    # Half of the way, by the joints that were sent.
    outcome: Any = SimpleNamespace(
        plan=SimpleNamespace(actions=actions), reached=reached, first=1, seen=SimpleNamespace(window=SimpleNamespace(
            origin=None, states=SimpleNamespace(values=start[None])))
    )  # fmt: skip
    planner: Any = SimpleNamespace(motion=motion)
    sent = Planner.as_sent(planner, outcome, command(READY, is_cut=True))
    tip = panda.transform(READY)
    pose = np.concatenate([tip[:3, 3], euler_angles(tip[:3, :3]), reached[1, 6:]])
    np.testing.assert_allclose(sent, pose_delta(reached[0], pose), atol=1e-9)
    there = pose_sum(reached[0], sent)
    np.testing.assert_allclose(there[[0, 1, 2, 6]], pose[[0, 1, 2, 6]], atol=1e-9)
    np.testing.assert_allclose(rotation_matrix(there[3:6]), tip[:3, :3], atol=1e-9)
