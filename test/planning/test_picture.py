"""The picture of a plan: a goal beside a forecast, alike where they are."""

from __future__ import annotations

import numpy as np

from vjepa_ros.planning.picture import beside


def test_the_goal_is_on_the_left_and_what_is_alike_has_one_colour() -> None:
    rng = np.random.default_rng(0)
    goal = rng.normal(size=(6, 32)).astype(np.float32)
    forecast = goal.copy()
    forecast[5] += 3.0
    picture = beside(goal, forecast, 2, 3)
    assert picture.shape == (32, 48 + 8 + 48, 3) and picture.dtype == np.uint8
    left, right = picture[:, :48], picture[:, 56:]
    np.testing.assert_array_equal(left[:16], right[:16])
    np.testing.assert_array_equal(left[16:, :32], right[16:, :32])
    assert np.abs(left[16:, 32:].astype(int) - right[16:, 32:]).max() > 50
    assert len(np.unique(left[::16, ::16].reshape(-1, 3), axis=0)) > 3


def test_latents_that_are_all_the_same_make_a_picture_too() -> None:
    same = np.ones((4, 8), np.float32)
    assert np.isfinite(beside(same, same, 2, 2)).all()
