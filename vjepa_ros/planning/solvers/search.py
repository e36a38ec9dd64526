"""What all solvers share: the problem, the options, and the loop of drawing candidates and hearing their energies.

A solver draws candidates and is told their costs; it never sees a model. The loop can be driven a question at a time,
so that whoever owns the model does other work in between. Arrays in, arrays out; no clock: who drives it may end it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.config.checks import require, require_choice
from vjepa_ros.config.planner_rows import COSTS
from vjepa_ros.errors import InputError, ShapeError

Array = NDArray[Any]
"""Of float64."""
Energies = Callable[[Array], "NDArray[np.floating] | None"]
"""(K, H, A) candidates -> (K, H) energies of each step's forecast; None when the time is up."""


@dataclass(frozen=True)
class Options:
    """How a solver searches.

    Attributes:
        samples: candidates of the first iteration.
        samples_decay: by what factor each iteration has fewer than the one before, but not fewer than twice the elites
            (iCEM's gamma, Pinneri et al., 2020); 1: all have as many.
        elites: the best of them, which the next iteration is drawn around (``cem``, ``icem``).
        iterations: how often candidates are drawn.
        cost: ``last``, the energy of the last step; ``sum``, of all steps; or ``min``, of the step that comes nearest,
            the sooner the better.
        momentum_mean: share of the old mean that stays, one number or one for each dimension of an action.
        momentum_std: share of the old standard deviation that stays, likewise.
        min_std: what the standard deviation does not fall below, in the unit of the actions.
        noise_colour: of ``icem``: spectral exponent of the noise along the steps; 0 is white.
        kept_elites: of ``icem``: share of the elites that goes into the next iteration, and shifted into the next plan.
        temperature: of ``mppi``: in standard deviations of the candidates' costs; small ones follow the best alone.

    Raises:
        ConfigError: for numbers that make no sense, named as the parameters of the node are.
    """

    samples: int = 64
    elites: int = 8
    iterations: int = 4
    cost: str = "last"
    momentum_mean: float | Array = 0.0
    momentum_std: float | Array = 0.0
    min_std: float | Array = 0.0
    noise_colour: float = 2.0
    kept_elites: float = 0.3
    temperature: float = 0.3
    samples_decay: float = 1.0

    def __post_init__(self) -> None:
        for name in ("samples", "elites", "iterations"):
            require(getattr(self, name) >= 1, f"planner.{name}", "must be at least 1")
        require(self.elites <= self.samples, "planner.elites", f"must be at most planner.samples, {self.samples}")
        require_choice(self.cost, "planner.cost", COSTS)
        for name in ("momentum_mean", "momentum_std"):
            values = np.asarray(getattr(self, name))
            require(bool(((values >= 0) & (values < 1)).all()), f"planner.{name}", "must be at least 0 and below 1")
        require(bool((np.asarray(self.min_std) >= 0).all()), "planner.min_std", "must not be negative")
        require(self.noise_colour >= 0, "planner.noise_colour", "must not be negative")
        require(0 <= self.kept_elites <= 1, "planner.kept_elites", "must be from 0 to 1")
        require(self.temperature > 0, "planner.temperature", "must be above 0")
        require(1 <= self.samples_decay < np.inf, "planner.samples_decay", "must be at least 1")

    def samples_of(self, iteration: int) -> int:
        """Candidates of an iteration, counted from 0."""
        fewer = self.samples * self.samples_decay**-iteration
        return min(self.samples, max(round(fewer), 2 * self.elites))


@dataclass(frozen=True)
class Problem:
    """What is to be solved: H actions of A dimensions.

    Attributes:
        mean: (H, A) what the first candidates are drawn around.
        std: (H, A) how widely; 0 keeps an action, or a dimension of it, at its mean: it is frozen, or committed.
        low, high: (A,) or (H, A), what candidates are clipped to; frozen values are not.
        warm: (n, H, A) candidates to try in the first iteration too: those that did well in the last plan, shifted.
    """

    mean: Array
    std: Array
    low: Array
    high: Array
    warm: Array = field(default_factory=lambda: np.empty((0, 0, 0)))

    def __post_init__(self) -> None:
        if self.mean.ndim != 2 or self.std.shape != self.mean.shape:
            raise ShapeError(f"mean of shape {self.mean.shape} and std of shape {self.std.shape}; both are (H, A)")
        for name in ("low", "high"):
            if getattr(self, name).shape not in (self.mean.shape, self.mean.shape[1:]):
                raise ShapeError(f"{name} of shape {getattr(self, name).shape} where {self.mean.shape} is needed")
        if len(self.warm) and self.warm.shape[1:] != self.mean.shape:
            raise ShapeError(f"warm candidates of shape {self.warm.shape} where (n, *{self.mean.shape}) is needed")
        if not all(np.isfinite(values).all() for values in (self.mean, self.std, self.warm)):
            raise InputError("not_finite", "a plan cannot begin from numbers that are not finite")
        if not (np.broadcast_to(self.low, self.mean.shape) <= np.broadcast_to(self.high, self.mean.shape)).all():
            raise InputError("bad_limits", "a lower limit is above its upper one")

    @property
    def free(self) -> NDArray[np.bool_]:
        """(H, A) what may change."""
        return self.std > 0

    def within(self, candidates: Array) -> Array:
        """(K, H, A) candidates inside of the limits, frozen values at their mean."""
        return np.where(self.free, np.clip(candidates, self.low, self.high), self.mean)


@dataclass(frozen=True)
class Solution:
    """What a search has found.

    Attributes:
        actions: (H, A) the plan: what the solver would do, or the best candidate so far where the search was ended.
        energies: (H,) of its steps.
        tried: per iteration (the candidates (K, H, A), their energies (K, H)).
        ended_early: whether it was ended before its last iteration.
    """

    actions: Array
    energies: Array
    tried: tuple[tuple[Array, Array], ...]
    ended_early: bool


class Solver(Protocol):
    """Draws candidates and learns from their costs.

    Args:
        problem: what is to be solved.
        options: how.
        rng: where all chance comes from; ``standard_normal`` is asked for (K, H, A).
    """

    def __init__(self, problem: Problem, options: Options, rng: np.random.Generator) -> None: ...

    def draw(self, iteration: int) -> Array:
        """(K, H, A) the candidates of an iteration, inside of the limits."""

    def learn(self, candidates: Array, costs: Array) -> None:
        """Take note of the costs (K,) of what was drawn last; all are finite."""

    @property
    def plan(self) -> Array:
        """(H, A) what it would do now."""


Search = Generator[Array, "NDArray[np.floating] | None", Solution]
"""Gives candidates (K, H, A) and is sent their energies (K, H), or None to end with what there is."""


_SOONER = 0.1  # what the mean over all steps counts with ``min``: of two that come as near, the sooner one is better
_COSTS: dict[str, Callable[[NDArray[np.floating]], NDArray[np.floating]]] = {
    "last": lambda energies: energies[:, -1],
    "sum": lambda energies: energies.sum(axis=1),
    "min": lambda energies: energies.min(axis=1) + _SOONER * energies.mean(axis=1),
}


def costs_of(energies: NDArray[np.floating], cost: str) -> Array:
    """(K, H) energies -> (K,) what is minimised."""
    return np.asarray(_COSTS[cost](energies), np.float64)


def search(solver: Solver, options: Options, steps: int | None = None) -> Search:
    """Search, a question at a time; the last one is the plan itself.

    Args:
        solver: with the problem.
        options: of the solver.
        steps: that a candidate has energies of; as many as it has actions where nothing is said.

    Raises:
        InputError: ``not_finite`` where no candidate has finite energies, or the plan has none; ``no_time`` where it
            was ended before the first energies came.
    """
    tried: list[tuple[Array, Array]] = []
    best = _Best()
    for iteration in range(options.iterations):
        candidates = solver.draw(iteration)
        answer = yield candidates
        if answer is None:
            return best.solution(tried)
        energies = np.asarray(answer, np.float64)
        needed = len(candidates), steps or candidates.shape[1]
        if energies.shape != needed:
            raise ShapeError(f"energies of shape {energies.shape} where {needed} is needed")
        finite = np.isfinite(energies).all(axis=1)
        if not finite.any():
            raise InputError("not_finite", f"none of {len(energies)} candidates has energies that are finite")
        costs = costs_of(energies[finite], options.cost)
        solver.learn(candidates[finite], costs)
        tried.append((candidates, energies))
        lowest = int(np.argmin(costs))
        if costs[lowest] < best.cost:
            best = _Best(float(costs[lowest]), candidates[finite][lowest], energies[finite][lowest])
    plan = solver.plan
    answer = yield plan[None]
    if answer is None:
        return best.solution(tried)
    if not np.isfinite(answer).all():
        raise InputError("not_finite", "the plan itself has energies that are not finite")
    return Solution(plan, np.asarray(answer[0], np.float64), tuple(tried), ended_early=False)


@dataclass(frozen=True)
class _Best:
    """The candidate that has cost least so far.

    Attributes:
        cost: its cost.
        actions: (H, A) what it does.
        energies: (H,) of its steps.
    """

    cost: float = np.inf
    actions: Array = field(default_factory=lambda: np.empty((0, 0)))
    energies: Array = field(default_factory=lambda: np.empty(0))

    def solution(self, tried: list[tuple[Array, Array]]) -> Solution:
        """It, as the plan of a search that was ended."""
        if not tried:
            raise InputError("no_time", "the search was ended before a candidate was compared with the goal")
        return Solution(self.actions, self.energies, tuple(tried), ended_early=True)


def solve(solver: Solver, options: Options, energies: Energies) -> Solution:
    """Search until the end, or until there is no more time.

    Args:
        solver: with the problem.
        options: of the solver.
        energies: of candidates; None when the time is up.

    Raises:
        InputError: as :func:`search`.
    """
    steps = search(solver, options)
    candidates = next(steps)
    while True:
        try:
            candidates = steps.send(energies(candidates))
        except StopIteration as ended:
            solution: Solution = ended.value
            return solution


def shifted(actions: Array, executed: int) -> Array:
    """(..., H, A) a plan of which some steps were executed: what is left of it, and its last action for the rest."""
    steps = actions.shape[-2]
    order = np.minimum(np.arange(steps) + executed, steps - 1)
    return actions[..., order, :]
