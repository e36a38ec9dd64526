"""What motion lies between two steps of a run, whatever its actions are: targets, differences, or poses.

Action m leads from step m to step m+1 (:class:`vjepa_ros.training.runs.Run`). So a run is a path, and what its actions
say of any two of its steps is one difference of places:

* ``delta``: the sum of the actions between them;
* ``target``: the difference of the targets that led to them; nothing leads to the first step, which has no place;
* ``pose``: the actions composed, as the difference of the poses that they lead to.

Lengths have a unit of the data's own: each dimension counts in units of its own usual motion, so that metres, radians
and a gripper's share can be added up, and two steps of a run taken at random are about 1 apart. Numbers in, numbers
out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vjepa_ros.config.reductions import Effect
from vjepa_ros.geometry import Vector, euler_angles, pose_delta, rotation_matrix
from vjepa_ros.training.runs import Run

LEAST_SHARE = 0.1
"""Of the unit of the dimension that moves most: what moves less than this share counts as noise, not as motion."""


@dataclass(frozen=True)
class Path:
    """The places of a run's steps.

    Attributes:
        first: the first step that has one.
        places: (M - first, A), of the steps from there on.
    """

    first: int
    places: Vector


@dataclass(frozen=True)
class Motion:
    """Motions between steps, of actions that all do the same.

    Attributes:
        effect: what an action does.
        unit: (A,) the usual motion of each dimension between two steps of a run.
    """

    effect: Effect
    unit: Vector

    def between(self, start: Vector, end: Vector) -> Vector:
        """(..., A) places -> (..., A) the motions from the one to the other, in units of the data."""
        motion: Vector = _difference(self.effect, start, end) / self.unit
        return motion

    @staticmethod
    def length(motions: Vector) -> Vector:
        """(..., A) motions in units of the data -> (...) their lengths: the root of the mean square."""
        length: Vector = np.sqrt(np.square(motions).mean(axis=-1))
        return length


def path_of(run: Run, effect: Effect) -> Path:
    """The places that a run's actions lead to, from wherever it starts."""
    led = run.actions[:-1]  # the last one's is not known
    if effect == "target":
        return Path(1, led)
    start = np.zeros((1, led.shape[1]))
    if effect == "delta":
        return Path(0, np.concatenate([start, np.cumsum(led, axis=0)]))
    places = np.concatenate([start, np.cumsum(led, axis=0)])
    turned = np.eye(3)
    for step, action in enumerate(led, start=1):  # not by pose_sum, which keeps a gripper within 0 to 1
        turned = rotation_matrix(action[3:6]) @ turned
        places[step, 3:6] = euler_angles(turned)
    return Path(0, places)


def motion_of(paths: Sequence[Path], effect: Effect, seed: int, pairs: int = 4096) -> Motion:
    """The units of some paths, from steps of the same path taken at random.

    Args:
        paths: those of two places or more count, and there must be one.
        effect: what an action does.
        seed: of the choice.
        pairs: how many are looked at.
    """
    long = [path for path in paths if len(path.places) > 1]
    weights = np.array([len(path.places) for path in long], float)
    generator = np.random.default_rng(seed)
    motions = []
    for index in generator.choice(len(long), size=pairs, p=weights / weights.sum()):
        start, end = generator.choice(len(long[index].places), size=2, replace=False)
        motions.append(_difference(effect, long[index].places[start], long[index].places[end]))
    usual = np.sqrt(np.square(motions).mean(axis=0))
    largest = float(usual.max())
    return Motion(effect, np.maximum(usual, LEAST_SHARE * largest) if largest > 0 else np.ones_like(usual))


def _difference(effect: Effect, start: Vector, end: Vector) -> Vector:
    return pose_delta(start, end) if effect == "pose" else end - start
