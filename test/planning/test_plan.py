"""Plans of a real model: a way that exists is found, limits and commitments hold, no step is pushed out."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import vjepa_ros
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import ConfigError, InputError, ShapeError
from vjepa_ros.model.rollout import Observed
from vjepa_ros.planning.plan import Plan, plan
from vjepa_ros.planning.solvers import Options

QUICK = Options(samples=24, elites=6, iterations=3)
DIMS = 7


@pytest.fixture(scope="module")
def wm() -> WorldModel:
    return vjepa_ros.load("tiny_random", encoding="tubelet", encoder_depth=1, predictor_depth=2)


@pytest.fixture(scope="module")
def seen(wm: WorldModel) -> Observed:
    rng = np.random.default_rng(0)
    clip = torch.from_numpy(rng.normal(size=(1, 3, 16, 64, 64)).astype(np.float32))
    context = torch.cat([wm.encode(clip[:, :, start : start + 2]) for start in range(0, 16, 2)], dim=1)
    return wm.observe(context, rng.normal(size=(1, 7, DIMS)), rng.normal(size=(1, 8, DIMS)))


def goal_of(wm: WorldModel, seen: Observed, actions: np.ndarray) -> torch.Tensor:
    """Latents that the model itself expects of these actions, from what a plan of as many steps observes."""
    room = wm.newest(seen, wm.config.most_context - len(actions) + 1)
    return wm.rollout_from(room, actions[None])[0, -1:]


def test_it_finds_the_actions_that_lead_to_the_goal(wm: WorldModel, seen: Observed) -> None:
    wanted = np.zeros((2, DIMS))
    wanted[:, 1] = [1.0, -0.8]
    goal = goal_of(wm, seen, wanted)
    std = np.zeros(DIMS)
    std[1] = 0.8
    found = plan(wm, seen, goal, horizon=2, std=std, low=-2, high=2, options=replace(QUICK, samples=64, iterations=6))
    staying = wm.energy(wm.rollout_from(wm.newest(seen, 7), np.zeros((1, 2, DIMS))), goal)[0, -1].item()
    assert found.energies[-1] < 0.2 * staying
    np.testing.assert_allclose(found.actions, wanted, atol=0.25)
    assert (found.actions[:, [0, 2, 3, 4, 5, 6]] == 0).all(), "frozen"
    assert found.now == pytest.approx(wm.energy(seen.context[:, -16:], goal).item())


@pytest.mark.parametrize("levels", ["last", "all"])
def test_frames_of_v_jepa_2_1_are_planned_on(levels: str) -> None:
    """Each alone through the tokenizer of images; of all levels too, whose latents are wider."""
    wm = vjepa_ros.load(
        "tiny_random",
        encoding="frame",
        encoder_family="vjepa2_1",
        latent_levels=levels,
        num_frames=8,
        predictor_depth=2,
    )
    rng = np.random.default_rng(0)
    clip = torch.from_numpy(rng.normal(size=(1, 3, 8, 64, 64)).astype(np.float32))
    seen = wm.observe(wm.encode(clip), rng.normal(size=(1, 7, DIMS)), rng.normal(size=(1, 8, DIMS)))
    wanted = np.zeros((2, DIMS))
    wanted[:, 1] = [1.0, -0.8]
    goal = goal_of(wm, seen, wanted)
    assert goal.shape == (1, 16, 128 if levels == "last" else 512)
    std = np.zeros(DIMS)
    std[1] = 0.8
    found = plan(wm, seen, goal, horizon=2, std=std, low=-2, high=2, options=replace(QUICK, samples=64, iterations=6))
    np.testing.assert_allclose(found.actions, wanted, atol=0.25)


@pytest.mark.parametrize("solver", ["cem", "icem", "mppi"])
def test_energies_are_those_of_the_plan_whatever_the_batches(wm: WorldModel, seen: Observed, solver: str) -> None:
    goal = goal_of(wm, seen, np.full((3, DIMS), 0.5))
    found = plan(wm, seen, goal, horizon=3, std=0.5, solver=solver, options=QUICK)
    in_parts = plan(wm, seen, goal, horizon=3, std=0.5, solver=solver, options=QUICK, batch_size=5)
    np.testing.assert_allclose(in_parts.actions, found.actions, atol=1e-3)
    own = wm.energy(wm.rollout_from(wm.newest(seen, 6), found.actions[None]), goal)[0].numpy()
    np.testing.assert_allclose(found.energies, own, atol=1e-5)
    assert len(found.tried) == 3 and found.tried[0][0].shape == (24, 3, DIMS)


def test_no_step_is_pushed_out(wm: WorldModel, seen: Observed, monkeypatch: pytest.MonkeyPatch) -> None:
    """The observed steps and the horizon fit into the predictor's grid, so each step is computed once."""
    observed: list[int] = []
    real = WorldModel.rollout_from

    def noted(self: WorldModel, given: Observed, *arguments: Any, **named: Any) -> Any:
        observed.append(given.steps)
        return real(self, given, *arguments, **named)

    monkeypatch.setattr(WorldModel, "rollout_from", noted)
    goal = torch.zeros(1, 16, 128)
    for horizon, steps in ((1, 8), (4, 5), (8, 1), (12, 1)):
        observed.clear()
        plan(wm, seen, goal, horizon=horizon, std=0.1, options=replace(QUICK, samples=6, iterations=1))
        assert set(observed) == {steps}


def test_what_is_committed_stays_and_the_rest_follows_it(wm: WorldModel, seen: Observed) -> None:
    committed = np.full((1, DIMS), 3.0)
    goal = goal_of(wm, seen, np.concatenate([committed, np.full((1, DIMS), 0.4)]))
    found = plan(wm, seen, goal, horizon=2, std=0.3, low=-1, high=1, committed=committed, options=QUICK)
    assert (found.actions[0] == 3.0).all() and np.abs(found.actions[1]).max() <= 1
    assert found.samples.shape == (1, DIMS) and found.energies.shape == (1,)
    own = wm.energy(wm.rollout_from(wm.newest(seen, 7), found.actions[None]), goal)[0, 1:].numpy()
    np.testing.assert_allclose(found.energies, own, atol=1e-5)


def test_a_warm_start_goes_on_with_what_is_left_of_the_last_plan(wm: WorldModel, seen: Observed) -> None:
    goal = goal_of(wm, seen, np.full((3, DIMS), 0.5))
    first = plan(wm, seen, goal, horizon=3, std=0.5, options=QUICK)
    again = plan(wm, seen, goal, horizon=3, std=0.1, last=first, options=QUICK, seed=1)
    left = first.actions[[1, 2, 2]]
    assert (again.tried[0][0] == left).all(axis=(1, 2)).any()
    assert np.abs(again.tried[0][0].mean(axis=0) - left).max() < 0.15
    with pytest.raises(ShapeError, match="a last plan with samples of shape"):
        plan(wm, seen, goal, horizon=2, std=0.1, last=first)


def test_what_is_drawn_is_kept_up_for_several_steps(wm: WorldModel, seen: Observed) -> None:
    goal = wm.encode_goal(np.full((64, 64, 3), 90, np.uint8))
    given: dict[str, Any] = {"std": 0.3, "low": -0.5, "high": 0.5, "options": QUICK, "action_repeat": 2}
    committed = np.full((1, DIMS), 0.2)
    found = plan(wm, seen, goal, horizon=6, committed=committed, **given)
    assert found.samples.shape == (3, DIMS) and found.energies.shape == (5,) and found.tried[0][1].shape == (24, 5)
    np.testing.assert_array_equal(found.actions, np.concatenate([committed, found.samples[[0, 0, 1, 1, 2]]]))
    forecasts = wm.rollout_from(wm.newest(seen, 3), found.actions[None])[0, 1:]
    np.testing.assert_allclose(found.energies, wm.energy(forecasts, goal).numpy(), atol=1e-6)
    again = plan(wm, seen, goal, horizon=6, committed=committed, last=found, executed=2, **given)
    np.testing.assert_array_equal(again.tried[0][0][-1 - round(0.3 * QUICK.elites) :][0], found.samples[[1, 2, 2]])
    # One step: of what the first new one lasts for, half is left of the first, and half is of the second.
    partly = plan(wm, seen, goal, horizon=6, committed=committed, last=found, executed=1, **given)
    halves = (found.samples + found.samples[[1, 2, 2]]) / 2
    np.testing.assert_allclose(
        partly.tried[0][0][-1 - round(0.3 * QUICK.elites) :][0], halves.clip(-0.5, 0.5), atol=1e-12
    )
    with pytest.raises(ConfigError, match="action_repeat"):
        plan(wm, seen, goal, horizon=6, std=0.3, action_repeat=0)


def test_a_mask_says_which_tokens_count(wm: WorldModel, seen: Observed) -> None:
    goal = goal_of(wm, seen, np.full((1, DIMS), 0.5))
    spoiled = goal.clone()
    spoiled[:, :4] += 3.0  # a cable that moves in the first row
    mask = np.ones((4, 4), bool)
    mask[0] = False
    forecast = seen.context[:, -16:]
    assert wm.energy(forecast, spoiled, mask) == wm.energy(forecast, goal, mask)
    assert wm.energy(forecast, spoiled) > wm.energy(forecast, goal) + 0.3
    own = (forecast - goal)[0, 4:].abs().mean()
    torch.testing.assert_close(wm.energy(forecast, goal, mask)[0], own)
    same = [plan(wm, seen, one, horizon=1, std=0.5, mask=mask, options=QUICK).actions for one in (goal, spoiled)]
    np.testing.assert_array_equal(*same)
    for wrong in (np.ones((4, 4)), np.ones(15, bool), np.zeros(16, bool)):
        with pytest.raises(ShapeError, match="mask"):
            wm.energy(forecast, goal, wrong)


def test_the_time_is_limited(wm: WorldModel, seen: Observed, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock moves by a second with each batch."""
    now = [0.0]

    def clock() -> float:
        now[0] += 1.0
        return now[0]

    monkeypatch.setattr(time, "monotonic", clock)
    goal = goal_of(wm, seen, np.full((1, DIMS), 0.5))
    ended = plan(wm, seen, goal, horizon=1, std=0.5, options=QUICK, batch_size=8, time_limit_s=5.5)
    assert ended.ended_early and len(ended.tried) == 1
    with pytest.raises(InputError, match="before a candidate"):
        plan(wm, seen, goal, horizon=1, std=0.5, options=QUICK, batch_size=8, time_limit_s=2.5)


def test_what_does_not_fit_is_refused(wm: WorldModel, seen: Observed) -> None:
    goal = torch.zeros(1, 16, 128)

    def refused(error: type[Exception], match: str, **changed: Any) -> None:
        given: dict[str, Any] = {"horizon": 2, "std": 0.1, "options": QUICK, **changed}
        with pytest.raises(error, match=match):
            plan(wm, seen, given.pop("goal", goal), **given)

    refused(ConfigError, "planner.horizon", horizon=0)
    refused(ConfigError, "planner.solver", solver="best")
    refused(ShapeError, "goal", goal=torch.zeros(1, 9, 128))
    refused(ShapeError, "std of shape", std=np.ones(3))
    refused(ShapeError, "committed", committed=np.zeros((2, DIMS)))
    refused(InputError, "above its upper", low=1.0, high=-1.0)
    refused(InputError, "not finite", mean=np.full(DIMS, np.nan))
    with pytest.raises(ShapeError, match="at least 1"):
        wm.newest(seen, 0)


def test_newest_is_what_would_have_been_observed(wm: WorldModel) -> None:
    rng = np.random.default_rng(1)
    context = torch.from_numpy(rng.normal(size=(1, 128, 128)).astype(np.float32))
    actions, states = rng.normal(size=(1, 7, DIMS)), rng.normal(size=(1, 8, DIMS))
    future = rng.normal(size=(3, 2, DIMS))
    for steps in (1, 3, 8, 20):
        few = min(steps, 8)
        alone = wm.observe(context[:, -few * 16 :], actions[:, 7 - (few - 1) :], states[:, -few:])
        cut = wm.newest(wm.observe(context, actions, states), steps)
        assert cut.steps == few
        torch.testing.assert_close(wm.rollout_from(cut, future), wm.rollout_from(alone, future), rtol=0, atol=1e-5)


def test_the_plan_is_public() -> None:
    assert vjepa_ros.plan is plan and Plan.__doc__
