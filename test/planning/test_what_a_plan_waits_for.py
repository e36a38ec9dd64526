"""Why there is no plan, said as it is now; and what does not take a plan away."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from support.builders import MS, model_window
from support.plan_bench import STEP_NS, Bench, later, picture

import vjepa_ros
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import EngineError
from vjepa_ros.planning.plan_outcome import Outcome
from vjepa_ros.planning.status import state_of
from vjepa_ros.units import S_TO_NS


@pytest.fixture(scope="module")
def model() -> WorldModel:
    return vjepa_ros.load("tiny_random", encoder_depth=1, predictor_depth=1)


@pytest.fixture
def bench(model: WorldModel) -> Bench:
    return Bench(model)


def test_a_camera_that_stops_is_said(bench: Bench) -> None:
    assert state_of(bench.planner, Outcome()) == ("waiting", "no_window", "none has come yet")
    outcome = bench.plan()
    assert state_of(bench.planner, outcome) == ("planned", "", "")
    bench.now_ns += S_TO_NS + 70 * MS  # planner.max_age_s, and nearly a hop more
    assert state_of(bench.planner, outcome)[0] == "planned"
    bench.now_ns += 30 * MS
    state, reason, detail = state_of(bench.planner, outcome)
    assert (state, reason) == ("waiting", "stale_window") and "no window comes: the newest frame" in detail
    bench.see(later(model_window(), S_TO_NS))
    assert state_of(bench.planner, outcome)[0] == "planned", "another one has come, and a plan of it will"


def test_goals_that_come_faster_than_plans_are_said(bench: Bench) -> None:
    outcome = bench.plan()
    question, delivered = bench.question()
    for number in range(3):
        assert state_of(bench.planner, outcome)[0] == "planned"
        for _ in range(4):
            assert not question.turn(0)
        bench.planner.aims.set(picture(10 + number))
        assert not question.turn(0)
    state, reason, detail = state_of(bench.planner, outcome)
    assert (state, reason) == ("waiting", "new_goals")
    assert detail == "another goal came 3 times before a plan was there"
    while not question.turn(0):
        pass
    question.deliver()
    assert state_of(bench.planner, delivered[0])[0] == "planned"


def test_other_epochs_are_no_other_goals_and_an_answer_ends_the_count(bench: Bench) -> None:
    outcome = bench.plan()
    question, _ = bench.question()
    for epoch in range(1, 5):
        for _ in range(3):
            assert not question.turn(epoch - 1)
        bench.see(later(model_window(), 0, epoch=epoch))
        assert not question.turn(epoch)
    assert bench.planner.tally["restarted"] == 4 and state_of(bench.planner, outcome)[1] != "new_goals"
    for number in range(3):
        bench.planner.aims.set(picture(20 + number))
        assert not question.turn(4)
        assert not question.turn(4)
    assert state_of(bench.planner, outcome)[1] == "new_goals"
    assert question.turn(5), "an epoch without a window"
    question.deliver()
    assert state_of(bench.planner, question.outcome)[1] == "outdated"


def test_a_picture_that_fails_takes_no_plan_away(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    want = bench.plan().plan
    again = Bench(bench.planner.model)
    again.planner.wants_picture = lambda: True
    question, delivered = again.question()
    while question._planning is None or len(question._planning._candidates) > 1:
        assert not question.turn(0)  # until the plan itself is asked about: what comes next is the picture
    real, calls = WorldModel.rollout_from, []

    def fails_for_the_picture(self: WorldModel, *arguments: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise EngineError("out of memory")
        return real(self, *arguments, **named)

    monkeypatch.setattr(WorldModel, "rollout_from", fails_for_the_picture)
    assert question.turn(0)
    question.deliver()
    assert len(calls) == 2 and delivered[0].picture is None and delivered[0].plan is not None and want is not None
    np.testing.assert_array_equal(delivered[0].plan.actions, want.actions)
    assert again.planner.tally["no_picture"] == 1 and again.planner.tally["planned"] == 1


def test_a_picture_that_takes_long_makes_no_old_plan_new(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.planner.wants_picture = lambda: True
    question, delivered = bench.question()
    monkeypatch.setattr(type(question), "_picture", lambda *_: setattr(bench, "now_ns", bench.now_ns + 2 * S_TO_NS))
    while not question.turn(0):
        pass
    question.deliver()
    assert (delivered[0].reason, delivered[0].plan) == ("stale_window", None)


@pytest.mark.parametrize("times", [1, 2])
def test_a_device_that_fails_while_it_compares_is_tried_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """Asynchronous failures show where a number is copied: of what is observed, by the question and by the plan."""
    real, calls = WorldModel.energy, []

    class Broken:
        def __float__(self) -> float:
            raise torch.OutOfMemoryError("CUDA error: out of memory")

    def sometimes(self: WorldModel, *arguments: Any, **named: Any) -> Any:
        calls.append(1)
        return Broken() if len(calls) == times else real(self, *arguments, **named)

    monkeypatch.setattr(WorldModel, "energy", sometimes)
    _, failures, outcome = bench.asked_again()
    assert failures == 1 and outcome.plan is not None


def test_half_a_step_is_half_of_what_is_kept_up(model: WorldModel) -> None:
    """A plan of every window, a step later each: with two steps for a number, half a number each time."""
    bench = Bench(model, action_repeat=2, horizon=5)
    first = bench.plan().plan
    bench.see(later(model_window(), STEP_NS))
    bench.now_ns += STEP_NS
    second = bench.plan().plan
    assert first is not None and second is not None
    half = (first.samples + first.samples[[1, 1]]) / 2
    near = np.abs(second.tried[0][0] - half).max(axis=(1, 2))
    assert near.min() < 1e-12
