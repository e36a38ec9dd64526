"""Limits of a real arm: what is cut, what is kept back, and where the numbers come from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import panda
from support.configurations import JOINTS

from vjepa_ros.config.node import resolve
from vjepa_ros.config.pose import PoseConfig
from vjepa_ros.errors import InputError
from vjepa_ros.planning.arm import Arm
from vjepa_ros.planning.safety import judge

READY = np.array([0.0, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785])
PERIOD_S = 0.25
POSE = PoseConfig("names", "measured", "panda_hand", "", "", 0.0, 1.0)


def arm(text: str = panda.URDF, names: tuple[str, ...] = tuple(JOINTS), **values: Any) -> Arm:
    given = {f"planner.{name}": value for name, value in values.items()}
    config = resolve({"joint_names": JOINTS, "pose.tip_link": "panda_hand", **given})
    return Arm(text, config.planner, POSE, names)


def box_around(tip: np.ndarray, half_m: float) -> list[float]:
    return [*(tip - half_m), *(tip + half_m)]


TIP = panda.transform(READY)[:3, 3]


def test_limits_are_those_of_the_description_and_only_tightened() -> None:
    found = arm()
    assert found.joint_names == tuple(JOINTS) and found.base == "panda_link0"
    np.testing.assert_array_equal(found.upper, 2.9)
    np.testing.assert_array_equal(found.velocity, 2.2)
    np.testing.assert_allclose(found.tip(READY), panda.transform(READY), atol=1e-12)
    tighter = arm(min_position=[-3.5] * 6 + [-1.0], max_position=[1.0] * 7, max_velocity=[9.0], max_step=[0.1])
    np.testing.assert_array_equal(tighter.lower, [-2.9] * 6 + [-1.0])
    np.testing.assert_array_equal(tighter.upper, 1.0)
    np.testing.assert_array_equal(tighter.velocity, 2.2)
    np.testing.assert_array_equal(tighter.step, 0.1)


def test_joints_that_are_not_commanded_keep_their_own_limits() -> None:
    found = arm(names=("panda_finger_joint1", *JOINTS[:3]), max_velocity=[0.1])
    assert found.joint_names == ("panda_finger_joint1", *JOINTS)
    np.testing.assert_array_equal(found.velocity, [0.1] * 4 + [2.2] * 4)
    assert list(found.chain) == [1, 2, 3, 4, 5, 6, 7]
    of_tip = arm(names=(), max_velocity=[0.1] * 7)
    assert of_tip.joint_names == tuple(JOINTS) and (of_tip.velocity == 0.1).all()


@pytest.mark.parametrize(
    ("text", "values", "said"),
    [
        (panda.URDF.replace('velocity="2.2"', 'velocity="0"'), {}, "limits nothing"),
        (panda.URDF, {"min_position": [3.0] * 7}, "leave joint 'panda_joint1' from 3 to 2.9"),
        (panda.URDF.replace("panda_hand", "hand"), {}, "there is no link 'panda_hand'"),
    ],
)
def test_without_limits_there_is_no_arm(text: str, values: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        arm(text, **values)


def test_a_command_within_all_limits_is_sent_as_it_is() -> None:
    verdict = judge(arm(box_m=box_around(TIP, 0.3)), READY, READY + 0.05, PERIOD_S)
    np.testing.assert_allclose(verdict.positions, READY + 0.05, atol=1e-15)
    assert verdict.hit == ""


def test_the_speed_is_cut_and_the_way_kept() -> None:
    target = READY + np.array([2.0, 1.0, 0, 0, 0, 0, 0])
    verdict = judge(arm(), READY, target, PERIOD_S)
    assert verdict.positions is not None
    np.testing.assert_allclose(verdict.positions - READY, (target - READY) * 2.2 * PERIOD_S / 2.0, atol=1e-12)
    assert verdict.hit == "the speed or step limit of panda_joint1"
    shorter = judge(arm(max_step=[1.0, 0.01, 1.0, 1.0, 1.0, 1.0, 1.0]), READY, target, PERIOD_S)
    assert shorter.positions is not None and shorter.hit == "the speed or step limit of panda_joint2"
    assert shorter.positions[1] - READY[1] == pytest.approx(0.01)


def test_a_position_is_cut_and_one_beyond_its_limit_may_only_come_back() -> None:
    near = READY.copy()
    near[2] = 2.88
    verdict = judge(arm(), near, near + np.array([0, 0, 0.1, 0, 0, 0, 0]), PERIOD_S)
    assert verdict.positions is not None and verdict.positions[2] == pytest.approx(2.9)
    assert verdict.hit == "the position limit of panda_joint3"
    beyond = READY.copy()
    beyond[2] = 3.5
    verdict = judge(arm(), beyond, beyond + np.array([0, 0, 0.1, 0, 0, 0, 0]), PERIOD_S)
    assert verdict.positions is not None and 2.9 <= verdict.positions[2] < 3.5 and verdict.hit


def test_the_tip_stays_in_its_box_all_the_way() -> None:
    target = READY + np.array([0.3, 0, 0, 0, 0, 0, 0])
    assert judge(arm(box_m=box_around(TIP, 0.3)), READY, target, PERIOD_S).positions is not None
    verdict = judge(arm(box_m=box_around(TIP, 0.05)), READY, target, PERIOD_S)
    assert verdict.positions is None and "outside of planner.box_m" in verdict.hit
    # Both ends lie in a thin box, and the arc between them does not.
    start, end = READY.copy(), READY.copy()
    start[0], end[0] = -0.5, 0.5
    reach = panda.transform(start)[0, 3]
    thin = arm(box_m=[0.0, -1.0, 0.0, reach + 0.01, 1.0, 1.5])
    ends = thin.tips(np.stack([start, end]))
    assert (ends[:, 0] < reach + 0.01).all()
    verdict = judge(thin, start, end, 10.0)
    assert verdict.positions is None, "between them it leaves the box"


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_numbers_that_are_none_are_never_sent(wrong: float) -> None:
    broken = READY.copy()
    broken[3] = wrong
    for now, target in ((READY, broken), (broken, READY)):
        verdict = judge(arm(), now, target, PERIOD_S)
        assert verdict.positions is None and verdict.hit == "positions that are not finite"


def test_a_pose_is_reached_by_joints_or_refused() -> None:
    found = arm()
    wanted = panda.transform(READY + 0.05)
    joints = found.reach(READY, wanted)
    np.testing.assert_allclose(panda.transform(joints), wanted, atol=5e-3)
    far = wanted.copy()
    far[0, 3] += 3.0
    with pytest.raises(InputError, match="out_of_reach: within their limits"):
        found.reach(READY, far)
