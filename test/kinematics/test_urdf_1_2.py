"""URDF 1.2: rotations as quaternions, and capsules."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vjepa_ros.errors import InputError
from vjepa_ros.geometry import rotation_matrix
from vjepa_ros.kinematics.forward import Kinematics
from vjepa_ros.kinematics.urdf import read_chain

HALF = math.sqrt(0.5)


def robot(origin: str, version: str = "1.2", link: str = "") -> str:
    return (
        f'<robot name="r" version="{version}"><link name="base">{link}</link><link name="tip"/>'
        f'<joint name="j" type="revolute"><parent link="base"/><child link="tip"/><origin {origin}/>'
        '<axis xyz="0 0 1"/><limit lower="-1" upper="1" effort="1" velocity="1"/></joint></robot>'
    )


def pose(origin: str, position: float = 0.3) -> np.ndarray:
    return Kinematics(read_chain(robot(origin), "base", "tip")).pose(np.array([position]))


@pytest.mark.parametrize(
    ("quaternion", "angles"),
    [
        ("0 0 0 1", (0, 0, 0)),
        (f"{HALF} 0 0 {HALF}", (math.pi / 2, 0, 0)),
        (f"0 0 {HALF} {HALF}", (0, 0, math.pi / 2)),
        (f"0 0 {-HALF} {-HALF}", (0, 0, math.pi / 2)),
        ("0.5 0.5 0.5 0.5", (math.pi / 2, 0, math.pi / 2)),
        ("0.7071 0 0 0.7071", (math.pi / 2, 0, 0)),
    ],
)  # fmt: skip
def test_a_quaternion_is_the_rotation_that_angles_would_be(quaternion: str, angles: tuple[float, ...]) -> None:
    place = 'xyz="0.1 -0.2 0.3"'
    by_quaternion, by_angles = (
        pose(f'{place} quat_xyzw="{quaternion}"'),
        pose(f'{place} rpy="{" ".join(map(str, angles))}"'),
    )
    np.testing.assert_allclose(by_quaternion, by_angles, rtol=0, atol=1e-12)


def test_a_quaternion_where_angles_say_the_same_in_many_ways() -> None:
    """A pitch of 90 degrees: the rotation is the quaternion's, and goes through no angles."""
    found = pose(f'quat_xyzw="0 {HALF} 0 {HALF}"', 0.0)
    np.testing.assert_allclose(rotation_matrix(found[3:]) @ [1, 0, 0], [0, 0, -1], rtol=0, atol=1e-9)
    found = pose(f'quat_xyzw="0 {HALF} 0 {HALF}"', 0.4)
    turned = rotation_matrix(np.array([0, math.pi / 2, 0])) @ rotation_matrix(np.array([0, 0, 0.4]))
    np.testing.assert_allclose(rotation_matrix(found[3:]), turned, rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        ('quat_xyzw="0 0 0"', "joint 'j': its origin '0 0 0' is not four numbers"),
        ('quat_xyzw="0 0 0 one"', "joint 'j': its origin '0 0 0 one' is not four numbers"),
        ('quat_xyzw="0 0 0 nan"', "joint 'j': its origin '0 0 0 nan' is not finite"),
        ('quat_xyzw="0 0 0 0"', "joint 'j': its quat_xyzw has the norm 0, and must have 1"),
        ('quat_xyzw="0 0 1 1"', "joint 'j': its quat_xyzw has the norm 1.41421, and must have 1"),
        ('rpy="0 0 0" quat_xyzw="0 0 0 1"', "joint 'j': its origin has both rpy and quat_xyzw, and must have one"),
    ],
)  # fmt: skip
def test_what_is_no_rotation_is_refused(origin: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        read_chain(robot(origin), "base", "tip")
    assert refused.value.detail == said


def test_capsules_are_shapes_like_others() -> None:
    shape = (
        '<collision><origin quat_xyzw="0 0 0 1"/><geometry><capsule radius="0.1" length="0.4"/></geometry></collision>'
    )
    chain = read_chain(robot('xyz="0 0 1"', link=shape), "base", "tip")
    assert chain == read_chain(robot('xyz="0 0 1"', "1.0"), "base", "tip")
