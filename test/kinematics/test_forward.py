"""Forward kinematics against poses worked out by hand, second implementations, and pinocchio where it is installed."""

from __future__ import annotations

import warnings
from typing import Any, get_args

import numpy as np
import pytest
from support import panda

from vjepa_ros.geometry import rotation_matrix
from vjepa_ros.kinematics.forward import Kinematics
from vjepa_ros.kinematics.urdf import Joint, JointKind, read_chain

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


def assert_equal(ours: Kinematics, positions: np.ndarray, translation: Any, rotation: Any, atol: float) -> None:
    """The tip is there. At a pitch of pi / 2 many angles say the same, and none says it better than to 1e-8."""
    tip, pose = ours.transform(positions), ours.pose(positions)
    np.testing.assert_allclose(tip[:3, 3], translation, rtol=0, atol=atol)
    np.testing.assert_allclose(tip[:3, :3], rotation, rtol=0, atol=atol)
    np.testing.assert_array_equal(tip[3], [0, 0, 0, 1])
    np.testing.assert_array_equal(pose[:3], tip[:3, 3])
    away = abs(tip[2, 0]) < 0.999
    np.testing.assert_allclose(rotation_matrix(pose[3:]), rotation, rtol=0, atol=atol if away else 1e-7)


def arms(count: int = 200) -> np.ndarray:
    return np.random.default_rng(0).uniform(-2.8, 2.8, (count, 7))


def test_it_equals_a_second_implementation() -> None:
    """By Denavit-Hartenberg parameters."""
    ours = of_panda()
    assert ours.joint_names == tuple(f"panda_joint{n}" for n in range(1, 8))
    for arm in arms():
        np.testing.assert_allclose(ours.pose(arm), panda.pose(arm), rtol=0, atol=1e-9)


def test_it_equals_pinocchio_which_reads_the_whole_description() -> None:
    """Mesh references and fingers included."""
    pinocchio = pytest.importorskip("pinocchio")
    ours = of_panda()
    model = pinocchio.buildModelFromXML(panda.URDF)
    data, hand = model.createData(), model.getFrameId("panda_hand")
    for arm in arms():
        positions = pinocchio.neutral(model)
        positions[:7] = arm
        pinocchio.framesForwardKinematics(model, data, positions)
        assert_equal(ours, arm, data.oMf[hand].translation, data.oMf[hand].rotation, 1e-12)


def any_chain(rng: np.random.Generator) -> list[Joint]:
    """A chain of 1 to 12 joints of any kind, origin and axis, one of them moving at least."""
    kinds = [*rng.choice(get_args(JointKind), rng.integers(0, 12)), rng.choice(["revolute", "prismatic"])]
    joints = []
    for number, kind in enumerate(rng.permutation(kinds)):
        axis = rng.normal(size=3) if rng.random() < 0.5 else np.eye(3)[rng.integers(3)] * rng.choice([-1, 1])
        quarters, any_angles = rng.integers(-4, 5, 3) * PI / 2, rng.uniform(-4, 4, 3)
        rpy = quarters if rng.random() < 0.5 else any_angles
        x, y, z = axis / np.linalg.norm(axis)
        joints.append(Joint(f"j{number}", str(kind), tuple(rng.uniform(-1, 1, 3)), tuple(rpy), (x, y, z)))
    return joints


def any_positions(rng: np.random.Generator, ours: Kinematics) -> np.ndarray:
    """Ordinary ones, many turns, and quarter turns."""
    count = len(ours.joint_names)
    ordinary, quarters = rng.uniform(-3, 3, count), rng.integers(-9, 10, count) * PI / 2
    return ordinary if rng.random() < 0.7 else quarters


def exponential(matrix: np.ndarray) -> np.ndarray:
    """The matrix exponential by its power series: of a 256th of the matrix, squared eight times."""
    found, term = np.eye(4), np.eye(4)
    for n in range(1, 20):
        term = term @ matrix / 256 / n
        found = found + term
    for _ in range(8):
        found = found @ found
    return found


def by_twists(chain: list[Joint], positions: np.ndarray) -> np.ndarray:
    """(4, 4) of the tip by matrix exponentials of the joints' twists."""
    found, values = np.eye(4), iter(positions)

    def twist(turn: Any, slide: Any) -> np.ndarray:
        (a, b, c), matrix = turn, np.zeros((4, 4))
        matrix[:3, :3] = [[0, -c, b], [c, 0, -a], [-b, a, 0]]
        matrix[:3, 3] = slide
        return exponential(matrix)

    for joint in chain:
        roll, pitch, yaw = joint.rpy
        axis, none = np.array(joint.axis), np.zeros(3)
        found = found @ twist(none, joint.xyz)
        for turn in ((0, 0, yaw), (0, pitch, 0), (roll, 0, 0)):
            found = found @ twist(turn, none)
        if joint.kind == "revolute":
            found = found @ twist(axis * next(values), none)
        elif joint.kind == "prismatic":
            found = found @ twist(none, axis * next(values))
    assert next(values, None) is None
    return found


def test_any_chain_equals_matrix_exponentials() -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        chain = any_chain(rng)
        ours = Kinematics(chain)
        positions = any_positions(rng, ours)
        want = by_twists(chain, positions)
        assert_equal(ours, positions, want[:3, 3], want[:3, :3], 1e-9)


def test_any_chain_equals_pinocchio() -> None:
    pinocchio = pytest.importorskip("pinocchio")
    kinds = {"revolute": pinocchio.JointModelRevoluteUnaligned, "prismatic": pinocchio.JointModelPrismaticUnaligned}
    rng = np.random.default_rng(4)
    for _ in range(500):
        chain = any_chain(rng)
        ours = Kinematics(chain)
        positions = any_positions(rng, ours)
        model, last, placement = pinocchio.Model(), 0, pinocchio.SE3.Identity()
        for joint in chain:
            roll, pitch, yaw = joint.rpy
            turned = pinocchio.rpy.rpyToMatrix(roll, pitch, yaw)
            placement = placement * pinocchio.SE3(turned, np.array(joint.xyz))
            if joint.kind != "fixed":
                kind = kinds[joint.kind](np.array(joint.axis))
                last, placement = model.addJoint(last, kind, placement, joint.name), pinocchio.SE3.Identity()
        data = model.createData()
        pinocchio.forwardKinematics(model, data, positions)
        tip = data.oMi[last] * placement
        assert_equal(ours, positions, tip.translation, tip.rotation, 1e-12)


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


def test_numbers_that_are_too_large_give_a_pose_that_is_not_finite_and_no_warning() -> None:
    huge = [Joint("a", "revolute", (1e308, 0, 0), NOTHING, (0, 0, 1)), Joint("b", "fixed", (1e308, 0, 0), NOTHING,
            (1, 0, 0))]  # fmt: skip
    slides = [Joint("a", "prismatic", NOTHING, NOTHING, (0.6, 0.8, 0)), Joint("b", "prismatic", NOTHING, NOTHING,
              (0.6, 0.8, 0))]  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not np.isfinite(Kinematics(huge).pose(np.zeros(1))).all()
        assert not np.isfinite(Kinematics(slides).pose(np.full(2, 1.7e308))).all()
        assert not np.isfinite(of_panda().pose(np.array([0, 0, np.inf, 0, 0, 0, 0]))).all()
