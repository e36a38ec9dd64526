"""Solvers: against the public code's own run, and on problems whose solution is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.reference import DATA

from vjepa_ros.errors import ConfigError, InputError, ShapeError
from vjepa_ros.planning.solvers import SOLVERS, Options, Problem, Solution, costs_of, search, shifted, solve
from vjepa_ros.planning.solvers.icem import coloured

Array = NDArray[np.float64]
STEPS, DIMS = 3, 2
GOAL = np.array([[0.3, -0.2], [0.1, 0.25], [-0.4, 0.05]])


def towards(goal: Array) -> Callable[[Array], Array]:
    """Energies that grow with the distance to the goal up to each step."""
    return lambda candidates: np.cumsum(np.abs(candidates - goal).sum(axis=2), axis=1)


def problem(std: float | Array = 0.3, limit: float = 1.0, **more: Any) -> Problem:
    spread = np.broadcast_to(np.asarray(std, np.float64), (STEPS, DIMS)).copy()
    return Problem(np.zeros((STEPS, DIMS)), spread, np.full(DIMS, -limit), np.full(DIMS, limit), **more)


def solved(name: str, options: Options, seed: int = 0, given: Problem | None = None) -> Solution:
    solver = SOLVERS[name](problem() if given is None else given, options, np.random.default_rng(seed))
    return solve(solver, options, towards(GOAL))


class Stored:
    """Gives the noise that the public code drew."""

    def __init__(self, noise: Array) -> None:
        self._noise = list(noise)

    def standard_normal(self, shape: tuple[int, ...]) -> Array:
        drawn = np.zeros(shape)
        drawn[..., [0, 1, 2, 6]] = self._noise.pop(0).swapaxes(0, 1)
        return drawn


def test_cross_entropy_gives_the_public_codes_action() -> None:
    with np.load(DATA / "golden.npz") as golden:
        noise, stored, wanted = golden["cem_noise"], list(golden["cem_energies"]), golden["cem_action"]
    limit = 0.075
    std, high = np.zeros((2, 7)), np.zeros(7)
    std[:, :3], std[:, 6] = limit, 1.0
    high[:3], high[6] = limit, 0.75
    momentum_std = np.array([0.75, 0.75, 0.75, 0, 0, 0, 0.15])
    options = Options(samples=25, elites=10, iterations=3, momentum_mean=0.15, momentum_std=momentum_std)
    rng: Any = Stored(noise)
    solver = SOLVERS["cem"](Problem(np.zeros((2, 7)), std, -high, high), options, rng)

    def energies(candidates: Array) -> Array:
        last = stored.pop(0) if stored else np.zeros(1)  # at the end it is asked about the plan itself
        return np.stack([-last, last], axis=1)  # the first step's must not count

    found = solve(solver, options, energies)
    print(f"maximum difference {np.abs(found.actions - wanted[0]).max():.1e}")
    np.testing.assert_allclose(found.actions, wanted[0], rtol=0, atol=1e-6)
    assert len(found.tried) == 3 and not found.ended_early


@pytest.mark.parametrize("name", SOLVERS)
def test_a_known_minimum_is_found(name: str) -> None:
    options = Options(samples=1000, elites=50, iterations=10, cost="sum", noise_colour=0.0)
    found = solved(name, options)
    assert np.abs(found.actions - GOAL).max() < (0.08 if name == "mppi" else 0.02)
    np.testing.assert_allclose(found.energies, towards(GOAL)(found.actions[None])[0])
    first, last = (np.median(energies.sum(axis=1)) for _, energies in (found.tried[0], found.tried[-1]))
    assert last < 0.8 * first


@pytest.mark.parametrize("name", SOLVERS)
def test_the_same_seed_gives_the_same_plan_and_another_one_another(name: str) -> None:
    options = Options(samples=16, elites=4, iterations=2)
    first, again, other = solved(name, options), solved(name, options), solved(name, options, seed=1)
    np.testing.assert_array_equal(first.actions, again.actions)
    assert np.abs(first.actions - other.actions).max() > 1e-6


@pytest.mark.parametrize("name", SOLVERS)
def test_limits_hold_and_frozen_values_stay(name: str) -> None:
    """Committed actions, and dimensions that do not move, are what they were, also outside of the limits."""
    std = np.full((STEPS, DIMS), 0.3)
    std[0], std[:, 1] = 0.0, 0.0
    mean = np.zeros((STEPS, DIMS))
    mean[0] = 5.0
    given = Problem(mean, std, np.array([-0.1, -1.0]), np.array([0.2, 1.0]))
    options = Options(samples=50, elites=5, iterations=4, cost="sum")
    found = solved(name, options, given=given)
    for candidates, _ in [*found.tried, (found.actions[None], None)]:
        assert (candidates[:, 0] == 5.0).all() and (candidates[:, 1:, 1] == 0.0).all()
        assert candidates[:, 1:, 0].min() >= -0.1 and candidates[:, 1:, 0].max() <= 0.2
    assert found.actions[2, 0] < -0.05, "the limit is near the goal"


@pytest.mark.parametrize("cost, wanted", [("last", False), ("sum", True)])
def test_the_cost_is_of_the_last_step_or_of_all(cost: str, wanted: bool) -> None:
    options = Options(samples=100, elites=10, iterations=6, cost=cost)
    solver = SOLVERS["cem"](problem(), options, np.random.default_rng(0))
    found = solve(solver, options, lambda candidates: np.abs(candidates - GOAL).sum(axis=2))
    first_is_near = np.abs(found.actions[0] - GOAL[0]).max() < 0.05
    assert first_is_near == wanted and np.abs(found.actions[2] - GOAL[2]).max() < 0.05


def test_momentum_slows_and_the_least_spread_is_kept() -> None:
    quick = Options(samples=64, elites=8, iterations=1, cost="sum")
    slow = Options(samples=64, elites=8, iterations=1, cost="sum", momentum_mean=0.75)
    np.testing.assert_allclose(solved("cem", slow).actions, 0.25 * solved("cem", quick).actions)
    floor = Options(samples=64, elites=8, iterations=30, cost="sum", min_std=0.05)
    spread = solved("cem", floor).tried[-1][0].std(axis=0)
    assert spread.min() > 0.03
    assert solved("cem", Options(samples=64, elites=8, iterations=30, cost="sum")).tried[-1][0].std(axis=0).max() < 0.01


def test_a_warm_start_is_tried_first() -> None:
    options = Options(samples=8, elites=2, iterations=1)
    warm = np.stack([GOAL, -GOAL])
    for name in SOLVERS:
        found = solved(name, options, given=problem(warm=warm))
        candidates = found.tried[0][0]
        assert all((candidates == one).all(axis=(1, 2)).any() for one in warm), name
    assert solved("icem", options, given=problem(warm=warm)).energies[-1] == 0.0, "the best candidate is the plan"


@pytest.mark.parametrize("name", sorted(SOLVERS))
def test_fewer_candidates_from_iteration_to_iteration(name: str) -> None:
    options = Options(samples=30, elites=3, iterations=5, samples_decay=1.6)
    solver = SOLVERS[name](problem(), options, np.random.default_rng(0))
    found = solve(solver, options, towards(GOAL))
    assert [len(candidates) for candidates, _ in found.tried] == [30, 19, 12, 7, 6], "twice the elites at least"
    few = Options(samples=4, elites=3, iterations=2, samples_decay=2.0)
    assert [few.samples_of(iteration) for iteration in range(2)] == [4, 4], "but never more than in the first"


def test_icem_keeps_elites_and_asks_about_the_mean_at_the_end() -> None:
    options = Options(samples=20, elites=10, iterations=3, kept_elites=0.5)
    tried = solved("icem", options).tried
    for (candidates, energies), (after, _) in zip(tried, tried[1:], strict=False):
        best = candidates[np.argsort(energies[:, -1], kind="stable")[:5]]
        assert all((after == one).all(axis=(1, 2)).any() for one in best)
    costs = [energies[:, -1].min() for _, energies in tried]
    assert costs == sorted(costs, reverse=True), "what was found is not lost"


@pytest.mark.parametrize("steps", [2, 5, 8, 33])
@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_coloured_noise(steps: int, exponent: float) -> None:
    white = np.random.default_rng(0).standard_normal((4000, steps, 3))
    noise = coloured(white, exponent)
    assert noise.std() == pytest.approx(1.0, abs=0.02)
    neighbours = np.corrcoef(noise[:, 0].ravel(), noise[:, 1].ravel())[0, 1]
    if exponent == 0 or steps == 2:
        assert abs(neighbours) < 0.6
    else:
        assert neighbours > 0.1, "neighbouring steps are alike"
    if exponent == 0:
        np.testing.assert_array_equal(noise, white)


def test_it_can_be_ended_with_what_there_is() -> None:
    options = Options(samples=32, elites=4, iterations=5)
    asked: list[int] = []

    def energies(candidates: Array) -> Array | None:
        if len(asked) == 2:
            return None
        asked.append(len(candidates))
        return towards(GOAL)(candidates)

    solver = SOLVERS["cem"](problem(), options, np.random.default_rng(0))
    found = solve(solver, options, energies)
    assert found.ended_early and asked == [32, 32] and len(found.tried) == 2
    every = [(candidates[k], energies[k]) for candidates, energies in found.tried for k in range(len(candidates))]
    candidate, its = min(every, key=lambda one: one[1][-1])
    np.testing.assert_array_equal(found.actions, candidate, "the best so far, and its own energies")
    np.testing.assert_array_equal(found.energies, its)
    ended = search(SOLVERS["cem"](problem(), options, np.random.default_rng(0)), options)
    next(ended)
    with pytest.raises(InputError, match="before a candidate"):
        ended.send(None)


@pytest.mark.parametrize("name", SOLVERS)
def test_a_plan_whose_own_energies_are_not_finite_is_none(name: str) -> None:
    options = Options(samples=32, elites=4, iterations=2)

    def energies(candidates: Array) -> Array:
        found = towards(GOAL)(candidates)
        if len(candidates) == 1:
            found[0, 0] = np.nan
        return found

    with pytest.raises(InputError, match="not_finite: the plan itself has energies that are not finite"):
        solve(SOLVERS[name](problem(), options, np.random.default_rng(0)), options, energies)


def test_energies_that_are_not_finite_are_left_out() -> None:
    options = Options(samples=32, elites=4, iterations=3)

    def half(candidates: Array) -> Array:
        energies = towards(GOAL)(candidates)
        energies[: len(energies) // 2] = np.nan
        return energies

    solver = SOLVERS["cem"](problem(), options, np.random.default_rng(0))
    assert np.isfinite(solve(solver, options, half).actions).all()
    with pytest.raises(InputError, match="none of 32"):
        solve(solver, options, lambda candidates: np.full(candidates.shape[:2], np.nan))
    with pytest.raises(ShapeError, match="energies of shape"):
        solve(solver, options, lambda candidates: np.zeros(len(candidates)))


def test_what_makes_no_sense_is_refused() -> None:
    for wrong in ({"samples": 0}, {"elites": 65}, {"iterations": 0}, {"cost": "first"}, {"momentum_mean": 1.0},
                  {"min_std": -1.0}, {"temperature": 0.0}, {"kept_elites": 2.0}, {"noise_colour": -1.0},
                  {"samples_decay": 0.5}):  # fmt: skip
        with pytest.raises(ConfigError, match=f"planner.{next(iter(wrong))}"):
            Options(**wrong)
    with pytest.raises(InputError, match="above its upper"):
        problem(limit=-1.0)
    with pytest.raises(InputError, match="not finite"):
        problem(std=np.nan)
    with pytest.raises(ShapeError, match="low of shape"):
        Problem(np.zeros((2, 3)), np.ones((2, 3)), np.zeros(2), np.ones(3))
    with pytest.raises(ShapeError, match="warm"):
        problem(warm=np.zeros((1, 2, 2)))


def test_a_plan_is_shifted_by_what_was_executed() -> None:
    plan = np.arange(6.0).reshape(3, 2)
    np.testing.assert_array_equal(shifted(plan, 0), plan)
    np.testing.assert_array_equal(shifted(plan, 1), plan[[1, 2, 2]])
    np.testing.assert_array_equal(shifted(plan[None], 5), plan[None, [2, 2, 2]])


def test_what_of_the_energies_is_made_small() -> None:
    energies = np.array([[3.0, 1.0, 5.0], [2.0, 2.0, 2.0]])
    assert costs_of(energies, "last").tolist() == [5.0, 2.0]
    assert costs_of(energies, "sum").tolist() == [9.0, 6.0]
    np.testing.assert_allclose(costs_of(energies, "min"), [1.3, 2.2])
    sooner, later = costs_of(np.array([[1.0, 4.0], [4.0, 1.0], [1.0, 1.0]]), "min")[[2, 1]]
    assert sooner < later, "where it stays near, that is better"
