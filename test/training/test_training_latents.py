"""Latents on disk: of every encoding the ones that a node computes, whole or not there, whatever happens meanwhile."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support import bags, trainings

import vjepa_ros
from vjepa_ros.config.node import resolve
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import BagError, EngineError
from vjepa_ros.training import frames, latents, stages
from vjepa_ros.training.data import Data, prepare
from vjepa_ros.training.plan import Plan
from vjepa_ros.training.runs import Dataset

ENCODINGS: dict[str, dict[str, Any]] = {
    "clip": {},
    "clip, all steps": {"context_steps": 0},
    "tubelet": {"encoding": "tubelet"},
    "frame_repeat": {"encoding": "frame_repeat"},
    "frame": {"encoding": "frame", "encoder_family": "vjepa2_1", "encoder_depth": 4},
    "tubelet_size 1": {"encoding": "tubelet", "tubelet_size": 1, "num_frames": 4},
    "clip, tubelet_size 1": {"tubelet_size": 1, "num_frames": 4, "context_steps": 1},
}


def model_of(values: dict[str, Any]) -> WorldModel:
    return vjepa_ros.load("tiny_random", fast=False, **{**trainings.SMALL, **values})


def paths_of(folder: Path) -> list[Path]:
    """Two recordings, the first one with a gap of the camera."""
    return trainings.write(folder, trainings.without(1.5, 2.7, trainings.cut(0, 4)), trainings.cut(4, 5.5))


def datasets(asked: Plan, model: WorldModel, clips: Any = None, *, whole_hash: str = "hash") -> tuple[Dataset, Dataset]:
    with stages.entered(asked.folder, asked.out) as folder:
        return prepare(asked, folder).datasets(model, whole_hash, folder, clips=clips)


def never(_first: int) -> Iterator[NDArray[np.float32]]:
    raise AssertionError("nothing is encoded again")


@pytest.mark.parametrize("name", ENCODINGS)
def test_samples_have_the_latents_of_the_windows_that_end_at_their_steps(tmp_path: Path, name: str) -> None:
    values = {**trainings.SMALL, **ENCODINGS[name]}
    paths, model = paths_of(tmp_path), model_of(ENCODINGS[name])
    asked = trainings.plan(tmp_path, paths, values)
    config = resolve({**trainings.VALUES, **values})
    context, ahead = asked.sample(config.model)
    assert (context, ahead) == (config.model.most_context, 2 if config.model.way.is_whole else max(1, 3 - context))
    exact = total = 0
    for path, dataset in zip(paths, datasets(asked, model), strict=True):
        settings = {**trainings.VALUES, **values, "hop": config.model.stride}
        windows = list(vjepa_ros.read_windows(path, settings=settings))
        encoded = {w.step_stamps_ns[-1]: model.grid.unflatten(model.encode(w.clip)).flatten(2, 3)[0] for w in windows}
        samples = dataset.samples(context, ahead)
        assert len(samples) > 3 and len(dataset.runs) == (2 if path == paths[0] else 1)
        batch = dataset.batch(samples, context, ahead)
        for row, sample in enumerate(samples):
            run = dataset.runs[sample.run]
            ends = [int(run.stamps_ns[sample.newest + number]) for number in range(ahead + 1)]
            if ends[0] in encoded:  # of a step alone, there is a context before the first whole window
                want = torch.cat([encoded[ends[0]][-context:], *(encoded[end][-1:] for end in ends[1:])])
                got = torch.cat([batch.context[row], batch.targets[row]])
                torch.testing.assert_close(got, want, rtol=2**-7, atol=1e-5)  # a bfloat16 has 8 bits
                exact += int((got == want.bfloat16().float()).sum())
                total += got.numel()
            begin, end = sample.newest - context + 1, sample.newest + ahead
            np.testing.assert_array_equal(batch.actions[row], run.actions[begin:end])
            np.testing.assert_array_equal(batch.states[row], run.states[begin:end])
    assert total and exact > 0.999 * total, f"{exact} of {total} as they are, rounded"


@pytest.mark.parametrize("name", ["clip", "tubelet"])
def test_frames_on_disk_are_those_of_the_windows(tmp_path: Path, name: str) -> None:
    values = {**trainings.SMALL, **ENCODINGS[name]}
    paths, model = paths_of(tmp_path), model_of(ENCODINGS[name])
    asked = trainings.plan(tmp_path, paths, values)
    with stages.entered(asked.folder, asked.out) as folder:
        data = prepare(asked, folder)
        kept = data.frames(folder)
        again = data.frames(folder)
        units = data.material.units(data.config)
        assert len(kept) == units and torch.equal(kept.frames, again.frames)
        own, recorded = list(kept(0)), list(frames.RecordedClips(data._reader, data.material)(0))
        assert len(own) == len(recorded) == units
        for one, other in zip(own, recorded, strict=True):
            np.testing.assert_array_equal(one, other.astype(np.float16).astype(np.float32))
        two = kept[[units - 1, 3]]
        assert two.shape == (2, 3, model.config.frames_at_once, 64, 64) and two.dtype == torch.float32
        np.testing.assert_array_equal(two[1], own[3])
        assert len(list(kept(units - 2))) == 2
        train, _ = data.datasets(model, "hash", folder, clips=kept)
        float16 = train.rows.clone()
    # The stage is the same whichever way its clips came; they are told apart by whoever trains an encoder.
    (asked.folder / "latents" / stages.MARKER).unlink()
    train, _ = datasets(asked, model)
    assert (float16.float() - train.rows.float()).abs().mean() < 1e-3


def test_what_is_there_is_not_encoded_again_and_another_encoder_is(tmp_path: Path) -> None:
    asked, model = trainings.plan(tmp_path, paths_of(tmp_path), trainings.SMALL), model_of({})
    first, _ = datasets(asked, model)
    again, held = datasets(asked, model, never)
    assert torch.equal(first.rows, again.rows) and again.rows.dtype == torch.bfloat16
    assert held.rows is again.rows and again.kept == 2
    with pytest.raises(AssertionError, match="nothing is encoded again"):
        datasets(asked, model, never, whole_hash="other")


# Trains nothing: prepares the data of the plan on the command line, and dies without a word in the midst of a stage.
KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from support import trainings
import vjepa_ros
from vjepa_ros.training import frames, latents, stages
from vjepa_ros.training.data import prepare
latents.BATCH_PX, latents.COMMIT_BYTES, frames.COMMIT_BYTES = 3 * 8 * 64 * 64, 1500, 5 * 4 * 3 * 64 * 64
folder, stage, after = Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
asked = trainings.plan(folder, [folder / "bag0", folder / "bag1"], trainings.SMALL)
def progress(what, done, total):
    if what == stage and done >= after:
        os.kill(os.getpid(), signal.SIGKILL)
with stages.entered(asked.folder, asked.out) as entered:
    data = prepare(asked, entered, progress)
    if stage == "frames":
        data.frames(entered, progress)
    model = vjepa_ros.load("tiny_random", fast=False, **trainings.SMALL)
    data.datasets(model, "hash", entered, progress)
"""


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latents, "BATCH_PX", 3 * 8 * 64 * 64)
    monkeypatch.setattr(latents, "COMMIT_BYTES", 1500)
    monkeypatch.setattr(frames, "COMMIT_BYTES", 5 * 4 * 3 * 64 * 64)


@pytest.mark.parametrize(
    ("stage", "after", "name"),
    [
        ("recordings", 1, ""),
        ("frames", 40, frames.FRAMES),
        ("latents", 10, latents.LATENTS),
        ("latents", 29, latents.LATENTS),
    ],
)
def test_killed_anywhere_it_goes_on_to_the_same_bits(
    tmp_path: Path, small_batches: None, stage: str, after: int, name: str
) -> None:
    whole, other = tmp_path / "whole", tmp_path / "killed"
    model = model_of({})
    for folder in (whole, other):
        paths_of(folder)
    support = str(Path(__file__).parents[1])
    command = [sys.executable, "-c", KILLED, support, str(other), stage, str(after)]
    assert subprocess.run(command, timeout=300).returncode == -signal.SIGKILL
    if name:
        found = stages.from_json((other / "model.train" / stage / stages.MARKER).read_text())
        assert found["units"] > 0 and "result" not in found
    done: dict[Path, tuple[Data, Dataset]] = {}
    seen: list[tuple[str, int]] = []
    for folder in (whole, other):
        asked = trainings.plan(folder, [folder / "bag0", folder / "bag1"], trainings.SMALL)
        with stages.entered(asked.folder, asked.out) as entered:
            seen.clear()
            data = prepare(asked, entered, lambda what, done, total: seen.append((what, done)))
            if stage == "frames":
                data.frames(entered, lambda what, done, total: seen.append((what, done)))
            train, _ = data.datasets(model, "hash", entered, lambda what, done, total: seen.append((what, done)))
        done[folder] = (data, train)
    if name:
        first = min(count for what, count in seen if what == stage)
        assert first > found["units"] / 2, "it did not begin again"
        content = [(folder / "model.train" / stage / name).read_bytes() for folder in (whole, other)]
        assert content[0] == content[1] and len(content[0]) > 0
    assert torch.equal(done[whole][1].rows, done[other][1].rows)
    assert done[whole][0].survey.actions == done[other][0].survey.actions


@pytest.mark.parametrize("stage", ["windows", "frames", "latents"])
def test_a_full_disk_is_one_sentence_and_the_next_run_goes_on(tmp_path: Path, small_batches: None, stage: str) -> None:
    asked, model = trainings.plan(tmp_path, paths_of(tmp_path), trainings.SMALL), model_of({})
    size = {"windows": 2000, "frames": 300_000, "latents": 9000}[stage]
    with stages.entered(asked.folder, asked.out) as folder:
        with pytest.raises(OSError) as caught:
            if stage == "windows":
                with trainings.largest_file(size):
                    prepare(asked, folder)
            data = prepare(asked, folder)
            with trainings.largest_file(size):
                data.frames(folder) if stage == "frames" else data.datasets(model, "hash", folder)
        assert Path(str(caught.value.filename)).is_relative_to(folder / stage)
        assert caught.value.strerror == "File too large"
        data = prepare(asked, folder)
        train, _ = data.datasets(model, "hash", folder)
        assert len(data.frames(folder)) == data.material.units(data.config)
    fresh = Plan(asked.bags, asked.values, tmp_path / "fresh.safetensors")
    assert torch.equal(train.rows, datasets(fresh, model)[0].rows)


def test_an_encoder_that_gives_no_numbers_is_refused(tmp_path: Path) -> None:
    asked, model = trainings.plan(tmp_path, paths_of(tmp_path), trainings.SMALL), model_of({})
    with torch.inference_mode():
        next(iter(model.encoder.parameters())).fill_(float("nan"))
    with pytest.raises(EngineError, match="not finite"):
        datasets(asked, model)
    assert stages.Stage(asked.folder, "latents", "any").result is None


def test_a_recording_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    asked, model = trainings.plan(tmp_path, paths_of(tmp_path), trainings.SMALL), model_of({})
    with stages.entered(asked.folder, asked.out) as folder:
        data = prepare(asked, folder)
        (tmp_path / "bag1").rename(tmp_path / "old")
        bags.write(tmp_path / "bag1", trainings.cut(5, 7))
        with pytest.raises(BagError, match="bag1: has changed since it was read"):
            data.datasets(model, "hash", folder)
