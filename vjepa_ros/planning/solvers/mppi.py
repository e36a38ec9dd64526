"""MPPI, model predictive path integral control (Williams et al., 2017, https://arxiv.org/abs/1707.02342).

The plan is a weighted mean: every candidate counts, by the exponential of its cost.
"""

from __future__ import annotations

import numpy as np

from vjepa_ros.planning.solvers.cross_entropy import CrossEntropy
from vjepa_ros.planning.solvers.search import Array


class PathIntegral(CrossEntropy):
    """The next mean is that of all candidates, weighted by exp(-(cost - lowest cost) / lambda).

    Energies have no unit, and their spread depends on the model: so lambda is ``temperature`` times the standard
    deviation of the candidates' costs. That of the candidates stays what it was.

    Args:
        problem, options, rng: as for every :class:`~vjepa_ros.planning.solvers.search.Solver`.
    """

    def learn(self, candidates: Array, costs: Array) -> None:
        """Move the mean."""
        above, spread = costs - costs.min(), float(costs.std())
        weights = np.exp(-above / (self.options.temperature * spread)) if spread > 0 else np.ones_like(costs)
        weighted = np.tensordot(weights / weights.sum(), candidates, axes=1)  # (H, A)
        stays = np.asarray(self.options.momentum_mean)
        self.mean = (1 - stays) * weighted + stays * self.mean
