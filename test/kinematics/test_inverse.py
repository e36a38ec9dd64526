"""Inverse kinematics: against finite differences, against pinocchio, and by where the found joints lead."""

from __future__ import annotations

import numpy as np
import pytest
from support import panda

from vjepa_ros.errors import ShapeError
from vjepa_ros.geometry import rotation_matrix
from vjepa_ros.kinematics.forward import Kinematics
from vjepa_ros.kinematics.inverse import InverseKinematics
from vjepa_ros.kinematics.urdf import Joint, read_chain

PI = np.pi
LOWER = np.array([-2.9, -1.7, -2.9, -3.0, -2.9, 0.0, -2.9])
UPPER = np.array([2.9, 1.7, 2.9, -0.1, 2.9, 3.7, 2.9])
REST = np.array([0.0, -PI / 4, 0.0, -3 * PI / 4, 0.0, PI / 2, PI / 4])
SLIDING = (
    Joint("turn", "revolute", (0, 0, 0.2), (0.3, 0, 0), (0, 0, 1)),
    Joint("slide", "prismatic", (0.1, 0, 0), (0, 0.5, 0), (0.6, 0, 0.8)),
    Joint("wrist", "revolute", (0.2, 0.1, 0), (0, 0, 0.7), (0, 1, 0)),
    Joint("tip", "fixed", (0, 0, 0.3), (0.1, 0.2, 0.3), (1, 0, 0)),
)


def of_panda() -> Kinematics:
    return Kinematics(read_chain(panda.URDF, "panda_link0", "panda_hand"))


def solver(**options: float) -> InverseKinematics:
    return InverseKinematics(of_panda(), LOWER, UPPER, REST, **options)


def around_rest(rows: int, seed: int = 0) -> np.ndarray:
    """(rows, 7) joints within 0.5 rad of the rest position."""
    return REST + np.random.default_rng(seed).uniform(-0.5, 0.5, (rows, 7))


def poses_of(joints: np.ndarray) -> np.ndarray:
    """By Denavit-Hartenberg parameters, not by the package."""
    return np.stack([panda.transform(row) for row in joints])


def test_frames_of_many_are_those_of_each() -> None:
    for ours in (of_panda(), Kinematics(SLIDING)):
        joints = np.random.default_rng(1).uniform(-2, 2, (3, 5, len(ours.joint_names)))
        frames = ours.frames(joints)
        assert frames.shape == (3, 5, len(ours.joint_names) + 1, 4, 4)
        for place in np.ndindex(3, 5):
            np.testing.assert_allclose(frames[place][-1], ours.transform(joints[place]), rtol=0, atol=1e-12)
            np.testing.assert_array_equal(frames[place], ours.frames(joints[place]))
    below = Kinematics(read_chain(panda.URDF, "panda_link0", "panda_link4"))
    joints = around_rest(1)[0]
    np.testing.assert_allclose(of_panda().frames(joints)[3], below.transform(joints[:4]), rtol=0, atol=1e-12)


@pytest.mark.parametrize("chain", ["panda", "sliding"])
def test_the_jacobian_is_that_of_small_differences(chain: str) -> None:
    ours = of_panda() if chain == "panda" else Kinematics(SLIDING)
    count = len(ours.joint_names)
    jacobian = InverseKinematics(ours, *np.outer([-9, 9, 0], np.ones(count))).jacobian
    joints, small = np.random.default_rng(2).uniform(-1, 1, count), 1e-6
    found = jacobian(joints)
    assert found.shape == (6, count)
    for number in range(count):
        step = np.eye(count)[number] * small
        before, after = ours.transform(joints - step), ours.transform(joints + step)
        turn = (after[:3, :3] - before[:3, :3]) @ ours.transform(joints)[:3, :3].T / (2 * small)
        moved = (after[:3, 3] - before[:3, 3]) / (2 * small)
        np.testing.assert_allclose(found[:3, number], moved, rtol=0, atol=1e-8)
        np.testing.assert_allclose(found[3:, number], [turn[2, 1], turn[0, 2], turn[1, 0]], rtol=0, atol=1e-8)


def test_the_jacobian_is_pinocchios() -> None:
    pinocchio = pytest.importorskip("pinocchio")
    model = pinocchio.buildModelFromXML(panda.URDF)
    data, hand = model.createData(), model.getFrameId("panda_hand")
    for arm in around_rest(20):
        positions = pinocchio.neutral(model)
        positions[:7] = arm
        along = pinocchio.ReferenceFrame.LOCAL_WORLD_ALIGNED
        expected = pinocchio.computeFrameJacobian(model, data, positions, hand, along)[:, :7]
        np.testing.assert_allclose(solver().jacobian(arm), expected, rtol=0, atol=1e-12)


def test_what_is_found_leads_there() -> None:
    goals = poses_of(around_rest(300))
    found = solver().solve(np.tile(REST, (300, 1)), goals, 25)
    assert found.positions.shape == (300, 7) and found.error_m.shape == found.error_rad.shape == (300,)
    reached = poses_of(found.positions)
    np.testing.assert_allclose(np.linalg.norm((reached - goals)[:, :3, 3], axis=1), found.error_m, rtol=0, atol=1e-9)
    turns = np.swapaxes(reached[:, :3, :3], 1, 2) @ goals[:, :3, :3]
    angles = np.arccos(np.clip((np.trace(turns, axis1=1, axis2=2) - 1) / 2, -1, 1))
    np.testing.assert_allclose(angles, found.error_rad, rtol=0, atol=1e-6)
    # What pulls to the rest position keeps them a little away.
    assert found.error_m.max() < 1e-3 and found.error_rad.max() < 3e-3
    exact = solver(pull=0.0).solve(np.tile(REST, (300, 1)), goals, 25)
    assert exact.error_m.max() < 1e-6 and exact.error_rad.max() < 1e-6


def test_the_tip_alone_decides_not_the_way_it_came() -> None:
    goals = poses_of(around_rest(50))
    one, other = (solver().solve(around_rest(50, seed), goals, 80).positions for seed in (5, 6))
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-4)
    # Of all joints that lead there, those near the rest position: nearer than the ones that the pose was made of.
    off = np.linalg.norm(one - REST, axis=1)
    assert (off < np.linalg.norm(around_rest(50) - REST, axis=1) + 1e-3).all()


def test_a_row_does_not_depend_on_the_others_to_the_last_bit() -> None:
    goals, start = poses_of(around_rest(9)), around_rest(9, 1)
    every = solver().solve(start, goals)
    for row in range(9):
        alone = solver().solve(start[row : row + 1], goals[row : row + 1])
        single = solver().solve(start[row], goals[row])
        for found, other, all_of_them in zip(alone, single, every, strict=True):
            np.testing.assert_array_equal(found[0], all_of_them[row])
            np.testing.assert_array_equal(other, all_of_them[row])
    once = solver().solve(REST, goals)  # one start for all
    np.testing.assert_array_equal(once.positions, solver().solve(np.tile(REST, (9, 1)), goals).positions)


def test_limits_hold_and_what_cannot_be_reached_is_said() -> None:
    goals = poses_of(around_rest(2))
    goals[:, :3, 3] = [[1.5, 0, 0.3], [0.0, 0.0, 3.0]]
    found = solver().solve(REST, goals, 60)
    assert (found.positions >= LOWER).all() and (found.positions <= UPPER).all()
    off = np.linalg.norm((poses_of(found.positions) - goals)[:, :3, 3], axis=1)
    np.testing.assert_allclose(found.error_m, off, rtol=0, atol=1e-9)
    assert (found.error_m > 0.3).all()
    tight = InverseKinematics(of_panda(), REST - 0.01, REST + 0.01, REST).solve(REST + 1.0, goals)
    assert (np.abs(tight.positions - REST) <= 0.01 + 1e-12).all()


def test_half_a_turn_away_is_no_number_that_is_none() -> None:
    goal = panda.transform(REST)
    for axis in np.eye(3):
        turned = goal.copy()
        turned[:3, :3] = rotation_matrix(axis * PI) @ goal[:3, :3]
        assert np.isfinite(solver().solve(REST, turned, 30).positions).all()


def test_limits_are_one_number_per_joint() -> None:
    with pytest.raises(ShapeError, match="one number for each of 7 joints"):
        InverseKinematics(of_panda(), LOWER[:6], UPPER, REST)
