"""The versions of URDF: rotations as quaternions and capsules, which 1.1 has and 1.0 has not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vjepa_ros.errors import InputError, quoted
from vjepa_ros.geometry import rotation_matrix
from vjepa_ros.kinematics.forward import Kinematics
from vjepa_ros.kinematics.urdf import ignored_rotations, read_chain

HALF = math.sqrt(0.5)


SIDEWAYS = 'xyz="0.1 0 0" quat_xyzw="0.5 0.5 0.5 0.5"'


def robot(origin: str, version: str | None = "1.2", link: str = "") -> str:
    of_version = "" if version is None else f' version="{version}"'
    return (
        f'<robot name="r"{of_version}><link name="base">{link}</link><link name="tip"/>'
        f'<joint name="j" type="revolute"><parent link="base"/><child link="tip"/><origin {origin}/>'
        '<axis xyz="0 0 1"/><limit lower="-1" upper="1" effort="1" velocity="1"/></joint></robot>'
    )


def pose(origin: str, position: float = 0.3, version: str | None = "1.2") -> np.ndarray:
    return Kinematics(read_chain(robot(origin, version), "base", "tip")).pose(np.array([position]))


@pytest.mark.parametrize("version", ["1.1", "1.2", " 1.1", "01.1"])
def test_since_1_1_a_quaternion_is_the_rotation(version: str) -> None:
    by_angles = pose(f'xyz="0.1 0 0" rpy="{math.pi / 2} 0 {math.pi / 2}"', version=version)
    np.testing.assert_allclose(pose(SIDEWAYS, version=version), by_angles, rtol=0, atol=1e-12)
    assert ignored_rotations(robot(SIDEWAYS, version), "base", "tip") == ""


@pytest.mark.parametrize("version", [None, "1.0"])
@pytest.mark.parametrize("angles", ["", ' rpy="0 0.2 0"'])
def test_in_1_0_a_quaternion_is_ignored_whatever_it_says(version: str | None, angles: str) -> None:
    expected = pose(f'xyz="0.1 0 0"{angles}', version=version)
    for quaternion in (SIDEWAYS, 'xyz="0.1 0 0" quat_xyzw="no"'):
        assert pose(quaternion + angles, version=version).tolist() == expected.tolist()
        assert ignored_rotations(robot(quaternion + angles, version), "base", "tip") == (
            "quat_xyzw of joint 'j' is ignored: it needs <robot version=\"1.1\">, and this is 1.0"
        )
    assert ignored_rotations(robot('xyz="0.1 0 0"', version), "base", "tip") == ""


@pytest.mark.parametrize("version", ["", "1", "1.", "1.0.0", "one", "1.0~pre6", "-1.0", "0.9", "1.3", "2.0"])
def test_other_versions_are_refused(version: str) -> None:
    with pytest.raises(InputError) as refused:
        read_chain(robot(SIDEWAYS, version), "base", "tip")
    said = f"its version is {quoted(version)}; those that are read are 1.0, 1.1, 1.2"
    assert (refused.value.reason, refused.value.detail) == ("bad_description", said)


def test_all_of_it_as_urdfdom_reads_it() -> None:
    """Version by version, the pose or a refusal, by pinocchio, which reads descriptions with urdfdom 6.0 or newer."""
    pinocchio = pytest.importorskip("pinocchio")

    def by_urdfdom(text: str) -> np.ndarray | None:
        try:
            return np.array(pinocchio.buildModelFromXML(text).jointPlacements[1].rotation)
        except ValueError:
            return None

    def ours(text: str) -> np.ndarray | None:
        try:
            return rotation_matrix(Kinematics(read_chain(text, "base", "tip")).pose(np.zeros(1))[3:])
        except InputError:
            return None

    if by_urdfdom(robot(SIDEWAYS)) is None:
        return  # an older one, which knows 1.0 alone
    for version in (None, "1.0", "1.1", "1.2", "1.3", "2.0", "1", "0.9", " 1.1", "01.1", "1.0.0", ""):
        for origin in (SIDEWAYS, f'{SIDEWAYS} rpy="0 0.2 0"', 'rpy="0.1 0.2 0.3"'):
            wanted, found = by_urdfdom(robot(origin, version)), ours(robot(origin, version))
            assert (wanted is None) == (found is None), (version, origin)
            if wanted is not None and found is not None:
                np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-9, err_msg=f"{version} {origin}")


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
    for version in ("1.0", "1.1", "1.2"):
        chain = read_chain(robot('xyz="0 0 1"', version, shape), "base", "tip")
        assert chain == read_chain(robot('xyz="0 0 1"', "1.0"), "base", "tip")
