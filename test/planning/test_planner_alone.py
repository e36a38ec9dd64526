"""Plans in turns, without ROS: what they begin with, what is decided already, and why there are none."""

from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.builders import MS, model_window
from support.plan_bench import GIVEN, NEWEST_NS, STEP_NS, Bench, later, picture

import vjepa_ros
from vjepa_ros.config.node import resolve
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import InputError
from vjepa_ros.planning.approach import Approach
from vjepa_ros.planning.motion import Steps
from vjepa_ros.planning.plan import Plan
from vjepa_ros.planning.planner import Planner


@pytest.fixture(scope="module")
def model() -> WorldModel:
    return vjepa_ros.load("tiny_random", encoder_depth=1, predictor_depth=1)


@pytest.fixture
def bench(model: WorldModel) -> Bench:
    return Bench(model)


def test_each_turn_is_one_batch_at_most(bench: Bench, model: WorldModel, monkeypatch: pytest.MonkeyPatch) -> None:
    rolled: list[int] = []
    real = WorldModel.rollout_from

    def noted(self: WorldModel, observed: Any, future: Any, **named: Any) -> Any:
        rolled.append(len(future))
        return real(self, observed, future, **named)

    monkeypatch.setattr(WorldModel, "rollout_from", noted)
    question, delivered = bench.question()
    turns = []
    is_there = False
    while not is_there:
        before = len(rolled)
        is_there = question.turn(0)
        turns.append(rolled[before:])
    # The goal, the window, two iterations of 6 candidates in batches of 4, and the plan itself.
    assert turns == [[], [], [4], [2], [4], [2], [1]]
    assert delivered == []
    question.deliver()
    assert delivered[0].plan is not None


def test_a_plan_is_what_the_engine_says_of_it(bench: Bench, model: WorldModel) -> None:
    outcome = bench.plan()
    plan, seen = outcome.plan, bench.forecaster.last
    assert plan is not None and seen is not None and outcome.seen is seen and outcome.target is not None
    observed = model.newest(model.observe(seen.context, seen.past_actions, seen.states), 5)
    energies = model.energy(model.rollout_from(observed, plan.actions[None]), outcome.target.latents)[0].numpy()
    np.testing.assert_allclose(plan.energies, energies[outcome.first :], atol=1e-5)
    assert (
        outcome.now
        == plan.now
        == pytest.approx(model.energy(seen.context[0, -16:], outcome.target.latents).item(), abs=1e-6)
    )
    np.testing.assert_array_equal(outcome.reached, plan.actions)


def test_the_action_in_force_is_decided_and_so_is_what_comes_before_the_plan(model: WorldModel) -> None:
    bench = Bench(model)
    in_force = model_window().actions.values[-1]
    outcome = bench.plan()
    assert outcome.first == 1 and outcome.plan is not None
    np.testing.assert_array_equal(outcome.plan.actions[0], in_force)
    assert not (outcome.plan.actions[1] == in_force).any()

    # Actions 0, 1 and 2 began 240, 140 and 40 ms ago.
    bench.now_ns = NEWEST_NS - 50 * MS + 240 * MS
    outcome = bench.plan()
    assert outcome.first == 2 and outcome.plan is not None, "the third may begin up to half a step late"
    np.testing.assert_array_equal(outcome.plan.actions[:2], [in_force, in_force])
    bench.now_ns += 20 * MS
    sent = np.full(7, 3.0)
    bench.planner.sent(NEWEST_NS - 50 * MS + 110 * MS, sent)
    outcome = bench.plan()
    assert outcome.first == 3 and outcome.plan is not None
    np.testing.assert_array_equal(outcome.plan.actions[:3], [in_force, sent, sent])  # a target holds
    bench.planner.stopped()
    again = bench.plan().plan
    assert again is not None and bool((again.actions[:3] == in_force).all())


def test_where_a_step_is_read_at_its_last_frame_nothing_is_decided_yet(model: WorldModel) -> None:
    bench = Bench(model)
    config = resolve({**GIVEN, "actions.phase": "last"})
    bench.planner = Planner(config, model, bench.forecaster, (picture(1),), lambda: bench.now_ns)
    bench.planner._took_s.append(0.0)
    window = model_window()
    bench.see(replace(window, step_stamps_ns=tuple(stamp + 50 * MS for stamp in window.step_stamps_ns)))
    outcome = bench.plan()
    assert outcome.first == 0 and outcome.plan is not None
    assert outcome.plan.samples.shape == (4, 7) and len(outcome.plan.energies) == 4


def test_steps_are_decided_that_are_said_to_be(model: WorldModel) -> None:
    bench = Bench(model)
    config = resolve({**GIVEN, "actions.phase": "last", "planner.decided_steps": 2})
    bench.planner = Planner(config, model, bench.forecaster, (picture(1),), lambda: bench.now_ns)
    bench.planner._took_s.append(0.0)
    window = model_window()
    bench.see(replace(window, step_stamps_ns=tuple(stamp + 50 * MS for stamp in window.step_stamps_ns)))
    bench.planner.sent(NEWEST_NS + STEP_NS, np.full(7, 3.0))
    outcome = bench.plan()
    assert outcome.first == 2 and outcome.plan is not None
    np.testing.assert_array_equal(outcome.plan.actions[:2], [window.actions.values[-1], np.full(7, 3.0)])


def test_without_states_a_plan_of_differences_starts_where_the_arm_was_sent(model: WorldModel) -> None:
    bench = Bench(model)
    config = resolve({**GIVEN, "actions.reduction": "difference", "states.source": "none"})
    bench.planner = Planner(config, model, bench.forecaster, (picture(1),), lambda: bench.now_ns)
    origin = np.arange(7.0)
    bench.see(replace(model_window(), origin=origin))
    outcome = bench.plan()
    assert outcome.plan is not None and outcome.reached is not None
    np.testing.assert_allclose(outcome.reached, origin + outcome.plan.actions.cumsum(axis=0), atol=1e-12)


def test_candidates_of_the_tip_wait_for_a_robot(model: WorldModel) -> None:
    bench = Bench(model)
    given = {**GIVEN, "planner.sample_space": "tip", "pose.tip_link": "hand"}
    bench.planner = Planner(resolve(given), model, bench.forecaster, (picture(1),), lambda: bench.now_ns)
    assert bench.plan().reason == "no_robot_description"


def test_a_plan_that_takes_long_is_begun_with_more_decided_and_may_be_late(bench: Bench) -> None:
    bench.planner._took_s.append(0.15)  # measured
    outcome = bench.plan()
    assert outcome.first == 2, "220 ms after the newest step it will be there"
    question, delivered = bench.question()
    while not question.turn(0):
        bench.now_ns += 60 * MS
    question.deliver()
    assert delivered[0].is_late
    assert bench.planner.tally["late"] == 1 and bench.planner.delay_s > 0.3


def test_motions_that_nobody_sends_are_none(model: WorldModel) -> None:
    bench = Bench(model, horizon=4)
    bench.planner = Planner(
        resolve({**GIVEN, "actions.reduction": "difference"}), model, bench.forecaster, (picture(1),),
        lambda: bench.now_ns,
    )  # fmt: skip
    bench.planner._took_s.append(0.0)
    bench.now_ns = NEWEST_NS - 50 * MS + 260 * MS
    bench.planner.sent(NEWEST_NS - 50 * MS + 110 * MS, np.full(7, 0.5))
    outcome = bench.plan()
    window = model_window()
    assert outcome.first == 3 and outcome.plan is not None and outcome.reached is not None
    np.testing.assert_array_equal(outcome.plan.actions[1:3], [np.full(7, 0.5), np.zeros(7)])
    np.testing.assert_allclose(
        outcome.reached, window.states.values[-1] + np.cumsum(outcome.plan.actions, axis=0), atol=1e-12
    )


def test_the_next_plan_begins_with_what_is_left_of_the_last_one(bench: Bench) -> None:
    first = bench.plan().plan
    bench.see(later(model_window(), STEP_NS))
    bench.now_ns += STEP_NS
    second = bench.plan().plan
    assert first is not None and second is not None
    left = first.samples[[1, 2, 2]]
    assert (second.tried[0][0] == left).all(axis=(1, 2)).any()
    bench.planner.aims.set(picture(2))
    bench.see(later(model_window(), 2 * STEP_NS))
    bench.now_ns += STEP_NS
    third = bench.plan().plan
    assert third is not None
    assert not (third.tried[0][0] == second.samples[[1, 2, 2]]).all(axis=(1, 2)).any(), "another goal, another plan"


def test_what_is_frozen_stays_where_the_robot_is_now_whatever_the_last_plan_had(model: WorldModel) -> None:
    bench = Bench(model, std=[0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.0])
    first = bench.plan().plan
    window = later(model_window(), STEP_NS)
    values = window.actions.values.copy()
    values[-1] += 1.0  # somebody has moved it by hand
    bench.see(replace(window, actions=replace(window.actions, values=values)))
    bench.now_ns += STEP_NS
    second = bench.plan().plan
    assert first is not None and second is not None
    assert (first.actions[:, 6] == model_window().actions.values[-1, 6]).all()
    assert (second.actions[:, 6] == values[-1, 6]).all()
    left = first.samples[[1, 2, 2], :6]
    assert (second.tried[0][0][..., :6] == left).all(axis=(1, 2)).any(), "what is free goes on with the last plan"


def test_another_number_of_decided_actions_keeps_the_warm_start(bench: Bench) -> None:
    first = bench.plan().plan
    bench.planner._took_s.append(0.15)
    bench.see(later(model_window(), STEP_NS))
    bench.now_ns += STEP_NS
    second = bench.plan().plan
    assert first is not None and second is not None
    assert first.samples.shape == (3, 7) and second.samples.shape == (2, 7)
    assert (second.tried[0][0] == first.samples[[1, 1]]).all(axis=(1, 2)).any()


def test_near_its_goal_a_plan_is_searched_for_more_finely(model: WorldModel, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(model, adapt=True, std=[0.2])
    energy, spreads = 0.8, []
    monkeypatch.setattr(bench.planner, "_approach", approach := Approach(4))
    search = approach.search

    def noted(now: float, last: Plan | None) -> tuple[int, float]:
        assert now == pytest.approx(bench.planner.model.energy(*observed())), "what is observed, not what is planned"
        spreads.append(search(energy, last))
        return spreads[-1]

    def observed() -> tuple[Any, Any]:
        seen, target = bench.planner.forecaster.last, bench.planner.aims.target()
        assert seen is not None and target is not None
        return seen.context[0, -16:], target.latents

    monkeypatch.setattr(approach, "search", noted)
    first = bench.plan().plan
    energy = 0.1
    bench.see(later(model_window(), STEP_NS))
    bench.now_ns += STEP_NS
    second = bench.plan().plan
    assert first is not None and second is not None
    assert spreads == [(4, 1.0), (first.nearest + 1, 0.35)]
    assert len(first.energies) == 3 and len(second.energies) == min(3, spreads[1][0])
    drawn = [plan.tried[0][0].std(axis=0).mean() for plan in (first, second)]  # over 6 candidates
    assert drawn[1] < 0.7 * drawn[0]


@pytest.mark.parametrize("age_s", [1.2, -1.2])
def test_no_plan_from_a_window_that_is_too_old_or_of_the_future(bench: Bench, age_s: float) -> None:
    bench.now_ns = NEWEST_NS + round(age_s * 1e9)
    outcome = bench.plan()
    assert (outcome.reason, outcome.plan) == ("stale_window", None)
    assert "planner.max_age_s is 1 s" in outcome.detail


def test_no_plan_is_there_once_its_window_is_too_old(bench: Bench) -> None:
    question, delivered = bench.question()
    while not question.turn(0):
        bench.now_ns += 300 * MS
    question.deliver()
    assert (delivered[0].reason, delivered[0].plan) == ("stale_window", None)
    assert bench.planner.tally["stale_window"] == 1 and bench.planner.tally["planned"] == 0


def test_reasons_for_no_plan(model: WorldModel) -> None:
    assert Bench(model, goals=()).plan().reason == "no_goal"
    assert Bench(model).plan(epoch=1).reason == "no_window"
    bench = Bench(model)
    bench.see(model_window(nan_frame=3))
    assert bench.plan().reason == "not_finite"
    bench = Bench(model, time_limit_s=1e-3)
    question, _ = bench.question()
    while question._planning is None:
        assert not question.turn(0)
    time.sleep(2e-3)
    assert question.turn(0)
    assert question.outcome.reason == "no_time"


def test_no_plan_where_nothing_says_how_long_a_step_lasts() -> None:
    stream = resolve(GIVEN).stream
    assert Steps.of(model_window(), stream).period_ns == STEP_NS
    for stamps in ((NEWEST_NS,), (NEWEST_NS, NEWEST_NS)):
        with pytest.raises(InputError, match="set frame_rate") as error:
            Steps.of(replace(model_window(), step_stamps_ns=stamps), stream)
        assert error.value.reason == "no_period"


def test_no_plan_for_a_robot_outside_of_its_limits(model: WorldModel) -> None:
    bench = Bench(model, max_action=[0.1])
    bench.planner.arm = SimpleNamespace(lower=np.full(7, 50.0), upper=np.full(7, 60.0))
    assert bench.plan().reason == "bad_limits"
    bench.planner.arm = SimpleNamespace(lower=np.full(7, -50.0), upper=np.full(7, 60.0))
    assert bench.plan().plan is not None


def test_no_plan_for_a_tip_that_other_joints_carry(model: WorldModel) -> None:
    bench = Bench(model)
    given = {**GIVEN, "planner.sample_space": "tip", "pose.tip_link": "hand"}
    bench.planner = Planner(resolve(given), model, bench.forecaster, (picture(1),), lambda: bench.now_ns)
    bench.planner.arm = SimpleNamespace(kinematics=SimpleNamespace(joint_names=("joint0", "elbow")))
    outcome = bench.plan()
    assert outcome.reason == "no_tip" and "'elbow' carries the tip" in outcome.detail
