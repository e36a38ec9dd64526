"""iCEM, the improved cross-entropy method (Pinneri et al., 2020, https://arxiv.org/abs/2008.06389): fewer samples.

Its parts here: noise that is coloured along the steps, so that candidates move on instead of trembling; elites that
stay for the next iteration; the mean as a candidate of the last one; and the best candidate of all as the plan.
"""

from __future__ import annotations

import numpy as np

from vjepa_ros.planning.solvers.cross_entropy import CrossEntropy
from vjepa_ros.planning.solvers.search import Array, Options, Problem


class ImprovedCrossEntropy(CrossEntropy):
    """The cross-entropy method with coloured noise and elites that are kept.

    Args:
        problem, options, rng: as for every :class:`~vjepa_ros.planning.solvers.search.Solver`.
    """

    def __init__(self, problem: Problem, options: Options, rng: np.random.Generator) -> None:
        super().__init__(problem, options, rng)
        self._kept = np.empty((0, *problem.mean.shape))
        self._best: tuple[float, Array] = np.inf, problem.mean

    def noise(self, samples: int) -> Array:
        """(K, H, A) of standard deviation 1, its power over frequency f along the H steps as f ** -noise_colour."""
        return coloured(super().noise(samples), self.options.noise_colour)

    def others(self, iteration: int) -> Array:
        """The warm ones first, then the elites that are kept; the mean joins them in the last iteration."""
        others = super().others(iteration) if iteration == 0 else self._kept
        return np.concatenate([others, self.mean[None]]) if iteration == self.options.iterations - 1 else others

    def learn(self, candidates: Array, costs: Array) -> None:
        """As the cross-entropy method, and remember the best."""
        super().learn(candidates, costs)
        order = np.argsort(costs, kind="stable")
        self._kept = candidates[order[: round(self.options.kept_elites * self.options.elites)]]
        if costs[order[0]] < self._best[0]:
            self._best = float(costs[order[0]]), candidates[order[0]]

    @property
    def plan(self) -> Array:
        """(H, A) the best candidate of all."""
        plan: Array = self.problem.within(self._best[1][None])[0]
        return plan


def coloured(white: Array, exponent: float) -> Array:
    """Normal noise (K, H, A) with another spectrum along H, of standard deviation 1 in expectation.

    Each frequency's amplitude is multiplied by f ** (-exponent / 2) (Timmer and Koenig, 1995); the constant part by
    what the lowest frequency is. Exponent 0 leaves the noise as it is.
    """
    steps = white.shape[1]
    if exponent == 0 or steps == 1:
        return white
    frequencies = np.maximum(np.fft.rfftfreq(steps), 1 / steps)
    gains = frequencies ** (-exponent / 2)
    twice = np.full(len(gains), 2.0)  # each but the constant part and the highest of an even number stands for two
    twice[0] = 1.0
    if steps % 2 == 0:
        twice[-1] = 1.0
    gains /= np.sqrt((twice * gains**2).sum() / steps)
    return np.asarray(np.fft.irfft(np.fft.rfft(white, axis=1) * gains[None, :, None], n=steps, axis=1), np.float64)
