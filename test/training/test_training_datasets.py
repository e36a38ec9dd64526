"""A LeRobotDataset as a recording to train on: a run for each of its episodes, with its own rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from support import lerobot, trainings

from vjepa_ros.training.frames import RecordedClips

LENGTHS = (40, 23, 30, 15, 20)
EPISODES = [lerobot.episode(length, seed) for seed, length in enumerate(LENGTHS)]


def test_each_episode_is_a_run_and_the_last_ones_are_held_back(tmp_path: Path) -> None:
    dataset = lerobot.Form().write(tmp_path / "dataset", EPISODES)
    asked = trainings.plan(tmp_path, [dataset], trainings.SMALL, topics={"image": lerobot.CAMERAS[0]})
    data = trainings.prepared(asked)
    runs = data.material.runs
    assert [run.steps for run in runs] == [length // 2 for length in LENGTHS]
    for run, one in zip(runs, EPISODES, strict=True):
        np.testing.assert_array_equal(run.actions[:-1], one.action[: 2 * run.steps : 2][:-1].astype(np.float64))
        np.testing.assert_array_equal(run.states, one.state[: 2 * run.steps : 2].astype(np.float64))
    windows = [length // 2 - 3 for length in LENGTHS]
    assert data.survey.windows == sum(windows) and data.survey.recordings[0].path == str(dataset)
    clips = list(RecordedClips(data._reader, data.material)(0))
    assert len(clips) == sum(windows)
    begin = 0
    for number in windows:
        frames = [clip[:, :2] for clip in clips[begin : begin + number]]
        assert len({frame.tobytes() for frame in frames}) == number, "each window begins with frames of its own"
        begin += number
    held = sum(run.steps for run in data.divided.held)
    assert held == 4 + 16 and data.divided.held[-1].steps == 10  # a window, and twice the 8 steps that are looked ahead
    assert {id(run) for run in data.divided.train}.isdisjoint(map(id, data.divided.held))


def test_a_dataset_and_bags_of_its_episodes_are_the_same_to_train_on(tmp_path: Path) -> None:
    dataset = lerobot.Form().write(tmp_path / "dataset", EPISODES)
    camera = lerobot.CAMERAS[0]
    starts = lerobot.starts_ns(EPISODES, 20)
    paths = [
        lerobot.bag(tmp_path / f"bag{number}", one, start_ns, 20, camera)
        for number, (one, start_ns) in enumerate(zip(EPISODES, starts, strict=True))
    ]
    (tmp_path / "one").mkdir()
    one = trainings.prepared(trainings.plan(tmp_path / "one", [dataset], trainings.SMALL, topics={"image": camera}))
    many = trainings.prepared(trainings.plan(tmp_path, paths, trainings.SMALL))
    assert len(one.material.runs) == len(many.material.runs) == 5
    for run, other in zip(one.material.runs, many.material.runs, strict=True):
        for name in ("stamps_ns", "actions", "states"):
            np.testing.assert_array_equal(getattr(run, name), getattr(other, name))
        assert run.first_row == other.first_row
    clips = (RecordedClips(data._reader, data.material)(0) for data in (one, many))
    for clip, other_clip in zip(*clips, strict=True):
        np.testing.assert_array_equal(clip, other_clip)
