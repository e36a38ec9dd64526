"""What is trained on: stretches of steps without a gap, with latents by row, and which rows a sample is made of.

Arrays and tensors in, indices and batches out; it knows no recordings, no files, no models and no losses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vjepa_ros.config.encodings import Encoding


@dataclass(frozen=True)
class Run:
    """Steps of one recording that follow each other a step period apart, none left out.

    Attributes:
        recording: index of the recording that it comes from.
        first_row: index of its first row of latents.
        stamps_ns: (M,) stamps of the steps.
        actions: (M, A) float64, as they are read; action m leads from step m to step m+1, known for all but the last,
            whose row holds zeros.
        states: (M, S) float64, as they are read.
    """

    recording: int
    first_row: int
    stamps_ns: NDArray[np.int64]
    actions: NDArray[np.float64]
    states: NDArray[np.float64]

    @property
    def steps(self) -> int:
        """M."""
        return len(self.stamps_ns)


@dataclass(frozen=True)
class Sample:
    """Where a sample lies: its context's newest step, in a run.

    Attributes:
        run: index of the run.
        newest: m, the newest step of the context.
    """

    run: int
    newest: int


@dataclass(frozen=True)
class Batch:
    """Samples that are trained on together.

    Attributes:
        context: (B, c, H'*W', D) float32, layer-normalised latents of the observed steps.
        targets: (B, h, H'*W', D) float32, of the steps after the newest one.
        actions: (B, c+h-1, A) float64, as they are read, from the first observed step on.
        states: (B, c+h-1, S) float64, as they are read.
    """

    context: Tensor
    targets: Tensor
    actions: Tensor
    states: Tensor


class Dataset:
    """Runs and their latents.

    In ``tubelet`` and ``frame_repeat`` each step of a run has one row. In ``clip`` a window is encoded as a whole: each
    window has ``kept`` rows, its newest steps, and the first ``window_steps - 1`` steps of a run have no window.

    Args:
        runs: all of them.
        rows: (n, H'*W', D) latents, in any dtype; may be mapped from a file.
        encoding: of the model.
        window_steps: T', steps of a whole window.
        kept: rows per window in ``clip``.
    """

    def __init__(self, runs: Sequence[Run], rows: Tensor, encoding: Encoding, window_steps: int, kept: int) -> None:
        self.runs = tuple(runs)
        self.rows = rows
        self.encoding = encoding
        self.window_steps = window_steps
        self.kept = kept if encoding.is_whole else 1

    def first_step(self, context: int) -> int:
        """The first step of a run that can be the newest of a context of so many steps."""
        return self.window_steps - 1 if self.encoding.is_whole else context - 1

    def samples(self, context: int, ahead: int, only: Sequence[int] | None = None) -> list[Sample]:
        """All samples with so many steps of context and so many after it.

        Args:
            context: c; in ``clip`` at most ``kept``.
            ahead: h, steps after the newest one.
            only: indices of the recordings that count; None for all.
        """
        return [
            Sample(index, newest)
            for index, run in enumerate(self.runs)
            if only is None or run.recording in only
            for newest in range(self.first_step(context), run.steps - ahead)
        ]

    def context_rows(self, sample: Sample, context: int) -> NDArray[np.int64]:
        """(c,) rows of the context, the oldest step first."""
        newest = self.newest_row(sample.run, sample.newest)
        return np.arange(newest - context + 1, newest + 1)

    def newest_row(self, run: int, step: int) -> int:
        """The row of a step as the newest of what was encoded with it: what a forecast of it is compared with."""
        first = self.runs[run].first_row
        if self.encoding.is_whole:
            return first + (step - self.window_steps + 2) * self.kept - 1
        return first + step

    def target_rows(self, sample: Sample, ahead: int) -> NDArray[np.int64]:
        """(h,) rows of the steps after the newest one."""
        return np.array([self.newest_row(sample.run, sample.newest + 1 + number) for number in range(ahead)])

    def batch(self, samples: Sequence[Sample], context: int, ahead: int) -> Batch:
        """The samples as tensors, on the CPU."""
        contexts = np.stack([self.context_rows(sample, context) for sample in samples])
        targets = np.stack([self.target_rows(sample, ahead) for sample in samples])
        actions, states = (
            torch.from_numpy(
                np.stack(
                    [
                        getattr(self.runs[sample.run], name)[sample.newest - context + 1 : sample.newest + ahead]
                        for sample in samples
                    ]
                )
            )
            for name in ("actions", "states")
        )
        return Batch(
            self.rows[torch.from_numpy(contexts)].float(), self.rows[torch.from_numpy(targets)].float(), actions, states
        )
