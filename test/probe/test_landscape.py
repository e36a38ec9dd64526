"""Landscapes whose minimum is known, and what rows, ranks and sentences make of numbers that are worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support import builders

import vjepa_ros
from vjepa_ros.config.node import NodeConfig, resolve
from vjepa_ros.errors import ConfigError
from vjepa_ros.forecast.forecaster import Forecaster
from vjepa_ros.planning.energies import Energies
from vjepa_ros.probe.landscape import Axis, Landscape, Scan, choose_axes, medians
from vjepa_ros.probe.probing import sentences

JOINTS = [f"joint_{index}" for index in range(7)]
MEAN, STD = [0.1 * index for index in range(7)], [0.2 + 0.1 * index for index in range(7)]


def config(**changes: object) -> NodeConfig:
    values = {"joint_names": JOINTS, "device": "cpu", "threads": 1, "actions.mean": MEAN, "actions.std": STD}
    return resolve({**values, **{name.replace("__", "."): value for name, value in changes.items()}})


def scan(points: int = 5) -> Scan:
    return Scan((Axis(4, "joint_4", "rad", 1.5), Axis(1, "joint_1", "rad", 2.0)), points)


def test_the_grid_moves_two_dimensions_and_no_other() -> None:
    action = np.arange(7.0)
    candidates = scan().candidates(action).reshape(5, 5, 7)
    np.testing.assert_array_equal(candidates[2, 2], action)
    for first, along_4 in enumerate((-1.5, -0.75, 0, 0.75, 1.5)):
        for second, along_1 in enumerate((-2, -1, 0, 1, 2)):
            np.testing.assert_array_equal(
                candidates[first, second], action + along_4 * np.eye(7)[4] + along_1 * np.eye(7)[1]
            )


@pytest.mark.parametrize("encoding", ["clip", "frame_repeat"])
@pytest.mark.parametrize("true", [(0, 3), (2, 2), (4, 1)])
def test_the_minimum_lies_at_the_action_that_the_goal_was_forecast_by(encoding: str, true: tuple[int, int]) -> None:
    """Forecasts by hand: the engine alone, actions normalised here, each candidate by itself."""
    frames = {"clip": 16, "frame_repeat": 8}[encoding]
    settings = config(encoding=encoding, num_frames=frames, hop=1 if encoding == "frame_repeat" else 2)
    model = vjepa_ros.load("tiny_random", encoding=encoding, num_frames=frames)
    asked = vjepa_ros.load("tiny_random", encoding=encoding, num_frames=frames, normalization=settings.normalization)
    forecaster = Forecaster(asked, settings)
    window = builders.model_window()
    window = window.__class__(**{**window.__dict__, "frames": window.frames[:frames]})
    seen = forecaster.see(window)
    recorded = window.actions.values[-1]
    offsets = np.linspace(-1.5, 1.5, 5)[true[0]], np.linspace(-2, 2, 5)[true[1]]
    action = recorded + offsets[0] * np.eye(7)[4] + offsets[1] * np.eye(7)[1]
    past = (window.actions.values[None, :-1] - MEAN) / STD
    goal = model.rollout(seen.context, past, window.states.values[None], (action[None, None] - MEAN) / STD)[0]
    candidates = scan().candidates(recorded)[:, None]
    found = Energies(asked).in_batches(seen, candidates, goal, 16).reshape(5, 5)
    others = np.delete(found.ravel(), np.ravel_multi_index(true, (5, 5)))
    print(f"{encoding}: at the true action {found[true]:.2e}, next {others.min():.2e}, highest {others.max():.2e}")
    assert found[true] < 1e-6
    assert others.min() > 2e-5
    landscape = Landscape(0, 0, 0, recorded, found, 1.0)
    assert landscape.minimum == true
    row = landscape.row(scan())
    np.testing.assert_allclose([row["offset_joint_4"], row["offset_joint_1"]], offsets)
    np.testing.assert_allclose([row["minimum_joint_4"], row["minimum_joint_1"]], action[[4, 1]])
    assert (row["rank"] == 1) == (true == (2, 2))


def test_batches_change_nothing_and_are_counted() -> None:
    model = vjepa_ros.load("tiny_random")
    seen = Forecaster(model, config()).see(builders.model_window())
    results = []
    for size in (1, 4, 100):
        done: list[int] = []
        candidates = scan(3).candidates(np.zeros(7))[:, None]
        results.append(Energies(model).in_batches(seen, candidates, torch.zeros(1, 16, 128), size, done.append))
        assert done == [min(size, 9 - first) for first in range(0, 9, size)]
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], rtol=1e-5)


def by_hand(rows: list[list[float]], no_change: float = 9.0) -> Landscape:
    return Landscape(0, 7, 10**9, np.arange(7.0), np.array(rows, np.float32), no_change)


def test_rows_and_medians_by_hand() -> None:
    one = by_hand([[5, 4, 6], [3, 4, 4], [2, 8, 7]], no_change=3.5)
    assert (one.minimum, one.recorded) == ((2, 0), 4.0)
    assert one.rank == 4  # 2 and 3 are lower; three share the places 3, 4, 5
    row = one.row(scan(3))
    assert row == {
        "epoch": 0, "window": 7, "stamp_ns": 10**9,
        "recorded_joint_4": 4.0, "minimum_joint_4": 5.5, "offset_joint_4": 1.5,
        "recorded_joint_1": 1.0, "minimum_joint_1": -1.0, "offset_joint_1": -2.0,
        "steps_off": 1, "energy_recorded": 4.0, "energy_minimum": 2.0, "energy_maximum": 8.0, "energy_no_change": 3.5,
        "rank": 4.0,
    }  # fmt: skip
    best = by_hand([[5, 4, 6], [3, 1, 4], [2, 8, 7]])
    assert best.rank == 1
    assert by_hand([[1, 1, 1]] * 3).rank == 5, "a flat landscape tells nothing: the middle of nine"
    middle = medians([row, best.row(scan(3))])
    assert (middle["offset_joint_4"], middle["energy_recorded"], middle["rank"]) == (0.75, 2.5, 2.5)
    assert "stamp_ns" not in middle


def test_sentences_by_hand() -> None:
    off, best = by_hand([[5, 4, 6], [3, 4, 4], [2, 8, 7]], no_change=3.5), by_hand([[5, 4, 6], [3, 1, 4], [2, 8, 7]])
    said = sentences(scan(3), [off, off, best], trained=True)
    assert said == [
        "The minimum lies +1.5 in joint_4 [rad] and -2 in joint_1 [rad] off the recorded action on the median of 3 "
        "windows, 1 grid steps (of 1.5 and 2) away; the recorded action ranks 4 of 9.",
        "The energies of a grid differ by 6, of 4 for the recorded action; its forecast was nearer to what came "
        "than no change in 1 of 3 windows.",
        "In 2 of 3 windows the minimum lies on the edge of the grid; `spans` widens it.",
        "Forecasts farther off than no change are worth little: look at weights, view and the actions' units first.",
    ]
    untrained = sentences(scan(3), [best], trained=False)
    assert untrained[0] == "UNTRAINED: the weights are not trained, so none of this says anything about the camera."
    assert not any("camera's pose" in sentence or "edge" in sentence for sentence in untrained)
    far = by_hand([[1, 2, 2, 2, 2], *[[2.0] * 5] * 4])
    assert "camera's pose" in sentences(scan(), [far], trained=True)[-1]
    assert not any("camera's pose" in sentence for sentence in sentences(scan(), [far], trained=False))


def test_dimensions_by_name_by_index_and_by_movement() -> None:
    stream, movement = config().stream, np.array([0.0, 3, 1, 0, 0, 2, 0])

    def chosen(*dims: str) -> list[tuple[int, str, str, float]]:
        return [(a.index, a.name, a.unit, a.span) for a in choose_axes(stream, dims, movement, (0.1, 0.2))]

    assert chosen("joint_5", "joint_2") == [(5, "joint_5", "rad or m", 0.1), (2, "joint_2", "rad or m", 0.2)]
    assert chosen("0", "joint_6") == [(0, "joint_0", "rad or m", 0.1), (6, "joint_6", "rad or m", 0.2)]
    assert chosen() == [(1, "joint_1", "rad or m", 0.1), (5, "joint_5", "rad or m", 0.2)]
    for dims, said in (
        (["joint_0"], "names 1 dimensions"), (["joint_0", "7"], "'7' is no dimension"),
        (["1", "joint_1"], "joint_1 twice"),
        (["x", "y"], "'x' is no dimension of the action; there are 0: joint_0, 1: joint_1"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=f"^dims: .*{said}"):
            chosen(*dims)
    pose = config(actions__reduction="pose_delta", actions__tail="zero").stream
    turning = np.array([0.0, 0.1, 0.3, 9, 9, 9, 9])
    assert [(a.index, a.unit) for a in choose_axes(pose, [], turning, (1, 1))] == [(1, "m"), (2, "m")]
    assert [a.unit for a in choose_axes(pose, ["3", "6"], turning, (1, 1))] == ["rad", "0..1"]
    scaled = config(actions__scale=[2.0] * 7).stream
    assert {a.unit for a in choose_axes(scaled, [], movement, (1, 1))} == {"as read"}
    alone = config(joint_names=["slide"], action_dim=1, state_dim=1, actions__mean=[], actions__std=[]).stream
    with pytest.raises(ConfigError, match="^dims: the action has one dimension"):
        choose_axes(alone, [], np.zeros(1), (1, 1))
