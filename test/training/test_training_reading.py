"""Recordings as runs of steps: what they say is what the node's windows say inside, in whatever state the bag is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import bags, oracle, recorded, trainings

import vjepa_ros
from vjepa_ros.config.node import resolve
from vjepa_ros.training import material, stages
from vjepa_ros.training.gathering import gather
from vjepa_ros.training.material import Material
from vjepa_ros.training.plan import Plan
from vjepa_ros.training.runs import Run

REDUCTIONS: dict[str, dict[str, Any]] = {
    "pick": {},
    "mean": {"actions.reduction": "mean"},
    "difference": {"actions.reduction": "difference"},
    "commands": {"states.source": "commands"},
    "sum": {"actions.reduction": "sum"},
    "no tail": {"actions.reduction": "sum", "actions.tail": "zero"},
    "pose_delta": {"actions.reduction": "pose_delta"},
    "last": {"actions.reduction": "difference", "actions.phase": "last"},
    "frame_repeat": {"encoding": "frame_repeat", "actions.reduction": "sum"},
    "frame": {"encoding": "frame", "encoder_family": "vjepa2_1", "encoder_depth": 4, "actions.reduction": "sum"},
    "tubelet_size 1": {"encoding": "tubelet", "tubelet_size": 1, "actions.reduction": "sum"},
    "two steps": {"num_frames": 4, "actions.reduction": "sum"},
    "two steps, backwards": {"num_frames": 4, "actions.reduction": "difference"},
    "rate": {"frame_rate": 15.0},
    "linear": {"actions.alignment": "linear", "states.alignment": "linear", "frame_rate": 12.0},
}


def read(asked: Plan) -> Material:
    with stages.entered(asked.folder, asked.out) as folder:
        return gather(asked, folder)[1]


def window_values(bag: Path, values: dict[str, Any]) -> list[Any]:
    stride = resolve(values).model.stride
    return list(vjepa_ros.read_windows(bag, settings={**values, "hop": stride}))


def require_inside(run: Run, windows: list[Any], reaches_ahead: bool) -> int:
    """Each step is what every window says that has it inside; at the run's ends, what its first and last window say.

    Returns:
        How many values were compared.
    """
    compared = 0
    for window in windows:
        stamps_ns = list(window.step_stamps_ns)
        begin = int(np.searchsorted(run.stamps_ns, stamps_ns[0]))
        steps = len(stamps_ns)
        assert run.stamps_ns[begin : begin + steps].tolist() == stamps_ns
        for position in range(steps):
            step = begin + position
            is_end = position == steps - 1
            if not (position == 0 and begin > 0) and not is_end:
                np.testing.assert_array_equal(run.actions[step], window.actions.values[position])
                compared += 1
            if is_end and not reaches_ahead and step < run.steps - 1:
                np.testing.assert_array_equal(run.actions[step], window.actions.values[position])
            if not (position == 0 and begin > 0):
                np.testing.assert_array_equal(run.states[step], window.states.values[position])
    np.testing.assert_array_equal(run.actions[-1], 0)
    return compared


@pytest.mark.parametrize("name", REDUCTIONS)
def test_a_step_is_what_the_windows_say_that_have_it_inside(tmp_path: Path, name: str) -> None:
    values = {**trainings.VALUES, **REDUCTIONS[name]}
    (bag,) = trainings.write(tmp_path, trainings.cut(0, 2))
    windows = window_values(bag, values)
    found = read(trainings.plan(tmp_path, [bag], REDUCTIONS[name]))
    (run,) = found.runs
    steps = len(windows[0].step_stamps_ns)
    assert run.steps == len(windows) + steps - 1 and run.first_row == 0
    assert (np.diff(run.stamps_ns) > 0).all()
    assert len({tuple(action) for action in run.actions}) > 5, "the sample moves"
    reaches_ahead = resolve(values).stream.reaches_ahead
    if steps > 2:
        assert require_inside(run, windows, reaches_ahead) > len(windows)
        return
    for index, window in enumerate(windows):  # no inside: a guess is never taken, nor a first step's past
        if reaches_ahead:
            np.testing.assert_array_equal(run.actions[index], window.actions.values[0])
        elif index + 1 < len(windows):
            np.testing.assert_array_equal(run.actions[index + 1], window.actions.values[1])
        np.testing.assert_array_equal(run.states[index + 1], window.states.values[1])


@pytest.mark.parametrize("reduction", ["sum", "pose_delta"])
def test_the_last_action_of_a_window_is_a_guess_and_is_not_trained_on(tmp_path: Path, reduction: str) -> None:
    """What the oracle says was commanded after each step, from the whole recording; the newest action is something
    else."""
    values = {"actions.reduction": reduction}
    (bag,) = trainings.write(tmp_path, trainings.cut(1, 4))
    (run,) = read(trainings.plan(tmp_path, [bag], values)).runs
    messages = recorded.oracle_lists(bag)
    want = oracle.windows(*messages, **recorded.oracle_arguments() | {"reduction": reduction})
    guessed = 0
    for step, window in enumerate(want[:-1], 7):
        assert window["step_stamps"][-1] == run.stamps_ns[step]
        np.testing.assert_allclose(run.actions[step], want[step - 6]["actions"][-2], rtol=0, atol=1e-12)
        guessed += not np.allclose(run.actions[step], window["actions"][-1])
    assert guessed > 20, "the sample is not still"
    for first in range(7):
        np.testing.assert_allclose(run.actions[first], want[0]["actions"][first], rtol=0, atol=1e-12)


@pytest.mark.parametrize("spoil", bags.WORSE, ids=lambda spoil: spoil.__name__)
def test_worse_recordings_break_into_runs_at_every_hole(
    tmp_path: Path, spoil: Callable[[list[bags.Message]], list[bags.Message]]
) -> None:
    values = {"actions.reduction": "sum"}
    bag = bags.write(tmp_path / "bag", spoil(trainings.SAMPLE))
    windows = window_values(bag, {**trainings.VALUES, **values})
    found = read(trainings.plan(tmp_path, [bag], values))
    assert sum(run.steps - 7 for run in found.runs) == len(windows)
    left = list(windows)
    for run in found.runs:
        own, left = left[: run.steps - 7], left[run.steps - 7 :]
        assert len({window.epoch for window in own}) == 1
        assert require_inside(run, own, reaches_ahead=True) >= 7
        frames = [window.frames for window in own]
        for before, after in zip(frames, frames[1:], strict=False):
            assert [f.stamp_ns for f in after[:-2]] == [f.stamp_ns for f in before[2:]]
    firsts = [run.first_row for run in found.runs]
    assert firsts == np.cumsum([0, *(run.steps - 7 for run in found.runs)])[:-1].tolist(), "units are windows in clip"
    (tally,) = found.tallies
    assert tally.counts["windows"] == len(windows)
    if spoil in (bags.drop_outs, bags.loop, bags.stall):
        assert len(found.runs) > 1


def test_what_is_read_once_is_found_again_until_something_changes(tmp_path: Path) -> None:
    paths = trainings.write(tmp_path, trainings.cut(0, 2), trainings.cut(2, 4))
    asked = trainings.plan(tmp_path, paths)
    first = read(asked)
    said: list[str] = []
    with stages.entered(asked.folder, asked.out) as folder:
        reader, again = gather(asked, folder, lambda what, done, total: said.append(what))
        marker = (folder / "windows" / stages.MARKER).stat().st_mtime_ns
    assert set(said) == {"bytes"}, "nothing is read but for the hashes"
    assert again.tallies == first.tallies and (again.key, again.hashes) == (first.key, first.hashes)
    for one, other in zip(first.runs, again.runs, strict=True):
        assert (one.recording, one.first_row) == (other.recording, other.first_row)
        for name in ("stamps_ns", "actions", "states"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
            assert getattr(one, name).dtype == getattr(other, name).dtype
    assert read(trainings.plan(tmp_path, paths, {"actions.phase": "last"})).key != first.key
    assert (asked.folder / "windows" / stages.MARKER).stat().st_mtime_ns != marker
    assert read(trainings.plan(tmp_path, paths, {"threads": 1, "device": "cpu"})).key == first.key
    with next(paths[1].glob("*.mcap")).open("ab") as file:
        file.write(b"\0")
    assert read(asked).key != first.key
    assert reader.config.stream.hop == 2


@pytest.mark.parametrize("name", [material.RUNS, material.TALLIES])
def test_a_damaged_file_is_read_anew(tmp_path: Path, name: str) -> None:
    asked = trainings.plan(tmp_path, trainings.write(tmp_path, trainings.cut(0, 2)))
    first = read(asked)
    path = asked.folder / "windows" / name
    content = bytearray(path.read_bytes())
    content[: len(content) // 2] = bytes(len(content) // 2)  # of the same size
    path.write_bytes(content)
    again = read(asked)
    np.testing.assert_array_equal(again.runs[0].actions, first.runs[0].actions)
    assert again.tallies == first.tallies
