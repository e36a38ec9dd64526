"""End-effector poses: x, y, z in m, extrinsic xyz Euler angles in rad, gripper; and their differences.

Numbers in, numbers out; it knows nothing of time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


def rotation_matrix(angles: Vector) -> Vector:
    """(..., 3) extrinsic xyz Euler angles -> (..., 3, 3): R = Rz(c) Ry(b) Rx(a)."""
    a, b, c = np.moveaxis(angles, -1, 0)
    ca, sa, cb, sb, cc, sc = np.cos(a), np.sin(a), np.cos(b), np.sin(b), np.cos(c), np.sin(c)
    rows = (
        (cb * cc, sa * sb * cc - ca * sc, ca * sb * cc + sa * sc),
        (cb * sc, sa * sb * sc + ca * cc, ca * sb * sc - sa * cc),
        (-sb, sa * cb, ca * cb),
    )
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def euler_angles(matrix: Vector) -> Vector:
    """(..., 3, 3) -> (..., 3) extrinsic xyz Euler angles, the middle one in [-pi/2, pi/2]."""
    a = np.arctan2(matrix[..., 2, 1], matrix[..., 2, 2])
    b = np.arcsin(np.clip(-matrix[..., 2, 0], -1.0, 1.0))
    c = np.arctan2(matrix[..., 1, 0], matrix[..., 0, 0])
    return np.stack([a, b, c], axis=-1)


def quaternion_matrix(quaternion: Vector) -> Vector:
    """(4,) x, y, z, w of norm 1 -> (3, 3)."""
    x, y, z, w = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def pose_delta(start: Vector, end: Vector) -> Vector:
    """The action that leads from one pose to another, (..., 7) each.

    Positions and gripper are subtracted; the rotation is R_end R_start^T, as extrinsic xyz Euler angles: the
    convention of the released V-JEPA 2-AC.
    """
    turn = rotation_matrix(end[..., 3:6]) @ np.swapaxes(rotation_matrix(start[..., 3:6]), -1, -2)
    return np.concatenate([end[..., :3] - start[..., :3], euler_angles(turn), end[..., 6:] - start[..., 6:]], axis=-1)


def pose_sum(start: Vector, action: Vector) -> Vector:
    """The pose that an action leads to, (..., 7) each: :func:`pose_delta` the other way round.

    Positions are added; the rotation is R_action R_start; the gripper is added and kept within 0 to 1: the
    convention of the released V-JEPA 2-AC.
    """
    turned = rotation_matrix(action[..., 3:6]) @ rotation_matrix(start[..., 3:6])
    gripper = np.clip(start[..., 6:] + action[..., 6:], 0.0, 1.0)
    return np.concatenate([start[..., :3] + action[..., :3], euler_angles(turned), gripper], axis=-1)


def matrix_quaternion(matrix: Vector) -> Vector:
    """(3, 3) -> (4,) x, y, z, w of norm 1, w not negative: :func:`quaternion_matrix` the other way round."""
    m = matrix
    # Four ways to the same, each exact but where it divides by nearly nothing: the largest component is divided by.
    products = np.array(
        [
            [1 + m[0, 0] - m[1, 1] - m[2, 2], m[0, 1] + m[1, 0], m[0, 2] + m[2, 0], m[2, 1] - m[1, 2]],
            [m[0, 1] + m[1, 0], 1 - m[0, 0] + m[1, 1] - m[2, 2], m[1, 2] + m[2, 1], m[0, 2] - m[2, 0]],
            [m[0, 2] + m[2, 0], m[1, 2] + m[2, 1], 1 - m[0, 0] - m[1, 1] + m[2, 2], m[1, 0] - m[0, 1]],
            [m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], 1 + m[0, 0] + m[1, 1] + m[2, 2]],
        ]
    )  # 4 times the products of any two components
    best = products[int(np.argmax(np.diag(products)))]
    quaternion: Vector = best / np.linalg.norm(best)
    return -quaternion if quaternion[3] < 0 else quaternion


def turn_between(start: Vector, end: Vector) -> Vector:
    """(3, 3) each -> (3,) the turn from one to the other as a vector, its length the angle in rad, in the base's
    frame."""
    x, y, z, w = matrix_quaternion(end @ start.T)
    sine = float(np.linalg.norm((x, y, z)))
    if sine == 0:
        return np.zeros(3)
    turn: Vector = np.array([x, y, z]) * (2 * np.arctan2(sine, w) / sine)
    return turn
