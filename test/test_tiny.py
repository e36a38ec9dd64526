"""The model that comes with the package: what it reaches, and what its forecasts are worth.

tools/eval_tiny.py judges it by many more goals (docs/models/tiny.md has its figures).
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
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


@pytest.mark.timeout(900)
def test_goals_are_reached(wm: WorldModel) -> None:
    """One after another: a plan is asked of one state, as the node asks it, so that both are the same code."""
    found = dict(eval_tiny.evaluate(wm, GOALS, WORLD, ("reach",)))
    assert found["reached_4cm"] >= LEAST, found
    assert found["reached_8cm"] >= found["reached_4cm"] and found["median_cm"] < 4, found
    assert found["start_cm"] >= 30


@pytest.mark.timeout(600)
def test_who_does_not_plan_with_it_does_not_reach_them(wm: WorldModel) -> None:
    found = dict(eval_tiny.evaluate(wm, 3, WORLD, ("baselines",)))
    assert found == {"goals": 3, "stay": 0, "random": 0, "shuffled": 0}


@pytest.mark.timeout(900)
def test_lost_frames_and_late_commands_do_not_keep_it_from_them(wm: WorldModel) -> None:
    found = dict(eval_tiny.evaluate(wm, 3, WORLD, ("hard",)))
    assert found["drop15"] >= 2 and found["delay1"] >= 2, found


def test_a_command_that_comes_late_is_that_of_the_step_before(wm: WorldModel) -> None:
    """And a step of which a frame was lost has no plan: what was sent before stays."""
    late = reaching.PlanningPolicy(wm, delayed=True)
    late.start(0)
    stage = Stage(wm, WORLD, 0)
    seen = stage.step()
    np.testing.assert_array_equal(late(seen, stage), seen.joints)  # nothing is planned yet
    planned = late(reaching.Seen(None, seen.joints), stage)
    assert planned is not None and np.abs(planned - seen.joints).max() > 1e-3
    np.testing.assert_array_equal(late(seen, stage), planned)
    assert len(late.took_s) == 2
    frames = [Stage(wm, WORLD, 0, lost).step().latents is None for lost in (0.0, 1.0)]
    assert frames == [False, True]


@pytest.mark.timeout(600)
def test_forecasts_are_better_than_no_change_and_depend_on_the_actions(wm: WorldModel) -> None:
    found = dict(eval_tiny.evaluate(wm, 6, WORLD, ("forecasts",)))
    assert found["k1"] < 0.6 and found["k4"] < 0.35 and found["k8"] < 0.3, found
    assert found["shuffled4"] > 3.0, found
    assert found["tip_r2"] > 0.9, found  # of a probe that is fitted on 48 episodes


def test_of_one_goal_the_actions_are_exchanged_with_another_episode(wm: WorldModel) -> None:
    assert dict(eval_tiny.evaluate(wm, 1, WORLD, ("forecasts",)))["shuffled4"] > 1.5


@pytest.mark.timeout(900)
def test_a_push_shows_in_the_prediction_error(wm: WorldModel) -> None:
    found = dict(eval_tiny.evaluate(wm, 1, WORLD, ("pushes",), pushes=2))
    assert found == {"goals": 1, "pushed": 2, "not_pushed": 0}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--seed", "1"], "--seed 1: tiny was trained on it, name another than 1 and 2"),
        (["--seed", "2", "--wide"], "--seed 2: tiny was trained on it"),
        (["--goals", "0"], "--goals 0: at least 1"),
    ],
)
def test_what_would_say_nothing_is_refused(given: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        eval_tiny.main(given)
    assert refused.value.code == 2 and said in capsys.readouterr().err


def test_the_evaluation_prints_a_table_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert eval_tiny.main(["--goals", "1", "--parts", "reach", "--wide"]) == 0
    lines = capsys.readouterr().out.splitlines()
    found = json.loads(lines[-1])
    assert found["goals"] == 1 and found["plan_ms"] > 0
    assert [line.split()[0] for line in lines[:-1]] == list(found)
