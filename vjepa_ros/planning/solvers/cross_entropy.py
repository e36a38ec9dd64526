"""The cross-entropy method, as V-JEPA 2-AC plans with it: draw around a mean, keep the best, move there."""

from __future__ import annotations

import numpy as np

from vjepa_ros.planning.solvers.search import Array, Options, Problem


class CrossEntropy:
    """Candidates are normal around a mean; the elites' mean and standard deviation become the next ones.

    Mean and standard deviation move by momentum, as in the V-JEPA 2 paper (https://arxiv.org/abs/2506.09985) and its
    public code: new = (1 - momentum) of the elites' + momentum of the old one, the elites' standard deviation with
    Bessel's correction. The plan is the last mean.

    Args:
        problem, options, rng: as for every :class:`~vjepa_ros.planning.solvers.search.Solver`.
    """

    def __init__(self, problem: Problem, options: Options, rng: np.random.Generator) -> None:
        self.problem, self.options, self._rng = problem, options, rng
        self.mean, self.std = problem.mean.copy(), problem.std.copy()

    def draw(self, iteration: int) -> Array:
        """(K, H, A), some of them the warm ones in the first iteration."""
        drawn = self.mean + self.std * self.noise(self.options.samples_of(iteration))
        others = self.others(iteration)[: len(drawn)]
        drawn[len(drawn) - len(others) :] = others
        return self.problem.within(drawn)

    def noise(self, samples: int) -> Array:
        """(K, H, A) of standard deviation 1."""
        return np.asarray(self._rng.standard_normal((samples, *self.mean.shape)), np.float64)

    def others(self, iteration: int) -> Array:
        """(n, H, A) candidates that take the place of drawn ones."""
        return self.problem.warm.reshape(-1, *self.mean.shape) if iteration == 0 else np.empty((0, *self.mean.shape))

    def learn(self, candidates: Array, costs: Array) -> None:
        """Move mean and standard deviation towards the elites'."""
        options = self.options
        elites = candidates[np.argsort(costs, kind="stable")[: options.elites]]
        spread = elites.std(axis=0, ddof=1) if len(elites) > 1 else np.zeros_like(self.std)
        mean_stays, std_stays = np.asarray(options.momentum_mean), np.asarray(options.momentum_std)
        self.mean = (1 - mean_stays) * elites.mean(axis=0) + mean_stays * self.mean
        self.std = np.maximum((1 - std_stays) * spread + std_stays * self.std, options.min_std)
        self.std = np.where(self.problem.free, self.std, 0.0)

    @property
    def plan(self) -> Array:
        """(H, A) the mean."""
        plan: Array = self.problem.within(self.mean[None])[0]
        return plan
