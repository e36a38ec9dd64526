"""A model that fails: retried, reported, never published; the node lives, and its other windows are the oracle's."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from support.fault_feed import MODEL, STREAM, Feed
from support.fault_table import Row
from support.harness import Predictor, Robot, ending_well
from support.messages import MS, T0_NS, image_message

from vjepa_ros import latents

OK, WARN, ERROR = b"\0", b"\1", b"\2"


@contextmanager
def faulty(tmp_path: Path, fault: str, **parameters: object) -> Iterator[tuple[Predictor, Robot]]:
    """The active node with a model that fails as ``tmp_path / "fault"`` says, and a robot."""
    (tmp_path / "fault").write_text(fault, encoding="utf-8")
    program = [str(Path(__file__).parents[1] / "support" / "faulty_node.py"), str(tmp_path / "fault")]
    predictor = Predictor(tmp_path / "log.txt", dict(parameters), program=program)
    robot = Robot()
    with ending_well(predictor, robot):
        robot.start()
        yield predictor, robot


@pytest.mark.fault("model raises once")
def test_a_model_that_fails_once_is_tried_again(tmp_path: Path, row: Row) -> None:
    with faulty(tmp_path, "once") as (_, robot):
        feed = Feed(robot)
        feed.both(0, 18)
        assert feed.check() == 2, "the window that failed is not lost"
        feed.counted(MODEL, failures=1, done=2)  # together: the last report may be from between the failure and the end
    row.injected, row.lost = "1 failure in 2 windows", "nothing: tried again, counted"


@pytest.mark.fault("out of device memory")
def test_want_of_memory_passes(tmp_path: Path, row: Row) -> None:
    with faulty(tmp_path, "memory", max_failures=2) as (predictor, robot):
        feed = Feed(robot)
        feed.both(0, 22)
        assert feed.check() == 4
        assert robot.spin(lambda: robot.diagnostics.get(MODEL, {}).get("failures") == "4")
        # The first warning tells of those until then, and more follow only after a while.
        assert robot.spin(lambda: bool(re.search(r"health: failures: [1-4] failures of the model", predictor.log)))
    row.injected, row.lost = "every first attempt of 4 windows", "nothing: tried again, counted"


@pytest.mark.fault("model raises always")
def test_a_model_that_always_fails_is_reported_and_can_be_configured_again(tmp_path: Path, row: Row) -> None:
    with faulty(tmp_path, "always", max_failures=3) as (predictor, robot):
        robot.send_frames(0, 20)
        assert robot.spin(lambda: robot.levels.get(MODEL) == ERROR)
        assert robot.diagnostics[MODEL]["failures"] == "3"
        assert robot.predicted == robot.windows == []
        given_up = "the model has failed and is given up: CUDA out of memory"
        assert robot.spin(lambda: given_up in predictor.log) and predictor.log.count(given_up) == 1
        assert robot.state() == "active"
        (tmp_path / "fault").write_text("none", encoding="utf-8")
        robot.start()  # deactivate, clean up, configure, activate
        feed = Feed(robot)
        feed.both(0, 20)
        assert feed.check() == 3
        robot.levels.clear()
        assert robot.spin(lambda: robot.levels.get(MODEL) == OK)
        assert robot.diagnostics[MODEL]["failures"] == "0"
    row.injected, row.lost = "every attempt, 3 allowed", "all windows until it is configured again; an error says so"


@pytest.mark.fault("non-finite outputs")
def test_what_is_not_finite_is_never_published(tmp_path: Path, row: Row) -> None:
    with faulty(tmp_path, "nan", **{"latents.publish_context": True}) as (predictor, robot):
        feed = Feed(robot)
        feed.both(0, 22)  # windows 0 to 3
        assert robot.spin(lambda: robot.diagnostics.get(MODEL, {}).get("not_finite") == "2")
        assert robot.levels[MODEL] == WARN
        assert feed.check(only=(0, 2)) == 2
        assert robot.spin(lambda: len(robot.contexts) == 2)
        assert [window["window"] for window in robot.windows] == [0, 2]
        assert all(np.isfinite(latents.read(message, robot.info).array).all() for message in robot.predicted)
        assert "model: not_finite: window 1" in predictor.log
    row.injected, row.lost = "2 of 4 windows", "these 2, never published, counted"


@pytest.mark.fault("model slower than the camera")
def test_of_windows_that_come_too_fast_the_newest_wins_and_the_rest_is_counted(tmp_path: Path, row: Row) -> None:
    with faulty(tmp_path, "slow", queue="latest") as (_, robot):
        started_s = time.monotonic()
        feed = Feed(robot)
        feed.both(0, 36)  # windows 0 to 10, much faster than one in half a second
        assert robot.spin(lambda: bool(robot.windows) and robot.windows[-1]["window"] == 10)
        published = [window["window"] for window in robot.windows]
        most = 1 + (time.monotonic() - started_s) / 0.5  # however slow the machine: the model takes half a second
        assert published == sorted(set(published)) and len(published) <= min(most, 10)
        feed.check(only=published)
        assert robot.spin(lambda: robot.diagnostics.get(MODEL, {}).get("superseded") == str(11 - len(published)))
    row.injected, row.lost = "11 windows within one of the model's", f"{11 - len(published)} superseded, counted"


def test_silence_is_not_health(tmp_path: Path) -> None:
    with faulty(tmp_path, "none", **{"actions.max_wait_s": 0.0}) as (predictor, robot):
        assert robot.spin(lambda: robot.levels.get(STREAM) == WARN)
        assert robot.spin(lambda: "no frames" in predictor.log)
        for index in range(40):
            robot.images.publish(image_message(T0_NS + index * 50 * MS, index))
        assert robot.spin(lambda: int(robot.diagnostics.get(STREAM, {}).get("windows_skipped", 0)) == 13)
        assert robot.spin(lambda: "windows skipped for want of them" in predictor.log)
        assert "steps without a command" in predictor.log
        assert robot.windows == []
