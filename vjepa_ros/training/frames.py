"""Preprocessed frames on disk, float16 and mapped, for training an encoder; and what goes through one, unit by unit.

A unit is what the encoder takes as one: a step, or in ``clip`` a window. Windows share frames: each stands there once
per run. It knows no models.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vjepa_ros.config.node import NodeConfig
from vjepa_ros.errors import BagError, place
from vjepa_ros.recordings.reading import Progress
from vjepa_ros.training import stages
from vjepa_ros.training.material import Material, units_of
from vjepa_ros.training.reading import Reader, joined

FRAMES = "frames.bin"
FORMAT = "float16 1"
COMMIT_BYTES = 64 * 2**20
"""Written between two looks at the disk: what a killed run has to do again."""


class RecordedClips:
    """What goes through the encoder, read from the recordings once more, exactly as a node would have it.

    Args:
        reader: of the recordings.
        material: what they held.
    """

    def __init__(self, reader: Reader, material: Material) -> None:
        self._reader = reader
        self._material = material

    def __call__(self, first: int) -> Iterator[NDArray[np.float32]]:
        """(3, frames_at_once, H, W) of each unit, from this one on.

        Raises:
            BagError: for a recording that is not what it was any more; it names it.
        """
        return _clips(self._reader, self._material, first, whole=self._reader.config.model.way.is_whole)


def _clips(reader: Reader, material: Material, first: int, *, whole: bool) -> Iterator[NDArray[np.float32]]:
    """(3, n, H, W) of each window, or of each step of all runs, from this one on."""
    config, count = reader.config, 0
    for index, path in enumerate(reader.plan.recordings):
        runs = [run for run in material.runs if run.recording == index]
        ends_ns = [stamp_ns for run in runs for stamp_ns in run.stamps_ns[config.stream.steps - 1 :].tolist()]
        here = len(ends_ns) if whole else sum(run.steps for run in runs)
        if count + here <= first:
            count += here
            continue
        windows = 0
        for begins, window in joined(reader.windows(index), config.stream.stride):
            if windows == len(ends_ns) or window.step_stamps_ns[-1] != ends_ns[windows]:
                raise _changed(path)
            windows += 1
            images = window.clip[0]  # (3, N, H, W)
            parts = [images] if whole else np.split(images, config.stream.steps, axis=1)
            for clip in parts if begins else parts[-1:]:
                if count >= first:
                    yield clip
                count += 1
        if windows != len(ends_ns):
            raise _changed(path)


def _changed(path: Path) -> BagError:
    return BagError(f"{place(path)}: has changed since it was read: begin again when nobody writes it any more")


class FrameSet:
    """The frames of all units, mapped from a file.

    Attributes:
        frames: (n, 3, H, W) float16, those of each run behind each other.
        firsts: (n_units,) where the frames of each unit begin; it has ``frames_at_once``.
        frames_at_once: of a unit.
    """

    def __init__(self, frames: Tensor, firsts: NDArray[np.int64], frames_at_once: int) -> None:
        self.frames = frames
        self.firsts = firsts
        self.frames_at_once = frames_at_once

    def __len__(self) -> int:
        """n_units."""
        return len(self.firsts)

    def __getitem__(self, units: Sequence[int] | NDArray[np.int64] | Tensor) -> Tensor:
        """(k, 3, frames_at_once, H, W) float32 of k units, as the encoder wants them.

        In ``tubelet`` and ``frame_repeat`` a unit is a row of a :class:`~vjepa_ros.training.runs.Dataset`; in ``clip``
        it is the row's index divided by ``kept``.
        """
        chosen = np.asarray(units, np.int64)
        places = self.firsts[chosen][:, None] + np.arange(self.frames_at_once)  # (k, frames_at_once)
        return self.frames[torch.from_numpy(places)].transpose(1, 2).float()

    def __call__(self, first: int) -> Iterator[NDArray[np.float32]]:
        """(3, frames_at_once, H, W) of each unit, from this one on; rounded to float16, by 5e-4 of each value."""
        for unit in range(first, len(self)):
            yield self[[unit]][0].numpy()


def firsts_of(material: Material, config: NodeConfig) -> NDArray[np.int64]:
    """(n_units,) where the frames of each unit begin, among those of all runs."""
    stride, place_of_run, firsts = config.stream.stride, 0, []
    for run in material.runs:
        firsts.append(place_of_run + stride * np.arange(units_of(run, config)))
        place_of_run += run.steps * stride
    return np.concatenate(firsts).astype(np.int64) if firsts else np.zeros(0, np.int64)


def keep_frames(
    reader: Reader, material: Material, folder: Path, progress: Progress = lambda what, done, total: None
) -> FrameSet:
    """The frames of all units: found in the stage ``frames``, or read now, going on where an earlier run was killed.

    Args:
        reader, material: the recordings, and what they hold.
        folder: of the training; entered.
        progress: is told how far it has come.

    Raises:
        BagError: for a recording that is not what it was any more.
        OSError: where the disk is full or fails; it names the file. What is on it is used by the next run.
    """
    config = reader.config
    stage = stages.Stage(folder, "frames", stages.key_of(material=material.key, format=FORMAT))
    height, width = config.model.image_size
    stride = config.stream.stride
    total = sum(run.steps for run in material.runs) * stride
    if stage.result is None:
        # A step's frames at a time: those of windows are the steps' once more.
        step_bytes = stride * 3 * height * width * 2
        with stages.Rows(stage, FRAMES, step_bytes, stage.begin()) as rows:
            uncommitted = 0
            for clip in _clips(reader, material, rows.units, whole=False):
                rows.append(np.ascontiguousarray(clip.swapaxes(0, 1), np.float16).data)  # (stride, 3, H, W)
                uncommitted += step_bytes
                progress("frames", rows.units * stride, total)
                if uncommitted >= COMMIT_BYTES:
                    rows.commit()
                    uncommitted = 0
            rows.commit()
        stage.finish({"frames": total})
    path, size = stage.path / FRAMES, total * 3 * height * width
    flat = torch.from_file(str(path), shared=False, size=size, dtype=torch.float16)
    frames = flat.view(total, 3, height, width)
    return FrameSet(frames, firsts_of(material, config), config.model.frames_at_once)
