"""Inverse kinematics: poses of the tip in, joint positions out, for any number of robots or candidates at once.

Damped least squares: dq = J^T (J J^T + damping^2 I)^-1 error, and what of the way to a rest position does not move the
tip, (I - J^T (J J^T + damping^2 I)^-1 J) (rest - q). So joints that are free to choose are chosen by the tip alone, not
by the way it came. A row's numbers do not depend on the other rows. It knows no time, no speed and no obstacles.

Source of the formulas: Wampler 1986 (damping), Liegeois 1977 (rest position).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.errors import ShapeError
from vjepa_ros.geometry import Vector
from vjepa_ros.kinematics.forward import Kinematics

_LONGEST_STEP = 0.6  # rad or m of a joint in one iteration: further away the linear picture is none
_LONGEST_WAY_M, _LONGEST_TURN = 0.25, 1.0  # of the tip in one iteration
_NO_TURN = 1e-12


class Solution(NamedTuple):
    """What was found.

    Attributes:
        positions: (..., joints) in rad and m, within the limits.
        error_m: (...,) distance of the tip from where it should be.
        error_rad: (...,) angle between its orientation and the one it should have.
    """

    positions: Vector
    error_m: Vector
    error_rad: Vector


class InverseKinematics:
    """Joint positions for poses of the tip.

    Args:
        kinematics: of the chain that carries the tip.
        lower, upper: (joints,) limits in rad and m.
        rest: (joints,) where joints go as far as the tip leaves it open.
        damping: in m (and rad): larger is slower and calmer near singular positions.
        pull: how much of the way to ``rest`` an iteration goes, 0 to 1.

    Raises:
        ShapeError: where limits or rest are not one number per joint.
    """

    def __init__(
        self,
        kinematics: Kinematics,
        lower: Vector,
        upper: Vector,
        rest: Vector,
        *,
        damping: float = 0.01,
        pull: float = 0.5,
    ) -> None:
        joints = len(kinematics.joint_names)
        self._lower, self._upper, self._rest = (np.asarray(row, np.float64) for row in (lower, upper, rest))
        for row in (self._lower, self._upper, self._rest):
            if row.shape != (joints,):
                raise ShapeError(f"limits and rest are one number for each of {joints} joints, not {row.shape}")
        self._kinematics = kinematics
        self._damping = damping**2 * np.eye(6)
        self._pull = pull

    def jacobian(self, positions: Vector) -> Vector:
        """(..., joints) -> (..., 6, joints): m and rad of the tip, in the base's frame, per rad or m of a joint."""
        return self._jacobian(self._kinematics.frames(positions))

    def _jacobian(self, frames: Vector) -> Vector:
        axes = (frames[..., :-1, :3, :3] @ self._kinematics.axes[:, :, None])[..., 0]  # (..., joints, 3)
        arms = frames[..., -1:, :3, 3] - frames[..., :-1, :3, 3]
        columns = np.empty((*axes.shape[:-1], 6))
        for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):  # the cross product; numpy's own takes three times as long
            columns[..., i] = axes[..., j] * arms[..., k] - axes[..., k] * arms[..., j]
        columns[..., 3:] = axes
        slides = self._kinematics.slides
        if slides.any():
            columns[..., slides, :3], columns[..., slides, 3:] = axes[..., slides, :], 0.0
        return np.swapaxes(columns, -1, -2)

    def solve(self, start: Vector, targets: Vector, iterations: int = 10) -> Solution:
        """Find joint positions.

        Args:
            start: (..., joints) where to begin, in rad and m; the nearer to a solution, the fewer iterations it takes.
            targets: (..., 4, 4) poses of the tip in the base's frame, in m; as many as there are starts.
            iterations: how often a step is made.
        """
        q = self.positions(start, targets, iterations)
        error = _error(self._kinematics.frames(q)[..., -1, :, :], targets)
        return Solution(q, _length(error[..., :3]), _length(error[..., 3:]))

    def positions(self, start: Vector, targets: Vector, iterations: int = 10) -> Vector:
        """(..., joints) in rad and m: :meth:`solve` without how far they are from the targets."""
        lead = np.broadcast_shapes(start.shape[:-1], targets.shape[:-2])
        q = np.broadcast_to(np.clip(start, self._lower, self._upper), (*lead, start.shape[-1]))
        for _ in range(iterations):
            q = np.clip(q + self._step(q, targets), self._lower, self._upper)
        return q

    def _step(self, q: Vector, targets: Vector) -> Vector:
        frames = self._kinematics.frames(q)
        jacobian = self._jacobian(frames)  # (..., 6, joints)
        across = np.swapaxes(jacobian, -1, -2)
        error = _error(frames[..., -1, :, :], targets)
        error = np.concatenate([_cut(error[..., :3], _LONGEST_WAY_M), _cut(error[..., 3:], _LONGEST_TURN)], axis=-1)
        home = self._pull * (self._rest - q)
        # Both formulas at once: home + J^T (J J^T + damping^2 I)^-1 (error - J home).
        wanted = error[..., None] - jacobian @ home[..., None]
        step = home + (across @ _solved(jacobian @ across + self._damping, wanted[..., 0])[..., None])[..., 0]
        return np.clip(step, -_LONGEST_STEP, _LONGEST_STEP)


def _solved(matrices: Vector, right: Vector) -> Vector:
    """(..., n, n) symmetric and positive, (..., n) -> (..., n), what times the matrix is the right side.

    By Cholesky's factors, for all rows at once: numpy's own solver gives other last bits with other numbers of threads.
    """
    count = matrices.shape[-1]
    # Matrices with their right side as one row more, (n + 1, n, ...): what turns a matrix into its factor turns that
    # into the factor's solution.
    work = np.moveaxis(np.concatenate([matrices, right[..., None, :]], axis=-2), (-2, -1), (0, 1)).copy()
    inverse: list[Vector] = []  # of the diagonal
    for k in range(count):
        inverse.append(1.0 / np.sqrt(work[k, k]))
        below = work[k + 1 :, k]
        below *= inverse[k]
        work[k + 1 :, k + 1 :] -= below[:, None] * below[None, :-1]
    found = work[-1].copy()
    for i in reversed(range(count)):
        for k in range(i + 1, count):
            found[i] -= work[k, i] * found[k]
        found[i] *= inverse[i]
    return np.moveaxis(found, 0, -1)


def _error(tip: Vector, targets: Vector) -> Vector:
    """(..., 4, 4) each -> (..., 6): the way in m and the turn as a rotation vector in rad, in the base's frame."""
    turn = targets[..., :3, :3] @ np.swapaxes(tip[..., :3, :3], -1, -2)
    skew = np.stack(
        [
            turn[..., 2, 1] - turn[..., 1, 2],
            turn[..., 0, 2] - turn[..., 2, 0],
            turn[..., 1, 0] - turn[..., 0, 1],
        ],
        axis=-1,
    )  # 2 sin(angle) times the axis
    sine = _length(skew) / 2
    cosine = (turn[..., 0, 0] + turn[..., 1, 1] + turn[..., 2, 2] - 1) / 2
    angle = np.arctan2(sine, cosine)
    factor = np.where(sine > _NO_TURN, angle / np.maximum(2 * sine, 2 * _NO_TURN), 0.5)
    return np.concatenate([targets[..., :3, 3] - tip[..., :3, 3], skew * factor[..., None]], axis=-1)


def _length(vectors: Vector) -> NDArray[np.float64]:
    """(..., 3) -> (...,), summed in one order whatever the number of rows."""
    found: NDArray[np.float64] = np.sqrt(vectors[..., 0] ** 2 + vectors[..., 1] ** 2 + vectors[..., 2] ** 2)
    return found


def _cut(vectors: Vector, longest: float) -> Vector:
    """(..., 3), those that are longer made as long as that."""
    length = _length(vectors)
    found: Vector = vectors * (longest / np.maximum(length, longest))[..., None]
    return found
