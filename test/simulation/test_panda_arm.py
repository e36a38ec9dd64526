"""The simulated robot: its description, its kinematics and its workspace, and how it follows commands."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest
from support import panda as other

from vjepa_ros.simulation import arms, panda
from vjepa_ros.simulation.surface import link_poses, surface

RNG = np.random.default_rng(0)
TIPS = np.stack([panda.random_tips(RNG) for _ in range(2000)])
DOWN = np.diag([1.0, -1.0, -1.0])
TCP_M = 0.1034  # from the hand to the point between the fingertips


def test_limits_are_those_of_the_description() -> None:
    root = ElementTree.fromstring(panda.description())
    limits = {joint.get("name"): joint.find("limit").attrib for joint in root.findall("joint") if joint.find("limit")
              is not None}  # fmt: skip
    assert set(limits) == {*panda.JOINTS, *panda.FINGERS}
    for key, values in (("lower", panda.LOWER), ("upper", panda.UPPER), ("velocity", panda.FASTEST)):
        np.testing.assert_array_equal([float(limits[name][key]) for name in panda.JOINTS], values)
    assert {float(limits[name]["upper"]) for name in panda.FINGERS} == {panda.OPEN_M}
    assert "<mesh" not in panda.description() and "package:" not in panda.description()
    assert panda.kinematics().joint_names == panda.JOINTS


def test_the_tip_is_where_the_published_parameters_say() -> None:
    joints = RNG.uniform(panda.LOWER, panda.UPPER, (50, 7))
    hands = np.stack([other.transform(row) for row in joints])
    np.testing.assert_allclose(panda.tips_of(joints), hands[:, :3, 3] + TCP_M * hands[:, :3, 2], rtol=0, atol=1e-9)


def test_every_link_is_where_pinocchio_has_it() -> None:
    pinocchio = pytest.importorskip("pinocchio")
    model = pinocchio.buildModelFromXML(panda.description())
    data = model.createData()
    links = [*(f"panda_link{number}" for number in range(8)), "panda_hand", "panda_leftfinger", "panda_rightfinger"]
    for joints in RNG.uniform(panda.LOWER, panda.UPPER, (20, 7)):
        positions = np.concatenate([joints, np.full(model.nq - 7, 0.03)])
        pinocchio.framesForwardKinematics(model, data, positions)
        poses = link_poses(joints, 0.03)
        for number, link in enumerate(links):
            expected = data.oMf[model.getFrameId(link)].homogeneous
            if link == "panda_rightfinger":  # the mesh of the left one, turned
                expected = expected @ np.diag([-1.0, -1.0, 1.0, 1.0])
            np.testing.assert_allclose(poses[number], expected, rtol=0, atol=1e-12)


def test_joints_for_a_tip_lead_there_with_the_gripper_down() -> None:
    joints = panda.joints_for(TIPS)
    assert (joints >= panda.LOWER).all() and (joints <= panda.UPPER).all()
    hands = np.stack([other.transform(row) for row in joints])
    off = np.linalg.norm(hands[:, :3, 3] + TCP_M * hands[:, :3, 2] - TIPS, axis=1)
    assert off.max() < 6e-4
    assert np.abs(hands[:, :3, :3] - DOWN).max() < 1e-3
    np.testing.assert_array_equal(panda.joints_for(TIPS[5]), joints[5])
    np.testing.assert_allclose(panda.joints_for(panda.tips_of(panda.READY)), panda.READY, rtol=0, atol=1e-6)


def test_the_workspace() -> None:
    assert panda.is_inside(TIPS).all()
    norms = np.linalg.norm(TIPS, axis=1)
    assert 0.69 < norms.max() <= 0.70 and norms.min() < 0.36
    assert (TIPS.min(axis=0) - panda.LOW < 0.01).all() and (panda.HIGH - TIPS.max(axis=0))[1:].max() < 0.01
    far = RNG.uniform(-2, 2, (2000, 3))
    moved = panda.into_workspace(far)
    assert panda.is_inside(moved, 1e-9).all() and not panda.is_inside(far).all()
    np.testing.assert_array_equal(panda.into_workspace(TIPS), TIPS)
    assert panda.is_inside(np.array([0.29, 0.0, 0.3]), 0.02) and not panda.is_inside(np.array([0.29, 0.0, 0.3]))


def moving(joints: np.ndarray, commands: np.ndarray, ticks: int, seconds: float = 0.05) -> np.ndarray:
    """(ticks + 1, B, 7) where arms are while they follow a command."""
    group = arms.Arms(joints)
    group.command(commands)
    found = [group.joints]
    for _ in range(ticks):
        group.advance(seconds)
        found.append(group.joints)
    return np.stack(found)


def test_a_short_way_shrinks_to_1_over_e_in_the_lag() -> None:
    start = panda.joints_for(TIPS[:50])
    goal = panda.joints_for(panda.into_workspace(TIPS[:50] + 0.01))
    for ticks, seconds in ((1, arms.LAG_S), (4, arms.LAG_S / 4)):
        left = goal - moving(start, goal, ticks, seconds)[-1]
        np.testing.assert_allclose(left, (goal - start) * np.exp(-1), rtol=0, atol=1e-12)
    np.testing.assert_allclose(moving(start, goal, 40)[-1], goal, rtol=0, atol=1e-9)


def test_the_tip_is_never_faster_than_allowed_and_far_ways_come_to_their_end() -> None:
    start, goal = panda.joints_for(TIPS[:500]), panda.joints_for(TIPS[500:1000])
    way = moving(start, goal, 60)
    tips = panda.tips_of(way)
    speeds = np.linalg.norm(np.diff(tips, axis=0), axis=-1) / 0.05
    assert speeds.max() <= arms.FASTEST_M_S * (1 + 1e-4) and (speeds.max(axis=0) > 0.55).mean() > 0.5
    assert (np.abs(np.diff(way, axis=0)) <= panda.FASTEST * 0.05 + 1e-12).all()
    np.testing.assert_allclose(way[-1], goal, rtol=0, atol=1e-6)
    assert tips[..., 2].min() > 0.05, "the table"
    assert np.linalg.norm(tips - panda.into_workspace(tips), axis=-1).max() < arms.REACH_BEYOND_M


def test_commands_beyond_the_limits_are_cut_to_them() -> None:
    start = panda.joints_for(TIPS[:200])
    wild = RNG.uniform(-4, 4, (200, 7))
    accepted = arms.within_limits(wild)
    assert (accepted >= panda.LOWER).all() and (accepted <= panda.UPPER).all()
    assert panda.is_inside(panda.tips_of(accepted), arms.REACH_BEYOND_M + 1e-6).all()
    way = moving(start, wild, 400)  # tips may have to go around
    np.testing.assert_allclose(way[-1], accepted, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(arms.within_limits(start), start)  # those within are taken as they are


def test_an_arm_that_is_not_commanded_stays() -> None:
    group = arms.Arms(panda.joints_for(TIPS[:3]))
    before = group.joints
    group.advance(1.0)
    np.testing.assert_array_equal(group.joints, before)


def test_the_asset_is_what_its_page_says() -> None:
    page = (panda.ASSETS / "README.md").read_text(encoding="utf-8")
    assert "were changed" in page and "Apache License 2.0" in page and "tools/make_panda_asset.py" in page
    assert "Apache License" in (panda.ASSETS / "LICENSE").read_text(encoding="utf-8")
    coarse, fine = surface(False), surface(True)
    assert [len(found.parts) for found in (coarse, fine)] == [11, 11]
    for few, many in zip(coarse.parts, fine.parts, strict=True):
        np.testing.assert_array_equal(few.points, many.points[: len(few.points)])
        assert len(few.points) < len(many.points) and few.first_few == many.first_few
        np.testing.assert_allclose(np.linalg.norm(many.normals, axis=-1), 1, rtol=0, atol=1e-6)
    for found, spacing in ((coarse, 5.3e-3), (fine, 3.7e-3)):
        points, normals = found.parts[4].points[:, 0], found.parts[4].normals[:, 0]
        apart = np.linalg.norm(points[:, None] - points[None], axis=-1)
        apart[normals @ normals.T < 0.4] = 1  # the two sides of what is thin
        np.fill_diagonal(apart, 1)
        assert apart.min() > spacing - 2.5e-4, "as rounded"
    assert sum(path.stat().st_size for path in panda.ASSETS.iterdir()) < 300_000
