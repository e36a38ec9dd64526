"""Plans in turns, without ROS, that something comes in between of: an epoch, a goal, a model that fails."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.builders import model_window
from support.plan_bench import Bench, later, picture

import vjepa_ros
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import EngineError


@pytest.fixture
def bench() -> Bench:
    return Bench(vjepa_ros.load("tiny_random", encoder_depth=1, predictor_depth=1))


def test_an_epoch_that_ends_in_the_middle(bench: Bench) -> None:
    question, delivered = bench.question()
    for _ in range(4):
        assert not question.turn(0)
    assert question.turn(1)
    question.deliver()
    assert delivered[0].reason == "outdated" and "now is 1" in delivered[0].detail

    question, delivered = bench.question()
    for _ in range(4):
        assert not question.turn(0)
    bench.see(later(model_window(), 0, epoch=1))
    while not question.turn(1):
        pass
    question.deliver()
    assert delivered[0].plan is not None and delivered[0].seen is not None
    assert delivered[0].seen.window.epoch == 1 and bench.planner.tally["restarted"] == 2


def test_a_goal_that_changes_in_the_middle_begins_it_anew(bench: Bench) -> None:
    question, delivered = bench.question()
    for _ in range(6):
        assert not question.turn(0)
    assert bench.planner.aims.set(picture(2))
    while not question.turn(0):
        pass
    question.deliver()
    (outcome,) = delivered
    assert outcome.plan is not None and outcome.target is not None and outcome.target.goal.name == "goal 2"
    assert bench.planner.tally["restarted"] == 1
    version = bench.planner.aims.version
    assert not bench.planner.aims.set(replace(picture(2), stamp_ns=99)), "the same picture is no other goal"
    current = bench.planner.aims.current
    assert current is not None and current.stamp_ns == 99 and bench.planner.aims.version == version


def test_a_model_that_fails_in_a_turn_is_asked_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing() -> Iterator[bool]:
        yield from (False, False, False, True, False, True)
        while True:
            yield False

    fails, real = failing(), WorldModel.rollout_from

    def sometimes(self: WorldModel, *arguments: Any, **named: Any) -> Any:
        if next(fails):
            raise EngineError("out of memory")
        return real(self, *arguments, **named)

    want = bench.plan().plan
    again = Bench(bench.planner.model)
    monkeypatch.setattr(WorldModel, "rollout_from", sometimes)
    question, failures, outcome = again.asked_again()
    assert failures == 2 and want is not None and outcome.plan is not None
    np.testing.assert_array_equal(outcome.plan.actions, want.actions)
    question.fail(EngineError("gone"))
    assert question.outcome.reason == "model_failed"
