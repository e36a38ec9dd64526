"""The model that comes with the package: what it reaches, and what its forecasts are worth.

tools/eval_tiny.py judges it by many more goals (docs/models/tiny.md has its figures).
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import torch

import vjepa_ros
from tools import eval_tiny
from tools.tiny import reaching
from tools.tiny.world import Stage
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.simulation.plan import World

WORLD = World(seed=5000, size=256)
GOALS, LEAST = 16, 14


@pytest.fixture(scope="module")
def wm() -> Iterator[WorldModel]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield vjepa_ros.load("tiny")
    torch.set_num_threads(threads)


@pytest.mark.timeout(300)
def test_goals_are_reached(wm: WorldModel) -> None:
    found = dict(eval_tiny.evaluate(wm, GOALS, WORLD, ("reach",)))
    assert found["reached_4cm"] >= LEAST, found
    assert found["start_cm"] >= 30


def test_who_does_not_plan_with_it_does_not_reach_them(wm: WorldModel) -> None:
    for policy in (reaching.Still(), reaching.Random(), reaching.PlanningPolicy(wm, shuffles=True)):
        ends = [reaching.reach(Stage(wm, WORLD, number), policy)[1] for number in range(3)]
        assert min(ends) > eval_tiny.NEAR_M, policy


def test_forecasts_are_better_than_no_change_and_depend_on_the_actions(wm: WorldModel) -> None:
    found = dict(eval_tiny.evaluate(wm, 6, WORLD, ("forecasts",)))
    assert found["k1"] < 0.75 and found["k4"] < 0.5 and found["k8"] < 0.45, found
    assert found["shuffled4"] > 2.0, found


def test_a_push_shows_in_the_prediction_error(wm: WorldModel) -> None:
    for metres, shows in ((0.15, True), (0.0, False)):
        ratio = reaching.push_ratio(Stage(wm, WORLD, 0), reaching.PlanningPolicy(wm), metres)
        assert (ratio >= eval_tiny.PUSHED_RATIO) is shows, ratio


def test_the_evaluation_prints_a_table_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert eval_tiny.main(["--goals", "1", "--parts", "reach", "--wide"]) == 0
    lines = capsys.readouterr().out.splitlines()
    found = json.loads(lines[-1])
    assert found["goals"] == 1 and found["plan_ms"] > 0
    assert [line.split()[0] for line in lines[:-1]] == list(found)
