"""Sub-goals of plans: one after another, by energy, by steps, or by a call; and goals of several images."""

from __future__ import annotations

import numpy as np
import pytest
from support.plan_bench import Bench, picture

import vjepa_ros
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import ConfigError
from vjepa_ros.planning.aims import GoalImages


@pytest.fixture(scope="module")
def model() -> WorldModel:
    return vjepa_ros.load("tiny_random", encoder_depth=1, predictor_depth=1)


def test_sub_goals_one_after_another(model: WorldModel) -> None:
    goals = (picture(1), picture(2), picture(3))
    bench = Bench(model, goals, goal_energy=[1e-6])
    assert bench.plan().target.goal.name == "goal 1"  # type: ignore[union-attr]
    assert bench.planner.aims.advance() == "next"
    assert bench.plan().target.index == 1  # type: ignore[union-attr]
    everything = Bench(model, goals, goal_energy=[100.0])
    outcome = everything.plan()
    assert outcome.reason == "reached" and "the last goal is met" in outcome.detail
    assert everything.planner.aims.is_reached and everything.planner.aims.index == 2
    assert everything.planner.aims.advance() is None
    everything.planner.start()
    assert everything.planner.aims.index == 0 and not everything.planner.aims.is_reached


def test_a_sub_goal_is_left_after_so_many_executed_steps(model: WorldModel) -> None:
    bench = Bench(model, (picture(1), picture(2)), goal_steps=[2])
    for expected in (0, 0, 1, 1, 1, 1):
        outcome = bench.plan()
        assert outcome.target is not None and outcome.target.index == expected
        bench.planner.sent(bench.now_ns, np.zeros(7))


def test_each_sub_goal_may_end_in_a_way_of_its_own(model: WorldModel) -> None:
    goals = (picture(1), picture(2), picture(3))
    bench = Bench(model, goals, goal_steps=[1, 3, 1], goal_energy=[0.0, 0.0, 100.0])
    for expected in (0, 1, 1, 1):
        outcome = bench.plan()
        assert outcome.target is not None and outcome.target.index == expected
        bench.planner.sent(bench.now_ns, np.zeros(7))
    assert bench.plan().reason == "reached", "the last one ends by its energy"
    bench.planner.aims.set(picture(4))
    assert bench.plan().reason == "reached", "a goal of ~/goal_image ends as the last one does"
    with pytest.raises(ConfigError, match=r"^planner.goal_plans: 2 numbers for 3 sub-goals: one for all"):
        Bench(model, goals, goal_plans=[1, 2])


def test_momentum_may_differ_by_dimension(model: WorldModel) -> None:
    """The mean of the first iteration's elites is not gone to where all but a thousandth of the old one stays."""
    bench = Bench(model, momentum_mean=[0.999, *[0.0] * 6], std=[0.3], iterations=1)
    found, drawn = bench.plan().plan, bench.planner._last
    assert found is not None and drawn is not None
    candidates, energies = found.tried[0]
    elites = candidates[np.argsort(energies[:, -1], kind="stable")[:2]].mean(axis=0)
    np.testing.assert_allclose(found.samples[:, 1:], elites[:, 1:], atol=1e-12)
    assert (np.abs(found.samples[:, 0] - elites[:, 0]) > 1e-3).all()


def test_several_images_of_one_goal_are_their_mean(model: WorldModel) -> None:
    one, other = picture(1), picture(2)
    both = GoalImages("both", (*one.images, *other.images))
    latents = [Bench(model, (goal,)).plan().target.latents for goal in (one, other, both)]  # type: ignore[union-attr]
    np.testing.assert_allclose(latents[2], (latents[0] + latents[1]) / 2, atol=1e-6)


def test_only_the_patches_of_the_mask_count(model: WorldModel) -> None:
    """Left half of the picture, all but the uppermost of its four rows: what lies elsewhere changes no energy."""
    bench, everything = Bench(model, goal_mask=[0.0, 0.25, 0.5, 1.0]), Bench(model)
    outcome, whole = bench.plan(), everything.plan()
    plan, seen = outcome.plan, bench.forecaster.last
    assert plan is not None and seen is not None and outcome.target is not None and whole.plan is not None
    goal = outcome.target.latents[0].numpy().reshape(4, 4, -1)
    differences = np.abs(seen.context[0, -16:].numpy().reshape(4, 4, -1) - goal).mean(axis=-1)
    assert outcome.now == plan.now == pytest.approx(differences[1:, :2].mean(), abs=1e-6)
    assert whole.now == pytest.approx(differences.mean(), abs=1e-6)
    observed = model.newest(model.observe(seen.context, seen.past_actions, seen.states), 5)
    last = model.rollout_from(observed, plan.actions[None])[0, -1].numpy().reshape(4, 4, -1)
    assert plan.energies[-1] == pytest.approx(np.abs(last - goal).mean(axis=-1)[1:, :2].mean(), abs=1e-5)
    assert not np.array_equal(plan.actions, whole.plan.actions)
    # It holds for a goal that comes later too.
    bench.planner.aims.set(picture(2))
    other = bench.plan().target
    assert other is not None and other.mask is not None and other.mask.sum() == 6


def test_a_mask_without_a_patch_is_refused(model: WorldModel) -> None:
    with pytest.raises(ConfigError, match=r"holds the centre of no patch; there are 4 rows of 4") as error:
        Bench(model, goal_mask=[0.4, 0.0, 0.6, 1.0])
    assert error.value.parameter == "planner.goal_mask"
