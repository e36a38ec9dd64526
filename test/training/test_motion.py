"""What motion lies between two steps, of every kind of action, and in which units."""

from __future__ import annotations

import numpy as np
import pytest

from vjepa_ros.geometry import Vector, pose_delta
from vjepa_ros.training.motion import Motion, motion_of, path_of
from vjepa_ros.training.runs import Run

GENERATOR = np.random.default_rng(0)
STEPS = 9


def run_of(actions: Vector) -> Run:
    last = np.zeros((1, actions.shape[1]))
    stamps = np.arange(len(actions) + 1, dtype=np.int64)
    return Run(0, 0, stamps, np.concatenate([actions, last]), np.zeros((len(actions) + 1, 1)))


def motions(actions: Vector, effect: str, pairs: list[tuple[int, int]], unit: Vector | None = None) -> Vector:
    path = path_of(run_of(actions), effect)
    motion = Motion(effect, np.ones(actions.shape[1]) if unit is None else unit)
    at = [path.places[step - path.first] for pair in pairs for step in pair]
    return motion.between(np.array(at[0::2]), np.array(at[1::2]))


def test_deltas_add_up() -> None:
    actions = GENERATOR.normal(size=(STEPS - 1, 3))
    found = motions(actions, "delta", [(0, 1), (2, 7), (0, 8)])
    np.testing.assert_allclose(found, [actions[0], actions[2:7].sum(0), actions.sum(0)], atol=1e-12)


def test_targets_differ_by_where_they_led() -> None:
    """Action m leads from step m to m+1: step 3 is where action 2 led to, and nothing says where step 0 was."""
    targets = GENERATOR.normal(size=(STEPS - 1, 3))
    path = path_of(run_of(targets), "target")
    assert path.first == 1 and len(path.places) == STEPS - 1
    found = motions(targets, "target", [(1, 2), (3, 8)])
    np.testing.assert_allclose(found, [targets[1] - targets[0], targets[7] - targets[2]], atol=1e-12)


def test_poses_are_composed() -> None:
    """The poses of a robot, as differences between steps, give the difference between any two of its poses back."""
    poses = np.concatenate(
        [GENERATOR.normal(size=(STEPS, 3)), GENERATOR.uniform(-1, 1, (STEPS, 3)), GENERATOR.uniform(0, 1, (STEPS, 1))],
        1,
    )
    actions = pose_delta(poses[:-1], poses[1:])
    found = motions(actions, "pose", [(0, 1), (2, 7), (0, 8)])
    # Where the run began is not known, and takes nothing away: R_j R_i^T is the same from anywhere.
    wanted = pose_delta(poses[[0, 2, 0]], poses[[1, 7, 8]])
    np.testing.assert_allclose(found, wanted, atol=1e-9)


def test_units_are_the_datas_own() -> None:
    """Two steps at random are 1 apart, whatever the units; what hardly moves does not count as much."""
    lengths = []
    for scale in (np.array([1.0, 1.0, 1.0]), np.array([1000.0, 0.7, 1.0])):
        walks = [GENERATOR.normal(size=(40, 3)) * scale for _ in range(20)]
        paths = [path_of(run_of(actions), "delta") for actions in walks]
        motion = motion_of(paths, "delta", seed=0)
        pairs = [np.array(GENERATOR.choice(41, 2, replace=False)) for _ in range(400)]
        all_of = [path.places[pair] for path in paths for pair in pairs]
        found = Motion.length(motion.between(np.array([a for a, _ in all_of]), np.array([b for _, b in all_of])))
        lengths.append(np.sqrt(np.square(found).mean()))
        assert motion.unit[0] >= motion.unit[2] * 0.5
    assert lengths[0] == pytest.approx(1, abs=0.1)
    # In the second world two of three dimensions move by less than a tenth of the first, and count for less.
    assert 0.5 < lengths[1] < 0.65


def test_what_never_moves_has_a_unit() -> None:
    motion = motion_of([path_of(run_of(np.zeros((5, 2))), "delta")], "delta", seed=0)
    assert motion.unit.tolist() == [1.0, 1.0]
