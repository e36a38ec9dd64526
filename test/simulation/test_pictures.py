"""Pictures of the simulated arm: what is arm, shadow and background, and that it is where the camera sees it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support import panda as other

from vjepa_ros.simulation import panda, scenes
from vjepa_ros.simulation.drawing import Painter

MIDDLE = np.array([0.45, 0.0, 0.30])
SIZES = [64, 256]
NO_SHADOW = replace(scenes.FIXED, shadow=0.0)
BEHIND = replace(scenes.FIXED, target=scenes.EYE + (scenes.EYE - scenes.TARGET) * [1, 1, 0.2])
"""The camera looks away from the arm."""


def drawn(tip: np.ndarray, size: int, scene: scenes.Scene = scenes.FIXED) -> np.ndarray:
    """(size, size, 3), as whole numbers that can be subtracted."""
    return Painter(scene, size).draw(panda.joints_for(tip)).astype(int)


def without_arm(scene: scenes.Scene, size: int) -> np.ndarray:
    """What the scene is with an arm that is nowhere: of its pixels and those of many places of the arm the one that
    most of them have."""
    rng = np.random.default_rng(0)
    pictures = [drawn(panda.random_tips(rng), size, replace(scene, shadow=0.0)) for _ in range(9)]
    return np.median(pictures, axis=0)


def differs(a: np.ndarray, b: np.ndarray, by: int = 6) -> np.ndarray:
    """(size, size), where two pictures are not the same."""
    return np.abs(a - b).max(axis=-1) > by


def pixel_of(point: np.ndarray, size: int, scene: scenes.Scene = scenes.FIXED) -> np.ndarray:
    """Where a point of the world is seen: column and row, by the camera's own axes, written here once more."""
    ahead = (scene.target - scene.eye) / np.linalg.norm(scene.target - scene.eye)
    right = np.cross(ahead, [0, 0, 1])
    right /= np.linalg.norm(right)
    down = np.cross(ahead, right)
    x, y, z = (np.dot(point - scene.eye, axis) for axis in (right, down, ahead))
    return size / 2 * (1 + np.array([x, y]) / z / np.tan(np.radians(scene.field_deg) / 2))


@pytest.mark.parametrize("size", SIZES)
def test_the_same_joints_give_the_same_picture_and_others_another(size: int) -> None:
    painter, joints = Painter(scenes.FIXED, size), panda.joints_for(MIDDLE)
    picture = painter.draw(joints)
    assert picture.shape == (size, size, 3) and picture.dtype == np.uint8
    painter.draw(panda.READY)  # nothing of one picture is left in the next
    np.testing.assert_array_equal(painter.draw(joints), picture)
    np.testing.assert_array_equal(Painter(scenes.FIXED, size).draw(joints), picture)
    assert differs(painter.draw(panda.joints_for(MIDDLE + [0, 0.05, 0])).astype(int), picture.astype(int)).mean() > 0.02


@pytest.mark.parametrize("size", SIZES)
def test_what_moves_is_seen_where_it_moves(size: int) -> None:
    """What is new in a picture are the hand at its new place and the shadow below it."""
    for tip in (MIDDLE, np.array([0.55, 0.25, 0.12]), np.array([0.38, -0.28, 0.45])):
        hand = panda.kinematics("panda_hand").frames(panda.joints_for(tip))[-1, :3, 3]
        empty = without_arm(NO_SHADOW, size)
        arm = differs(drawn(tip, size, NO_SHADOW), empty)
        column, row = pixel_of(hand + [0, 0, -0.03], size).astype(int)
        assert arm[row, column], "the hand"
        for number in range(8):  # every joint is inside of the arm
            place = panda.kinematics("panda_hand").frames(panda.joints_for(tip))[number, :3, 3]
            column, row = pixel_of(place, size).astype(int)
            assert arm[row - 1 : row + 2, column - 1 : column + 2].any(), number
        assert not arm[0].any() and not arm[-1, 0]
    assert 0.04 < arm.mean() < 0.25


@pytest.mark.parametrize("size", SIZES)
def test_the_shadow_lies_on_the_table_away_from_the_light(size: int) -> None:
    lit, shaded = (drawn(MIDDLE, size, scene) for scene in (NO_SHADOW, scenes.FIXED))
    shadow = (lit - shaded).min(axis=-1) > 12
    assert (lit >= shaded - 1).all(), "it only makes darker"
    light = scenes.FIXED.light
    hand = panda.kinematics("panda_hand").frames(panda.joints_for(MIDDLE))[-1, :3, 3]
    column, row = pixel_of(hand - light * (hand[2] / light[2]), size).astype(int)
    assert shadow[row, column]
    assert not shadow[: size // 3].any(), "none on the wall"
    low, high = (
        np.argwhere((drawn(tip, size, NO_SHADOW) - drawn(tip, size)).min(axis=-1) > 12).mean(axis=0)
        for tip in (MIDDLE - [0, 0, 0.2], MIDDLE + [0, 0, 0.15])
    )
    assert np.abs(low - high).max() > size / 50, "it says how high the arm is"


@pytest.mark.parametrize("size", SIZES)
def test_nothing_but_background_where_there_is_no_arm(size: int) -> None:
    one, two = (drawn(tip, size, BEHIND) for tip in (MIDDLE, np.array([0.55, 0.25, 0.12])))
    np.testing.assert_array_equal(one, two)
    beside = drawn(MIDDLE, size), drawn(MIDDLE - [0.1, 0.1, 0.05], size)
    left = slice(None), slice(0, size // 8)
    np.testing.assert_array_equal(beside[0][left], beside[1][left])


@pytest.mark.parametrize("size", SIZES)
def test_the_arm_has_no_holes(size: int) -> None:
    """Hardly a pixel of background is surrounded by arm: one where two parts touch, in ten pictures."""
    rng = np.random.default_rng(3)
    magenta = replace(NO_SHADOW, **dict.fromkeys(("table", "wall", "floor"), np.array([1.0, 0.0, 1.0])))
    painter, holes = Painter(magenta, size), 0
    for _ in range(20):
        picture = painter.draw(panda.joints_for(panda.random_tips(rng))).astype(int)
        empty = (picture[..., 0] - picture[..., 1]) > 60
        shifts = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]
        surrounded = np.all([~np.roll(empty, shift, (0, 1)) for shift in shifts], axis=0)
        assert 0.8 < empty.mean() < 0.97
        holes += int((empty & surrounded).sum())
    assert holes <= 4


def test_the_light_side_is_lighter_and_nearer_parts_hide_others() -> None:
    from_left, from_right = (
        drawn(MIDDLE, 256, replace(NO_SHADOW, light=np.array([x, y, 0.4]) / np.linalg.norm([x, y, 0.4])))
        for x, y in ((0.3, -0.9), (-0.6, 0.7))
    )
    arm = differs(from_left, without_arm(NO_SHADOW, 256), 15)
    assert np.abs(from_left[arm].mean() - from_right[arm].mean()) > 5
    # Folded towards the camera the hand stands before the rest of the arm: the dark ring of its fingers is not seen
    # through, and a point of the base behind it is not either.
    joints = panda.joints_for(np.array([0.6, 0.1, 0.45]))
    near = Painter(NO_SHADOW, 256).draw(joints)
    hand = other.transform(joints)[:3, 3]
    column, row = pixel_of(hand + [0, 0, -0.03], 256).astype(int)
    assert near[row - 2 : row + 3, column - 2 : column + 3].std(axis=(0, 1)).max() < 60


def test_fingers_open_and_close() -> None:
    painter, joints = Painter(scenes.FIXED, 256), panda.joints_for(np.array([0.6, 0.2, 0.3]))
    wide, closed = painter.draw(joints).astype(int), painter.draw(joints, 0.0).astype(int)
    np.testing.assert_array_equal(painter.draw(joints, panda.OPEN_M), wide)
    changed = np.argwhere(differs(wide, closed))
    tip = pixel_of(panda.tips_of(joints), 256)[::-1]
    assert 50 < len(changed) < 1000, "fingers and their shadow"
    assert np.linalg.norm(np.median(changed, axis=0) - tip) < 30


def test_scenes_vary_as_far_as_they_say() -> None:
    assert scenes.scene("fixed", np.random.default_rng(1)) is scenes.FIXED
    for variation, eye_m, field_deg in (("varied", 0.01, 0.0), ("wide", 0.04, 1.0)):
        found = [scenes.scene(variation, np.random.default_rng(seed)) for seed in range(300)]
        off = np.array([scene.eye - scenes.EYE for scene in found])
        assert 0.95 * eye_m < np.abs(off).max() <= eye_m
        fields = np.array([scene.field_deg for scene in found]) - scenes.FIELD_DEG
        assert 0.95 * field_deg <= np.abs(fields).max() <= field_deg
        for scene in found:
            assert abs(np.linalg.norm(scene.light) - 1) < 1e-12 and scene.light[2] > 0.5
            colours = np.concatenate([scene.table, scene.wall, scene.floor, scene.tint])
            assert colours.min() >= 0 and colours.max() <= 1
        again = scenes.scene(variation, np.random.default_rng(7))
        np.testing.assert_array_equal(again.table, found[7].table)
        assert len({tuple(scene.table) for scene in found}) == 300
