"""Forward kinematics against poses worked out by hand, a second implementation, and pinocchio's own reader of URDF."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pinocchio
import pytest
from support import panda

from vjepa_ros.errors import ConfigError
from vjepa_ros.geometry import rotation_matrix
from vjepa_ros.kinematics.forward import Kinematics, load_pinocchio
from vjepa_ros.kinematics.urdf import Joint, read_chain

PI = np.pi
NOTHING = (0.0, 0.0, 0.0)


def of_panda(base: str = "panda_link0", tip: str = "panda_hand") -> Kinematics:
    return Kinematics(read_chain(panda.URDF, base, tip))


@pytest.mark.parametrize(
    ("positions", "expected"),
    [
        # Stretched upwards: 0.333 + 0.316 + 0.384 up, 0.088 forwards, 0.107 down again; the flange looks down.
        ([0, 0, 0, 0, 0, 0, 0], [0.088, 0, 0.926, PI, 0, 0]),
        # The whole arm turned about the vertical.
        ([PI / 2, 0, 0, 0, 0, 0, 0], [0, 0.088, 0.926, PI, 0, PI / 2]),
        # Stretched forwards from the shoulder at 0.333: what was up is forwards, what was forwards is down. That is a
        # turn about the fixed y after the one about x that makes the flange look down.
        ([0, PI / 2, 0, 0, 0, 0, 0], [0.593, 0, 0.245, PI, PI / 2, 0]),
        # The elbow, 0.0825 forwards at 0.649, bent forwards by a right angle: the forearm's 0.384 ahead of it, its
        # offset of 0.0825 back to the line now up, the wrist's 0.088 down, the flange's 0.107 back.
        ([0, 0, 0, -PI / 2, 0, 0, 0], [0.0825 + 0.384 - 0.107, 0, 0.649 + 0.0825 - 0.088, PI, PI / 2, 0]),
        # The last joint turns about the flange's axis, which looks down.
        ([0, 0, 0, 0, 0, 0, PI / 2], [0.088, 0, 0.926, PI, 0, -PI / 2]),
    ],
)
def test_poses_of_the_flange_worked_out_by_hand(positions: list[float], expected: list[float]) -> None:
    pose = of_panda(tip="panda_link8").pose(np.array(positions, np.float64))
    np.testing.assert_allclose(pose[:3], expected[:3], rtol=0, atol=1e-12)
    wanted = rotation_matrix(np.array(expected[3:]))  # pi is -pi, and at a pitch of pi / 2 many angles are the same
    np.testing.assert_allclose(rotation_matrix(pose[3:]), wanted, rtol=0, atol=1e-12)


def test_the_hand_is_turned_against_the_flange() -> None:
    pose = of_panda().pose(np.zeros(7))
    np.testing.assert_allclose(pose[:3], [0.088, 0, 0.926], rtol=0, atol=1e-12)
    np.testing.assert_allclose([abs(pose[3]), *pose[4:]], [PI, 0, PI / 4], rtol=0, atol=1e-12)


def test_it_equals_a_second_implementation_and_pinocchios_own_reader() -> None:
    """By Denavit-Hartenberg parameters, and from the whole description, mesh references and fingers included."""
    ours = of_panda()
    assert ours.joint_names == tuple(f"panda_joint{n}" for n in range(1, 8))
    model = pinocchio.buildModelFromXML(panda.URDF)
    data, hand = model.createData(), model.getFrameId("panda_hand")
    for arm in np.random.default_rng(0).uniform(-2.8, 2.8, (200, 7)):
        pose = ours.pose(arm)
        np.testing.assert_allclose(pose, panda.pose(arm), rtol=0, atol=1e-9)
        positions = pinocchio.neutral(model)
        positions[:7] = arm
        pinocchio.framesForwardKinematics(model, data, positions)
        np.testing.assert_allclose(pose[:3], data.oMf[hand].translation, rtol=0, atol=1e-12)
        np.testing.assert_allclose(rotation_matrix(pose[3:]), data.oMf[hand].rotation, rtol=0, atol=1e-12)


def test_a_base_further_up_is_where_poses_count_from() -> None:
    arm = np.random.default_rng(1).uniform(-2, 2, 7)
    below, above, whole = of_panda(tip="panda_link4"), of_panda("panda_link4"), of_panda()
    assert (below.joint_names + above.joint_names) == whole.joint_names
    first, second, both = below.pose(arm[:4]), above.pose(arm[4:]), whole.pose(arm)
    r = rotation_matrix(first[3:])
    np.testing.assert_allclose(both[:3], first[:3] + r @ second[:3], rtol=0, atol=1e-12)
    np.testing.assert_allclose(rotation_matrix(both[3:]), r @ rotation_matrix(second[3:]), rtol=0, atol=1e-12)


def test_what_slides_and_axes_of_any_direction() -> None:
    diagonal = (0.6, 0.0, 0.8)
    slides = Kinematics([Joint("s", "prismatic", (1, 0, 0), (0, 0, PI / 2), diagonal)])
    np.testing.assert_allclose(slides.pose(np.array([0.5])), [1, 0.3, 0.4, 0, 0, PI / 2], rtol=0, atol=1e-12)
    # Half a turn about it swaps what is along it: the point (1, 0, 0) goes to 2 (a.p) a - p.
    turns = Kinematics(
        [Joint("t", "revolute", NOTHING, NOTHING, diagonal), Joint("f", "fixed", (1, 0, 0), NOTHING, diagonal)]
    )
    np.testing.assert_allclose(turns.pose(np.array([PI]))[:3], [-0.28, 0, 0.96], rtol=0, atol=1e-12)


def test_without_pinocchio_the_way_to_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pinocchio", None)
    with pytest.raises(ConfigError, match="forward_kinematics needs pinocchio.*ros-jazzy-pinocchio.*pip install pin"):
        load_pinocchio()


def test_another_package_of_that_name_is_not_taken_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    other = ModuleType("pinocchio")
    other.__file__ = "/somewhere/pinocchio/__init__.py"
    monkeypatch.setitem(sys.modules, "pinocchio", other)
    with pytest.raises(ConfigError, match="/somewhere/pinocchio/__init__.py is another package named pinocchio"):
        load_pinocchio()
