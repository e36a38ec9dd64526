"""Rotations as quaternions and as turns: there and back, everywhere."""

from __future__ import annotations

import numpy as np
import pytest

from vjepa_ros.geometry import matrix_quaternion, quaternion_matrix, rotation_matrix, turn_between

CASES = [np.random.default_rng(seed).uniform(-np.pi, np.pi, 3) for seed in range(40)]
HALF_TURNS = [np.array(angles) * np.pi for angles in ([1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0])]


@pytest.mark.parametrize("angles", [*CASES, *HALF_TURNS], ids=lambda a: str(np.round(a, 2)))
def test_a_matrix_is_its_quaternions(angles: np.ndarray) -> None:
    matrix = rotation_matrix(angles)
    quaternion = matrix_quaternion(matrix)
    assert np.linalg.norm(quaternion) == pytest.approx(1) and quaternion[3] >= 0
    np.testing.assert_allclose(quaternion_matrix(quaternion), matrix, atol=1e-12)


def test_a_turn_is_an_angle_about_an_axis_of_the_base() -> None:
    start = rotation_matrix(np.array([0.3, -0.5, 1.0]))
    for axis in np.eye(3):
        end = rotation_matrix(axis * 0.7) @ start
        np.testing.assert_allclose(turn_between(start, end), axis * 0.7, atol=1e-12)
    np.testing.assert_array_equal(turn_between(start, start).round(12), 0)
    small = turn_between(np.eye(3), rotation_matrix(np.array([0, 0, 1e-9])))
    np.testing.assert_allclose(small, [0, 0, 1e-9], rtol=1e-6)
