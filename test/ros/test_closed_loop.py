"""The loop closes: the simulated robot, and the predictor with its planner and the model that comes with it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from rich.console import Console

import vjepa_ros
from examples import closed_loop, demo
from examples.closed_loop import STEPS, processes, reach
from examples.watcher import STEP_NS, Watcher
from tools import eval_live
from tools.tiny import reaching
from tools.tiny.world import Stage
from vjepa_ros.simulation import panda
from vjepa_ros.simulation.episodes import beginning
from vjepa_ros.simulation.plan import World

WALKED, AFTER = 14, 2
FARTHER = 1.5  # times the median: an error that something happened


@pytest.fixture(scope="module")
def watcher(ros: None) -> Iterator[Watcher]:
    with processes({"seed": 11, "clock.rate": 20.0}, {}) as found:
        yield found


def test_the_arm_goes_to_a_goal_image(watcher: Watcher) -> None:
    watcher.begin(episode=0)
    found = reach(watcher)
    print(f"{found.start_m * 100:.1f} cm -> {found.end_m * 100:.1f} cm, first within 4 cm after {found.first} steps")
    assert watcher.info["trained"]
    assert found.start_m >= 0.3
    assert found.is_reached and found.first is not None and found.first < STEPS
    assert len(found.took_ms) >= STEPS
    assert max(window["late"] for window in watcher.windows) == 0
    # What the model was told of each step is what the planner had sent for it: commands are there in time.
    sent = {status["window_stamp"] + STEP_NS: status["actions"][1] for status in watcher.plans.values()}
    done = [window for window in watcher.windows if window["frame_stamps"][-1] in sent]
    assert len(done) >= STEPS - 1
    for window in done:
        if found.begin_ns + STEP_NS <= window["frame_stamps"][-1] < found.end_ns:
            np.testing.assert_allclose(window["actions"][-1], sent[window["frame_stamps"][-1]], atol=1e-6)


def test_planning_in_one_process_comes_to_the_same(watcher: Watcher) -> None:
    """The same goal, from the same start; where its commands come without a step in between."""
    (live,) = closed_loop.each_anew(watcher, 1)
    wm = vjepa_ros.load("tiny")
    own = reaching.reach(Stage(wm, World(seed=11, size=256), 0), reaching.PlanningPolicy(wm))
    found = eval_live.figures([live], [own])
    assert eval_live.is_equal(found) and found["live_4cm"] == found["own_4cm"] == 1, found
    assert not eval_live.is_equal({**found, "same_starts": False})
    assert not eval_live.is_equal({**found, "live_4cm": 3, "own_4cm": 5})
    assert not eval_live.figures([live], [(own[0] + 0.01, own[1])])["same_starts"]


def test_the_demo_shows_how_a_goal_is_reached(watcher: Watcher, tmp_path: Path) -> None:
    said = Console(record=True, width=110, file=io.StringIO())
    scene, _ = beginning(World(seed=11), 0)
    watcher.begin(episode=0)
    reaches, goals = demo.run(said, watcher, scene, 1)
    found = demo.figures(reaches, watcher)
    assert (found["reached"], found["trained"], found["late"]) == (True, True, 0)
    assert found["distance_cm"][0] <= 4 and found["start_cm"][0] >= 30 and 0 < found["steps"][0] < STEPS
    text = said.export_text()
    assert text.count("energy") >= STEPS and "goal 1 reached: " in text and "UNTRAINED" not in text
    moments = goals[0].moments
    assert [moment.step for moment in moments] == list(range(STEPS + 2)), "the first command is a step on its way"
    assert moments[0].distance_m == reaches[0].start_m and moments[-1].distance_m == reaches[0].end_m
    assert all(moment.forecast is not None and moment.energy is not None for moment in moments[:STEPS])
    assert watcher.goal_place is not None and goals[0].mark is not None
    mark = np.array(goals[0].mark)
    assert ((mark > 0) & (mark < 256)).all()
    (goal,) = demo.with_latents(goals, [closed_loop.PARAMS])
    first, last = (moment.forecast for moment in (moments[0], moments[STEPS]))
    assert goal.latents is not None and first is not None and last is not None and goal.latents.shape == last.shape
    assert np.abs(last - goal.latents).mean() < 0.5 * np.abs(first - goal.latents).mean(), "forecasts become the goal"
    energies = [moment.energy for moment in moments if moment.energy is not None]
    assert energies[-1] < energies[0] / 2
    assert demo.figures([replace(reaches[0], end_m=0.05)], watcher)["reached"] is False
    assert demo.figures([reaches[0], replace(reaches[0], end_reason="stopped")], watcher)["reached"] is False


PAGE = (Path(__file__).resolve().parents[2] / "docs" / "simulation.md").read_text(encoding="utf-8")


def test_the_loop_can_be_closed_by_hand(watcher: Watcher) -> None:
    """By the commands of docs/simulation.md, whose messages have no stamps."""
    (given,) = re.findall(r"middle='(.*?)'", PAGE, flags=re.DOTALL)
    (times,) = re.findall(r"--rate 2 --times (\d+) ", PAGE)
    joints = np.array(yaml.safe_load(given)["position"])
    before, reset_ns = len(watcher.windows), watcher.now_ns
    watcher.trigger("reset")
    watcher.need(lambda: watcher.now_ns > reset_ns + STEP_NS, "no episode anew")
    for number in range(int(times)):
        watcher.need(lambda: watcher.stands_still, "its time does not stand still")
        at_ns = watcher.now_ns
        watcher.command(0, joints)
        watcher.need(lambda at_ns=at_ns: watcher.now_ns >= at_ns + STEP_NS, f"command {number} is not obeyed")
    watcher.need(lambda: len(watcher.windows) > before, "no window")
    watcher.need(lambda: watcher.stands_still, "its time does not stand still")
    assert watcher.trigger("draw_goal").startswith("the goal is ")
    watcher.execute()
    watcher.command(0, joints)
    watcher.need(lambda: watcher.status["end_reason"] and not watcher.status["executing"], "execution does not end")
    assert (watcher.status["end_reason"], watcher.status["commands_sent"]) == ("steps_done", STEPS)


def walked(watcher: Watcher, rng: np.random.Generator, tip: np.ndarray, steps: int) -> np.ndarray:
    """Command a wandering tip, a step after another; where it was sent last."""
    for _ in range(steps):
        at_ns = watcher.now_ns
        tip = panda.into_workspace(tip + rng.uniform(-0.03, 0.03, 3))
        watcher.command(at_ns, panda.joints_for(tip))
        watcher.need(lambda at_ns=at_ns: watcher.now_ns == at_ns + STEP_NS, "its time does not go on")
    return tip


def excess(watcher: Watcher, *, push: bool) -> float:
    """After a walk the arm is pushed, or not: the larger error of the next two windows over the walk's median."""
    watcher.begin(episode=3)
    before = len(watcher.errors)
    rng = np.random.default_rng(0)
    tip = walked(watcher, rng, panda.tips_of(watcher.joints), WALKED)
    if push:
        assert "0.150 m" in watcher.trigger("push")
    # A window waits for the command of its last frame: of the second one after the push, that of a step more.
    walked(watcher, rng, tip, AFTER + 1)
    watcher.need(lambda: len(watcher.errors) >= before + WALKED + AFTER, "too few errors")
    errors = np.array(watcher.errors[before:])
    found = float(errors[WALKED : WALKED + AFTER].max() / np.median(errors[:WALKED]))
    print(f"push {push}: {np.round(errors, 3).tolist()}, {found:.2f} times the median")
    return found


def test_the_prediction_error_tells_of_a_push(watcher: Watcher) -> None:
    assert excess(watcher, push=False) < FARTHER
    assert excess(watcher, push=True) >= FARTHER
