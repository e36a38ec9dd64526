"""The loop closes: the simulated robot, and the predictor with its planner and the model that comes with it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from examples.closed_loop import STEPS, processes, reach
from examples.watcher import STEP_NS, Watcher
from vjepa_ros.simulation import panda

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
    assert found.is_reached and found.first < STEPS
    assert len(found.took_ms) >= STEPS
    assert max(window["late"] for window in watcher.windows) == 0
    # What the model was told of each step is what the planner had sent for it: commands are there in time.
    sent = {status["window_stamp"] + STEP_NS: status["actions"][1] for status in watcher.plans.values()}
    done = [window for window in watcher.windows if window["frame_stamps"][-1] in sent]
    assert len(done) >= STEPS - 1
    for window in done:
        if found.begin_ns + STEP_NS <= window["frame_stamps"][-1] < found.end_ns:
            np.testing.assert_allclose(window["actions"][-1], sent[window["frame_stamps"][-1]], atol=1e-6)


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
