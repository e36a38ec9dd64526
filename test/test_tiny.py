"""The model that comes with the package: what it reaches, what its forecasts are worth, and how its training begins.

tools/eval_tiny.py judges it by many more goals (docs/models/tiny.md has its figures).
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tensorboardX.proto.event_pb2 import Event

import vjepa_ros
from tools import eval_tiny
from tools.tiny import reaching
from tools.tiny.world import Stage
from vjepa_ros.config.sidecar import Sidecar
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.simulation.plan import World

ROOT = Path(__file__).resolve().parent.parent
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


def losses(folder: Path) -> list[float]:
    """Of the steps that were told, as TensorBoard reads them."""
    (file,) = folder.glob("events/events.*")
    content, found, place = file.read_bytes(), [], 0
    while place < len(content):  # a length and its checksum, an event and its checksum
        (size,) = struct.unpack("<Q", content[place : place + 8])
        event = Event.FromString(content[place + 12 : place + 12 + size])
        found += [value.simple_value for value in event.summary.value if value.tag == "train/loss"]
        place += 16 + size
    return found


FIRST_LOSSES = {"encoder": 1.3335, "predictor": 1.3983}
"""Means over the first ten steps, as they came on the machine that the weights were trained on."""


@pytest.mark.timeout(300)
def test_the_first_steps_of_its_training_are_those_of_the_recipe(tmp_path: Path) -> None:
    few = {
        "FOLDER": str(tmp_path / "work"), "OUT": str(tmp_path / "out"), "VARIED": "6", "VARIED_BAGS": "2", "WIDE": "4",
        "WIDE_BAGS": "2", "ENCODER_STEPS": "10", "STEPS": "10", "GOALS": "0",
    }  # fmt: skip
    done = subprocess.run(
        [ROOT / "tools" / "tiny.sh"], env={**os.environ, **few}, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr
    for part, expected in FIRST_LOSSES.items():
        assert losses(tmp_path / "work" / "tiny.train" / f"{part}_states")[0] == pytest.approx(expected, rel=0.02), part
    ours, new = (
        Sidecar.of_checkpoint(ROOT / "vjepa_ros/weights/tiny.safetensors"),
        Sidecar.of_checkpoint(tmp_path / "out" / "tiny.safetensors"),
    )
    assert ours is not None and new is not None
    assert (ours.preset, ours.sizes, ours.convention) == (new.preset, new.sizes, new.convention)
