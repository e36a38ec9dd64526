"""What is held back: whole recordings or the last part of one, and never a frame that is trained on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import bags, trainings

from vjepa_ros.config.encodings import ENCODINGS
from vjepa_ros.errors import BagError, ConfigError
from vjepa_ros.training import stages
from vjepa_ros.training.data import Data
from vjepa_ros.training.frames import RecordedClips
from vjepa_ros.training.reading import joined
from vjepa_ros.training.runs import Dataset, Run
from vjepa_ros.training.split import part, split


def frames_of(data: Data, runs: tuple[Run, ...]) -> set[tuple[str, int, bytes]]:
    """What identifies the frames of all windows that the steps of these runs come from: recording, stamp, pixels."""
    found: set[tuple[str, int, bytes]] = set()
    for index, path in enumerate(data.plan.recordings):
        newest = {int(stamp) for run in runs if run.recording == index for stamp in run.stamps_ns[run_begin(data) :]}
        for _, window in joined(data._reader.windows(index), data.config.stream.stride):
            if window.step_stamps_ns[-1] in newest:
                found |= {(str(path), frame.stamp_ns, frame.image.tobytes()) for frame in window.frames}
    return found


def run_begin(data: Data) -> int:
    """The first step of a run that ends a window of it."""
    return data.config.stream.steps - 1


@pytest.mark.parametrize("spoil", [bags.unchanged, bags.loop, bags.drop_outs], ids=lambda spoil: spoil.__name__)
@pytest.mark.parametrize("encoding", ["clip", "frame_repeat"])
def test_the_last_part_of_a_single_recording_shares_no_frame(tmp_path: Path, spoil: Any, encoding: str) -> None:
    bag = bags.write(tmp_path / "bag", spoil(trainings.cut(0, 6)))
    data = trainings.prepared(trainings.plan(tmp_path, [bag], {**trainings.SMALL, "encoding": encoding}))
    train, held = frames_of(data, data.divided.train), frames_of(data, data.divided.held)
    assert train and held and not train & held
    assert not {pixels for _, _, pixels in train} & {pixels for _, _, pixels in held}
    newest_ns = max(stamp for _, stamp, _ in train)
    oldest_ns = min(stamp for _, stamp, _ in held)
    stream = data.config.stream
    assert oldest_ns - newest_ns >= stream.num_frames * 45e6, "a window lies between, 50 ms a frame"
    steps = [sum(run.steps for run in runs) for runs in (data.divided.train, data.divided.held, data.material.runs)]
    assert steps[0] + steps[1] + data.divided.unused == steps[2]
    assert 0.05 < steps[1] / steps[2] < 0.4
    assert str(bag) in data.divided.text and not data.divided.held_recordings
    assert not any(row.held for row in data.survey.recordings)


def test_of_a_recording_of_many_stretches_only_the_last_ones_are_held_back(tmp_path: Path) -> None:
    """Forty stretches of 20 steps, a minute apart: 80 steps are the last four, and nothing need lie between."""
    runs = [replace(made(0, 20), stamps_ns=made(0, 20).stamps_ns + number * 60 * bags.S) for number in range(40)]
    divided = split(trainings.plan(tmp_path, [tmp_path / "bag"]), runs, 8)
    assert [len(divided.train), len(divided.held), divided.unused] == [36, 4, 0]
    assert all(run.steps == 20 for run in (*divided.train, *divided.held))
    # The cut in the midst of a stretch takes a window from it, and nothing from the others.
    divided = split(trainings.plan(tmp_path, [tmp_path / "bag"]), [*runs[:-1], part(runs[-1], 0, 15)], 8)
    assert [run.steps for run in divided.held] == [4, 20, 20, 20, 15] and divided.train[-1].steps == 20 - 4 - 9
    assert len(divided.train) == 36 and divided.unused == 9


@pytest.mark.parametrize(("count", "expected"), [(2, {1}), (5, {4}), (14, {13}), (16, {14, 15}), (30, {27, 28, 29})])
def test_of_several_the_last_tenth_is_held_back(tmp_path: Path, count: int, expected: set[int]) -> None:
    runs = [made(index, 20) for index in range(count)]
    divided = split(trainings.plan(tmp_path, [tmp_path / f"bag{index}" for index in range(count)]), runs, 8)
    assert divided.held_recordings == expected and divided.unused == 0
    assert {run.recording for run in divided.held} == expected
    assert {run.recording for run in divided.train} == set(range(count)) - expected


def test_recordings_that_are_named_are_held_back_among_the_others_or_besides_them(tmp_path: Path) -> None:
    paths = [tmp_path / f"bag{index}" for index in range(3)]
    among = trainings.plan(tmp_path, paths, hold_back=[tmp_path / "." / "bag0"])
    assert among.recordings == paths
    assert split(among, [made(index, 20) for index in range(3)], 8).held_recordings == {0}
    besides = trainings.plan(tmp_path, paths[:2], hold_back=[paths[2], paths[1]])
    assert besides.recordings == paths
    assert split(besides, [made(index, 20) for index in range(3)], 8).held_recordings == {1, 2}
    everything = trainings.plan(tmp_path, paths, hold_back=paths)
    with pytest.raises(ConfigError, match="nothing is left to train on") as caught:
        split(everything, [made(index, 20) for index in range(3)], 8)
    assert caught.value.parameter == "hold_back"


def test_a_recording_in_another_is_refused_and_so_is_a_copy(tmp_path: Path) -> None:
    """They could be trained on and held back at once."""
    first, second = trainings.write(tmp_path, trainings.cut(0, 1), trainings.cut(1, 2))
    inner = next(first.glob("*.mcap"))
    with pytest.raises(BagError, match=r"bag0.*is in .*bag0 too"):
        trainings.prepared(trainings.plan(tmp_path, [first, second], hold_back=[inner]))
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in first.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    with pytest.raises(BagError, match="copy: has the same in it as .*bag0"):
        trainings.prepared(trainings.plan(tmp_path, [first, second, copy]))
    with pytest.raises(BagError, match="nowhere: there is no such bag"):
        trainings.prepared(trainings.plan(tmp_path, [first, tmp_path / "nowhere"]))


def made(recording: int, steps: int, first_row: int = 0) -> Run:
    numbers = np.arange(steps, dtype=np.float64)
    actions = np.stack([numbers, -numbers], axis=1)
    actions[-1] = 0
    return Run(recording, first_row, np.arange(steps) * 10**8, actions, actions.copy())


@pytest.mark.parametrize("encoding", ["clip", "tubelet"])
def test_a_part_of_a_run_has_the_rows_that_its_steps_had(encoding: str) -> None:
    """In clip a part's first window begins with its first step."""
    whole = made(0, 20, first_row=5)
    kept = 3 if encoding == "clip" else 1
    cut = part(whole, 6, 17)
    assert cut.actions[:-1].tolist() == whole.actions[6:16].tolist() and not cut.actions[-1].any()
    assert whole.actions[16].any(), "the whole run is as it was"
    rows = torch.zeros(0)
    way = ENCODINGS[encoding]
    one, other = (Dataset([replace(run, first_row=run.first_row * kept)], rows, way, 4, kept) for run in (whole, cut))
    wanted = {sample.newest: sample for sample in one.samples(3, 2)}
    got = other.samples(3, 2)
    assert len(got) == 6 if encoding == "clip" else 7
    for sample in got:
        same = wanted[sample.newest + 6]
        np.testing.assert_array_equal(other.context_rows(sample, 3), one.context_rows(same, 3))
        np.testing.assert_array_equal(other.target_rows(sample, 2), one.target_rows(same, 2))


def test_the_held_part_reads_its_own_windows(tmp_path: Path) -> None:
    """Rows of a part, found by the clips of the recording: the newest row of a step is of the window ending there."""
    bag = bags.write(tmp_path / "bag", trainings.cut(0, 6))
    data = trainings.prepared(trainings.plan(tmp_path, [bag], trainings.SMALL))
    clips = list(RecordedClips(data._reader, data.material)(0))
    windows = list(data._reader.windows(0))
    for run in data.divided.held + data.divided.train:
        for step in range(run_begin(data), run.steps):
            clip = clips[run.first_row + step - run_begin(data)]
            (window,) = [w for w in windows if w.step_stamps_ns[-1] == run.stamps_ns[step]]
            np.testing.assert_array_equal(clip, window.clip[0])
    assert stages.Stage(data.plan.folder, "windows", data.material.key).result is not None
