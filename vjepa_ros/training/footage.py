"""Episodes of frames that an encoder is trained on: some units of one run each, and the motions between them.

A unit is what goes through the encoder at once: a step's frames, or in ``clip`` a window, which stands for its newest
step. What an episode consists of says its place alone, as in :mod:`vjepa_ros.training.order`. It knows no files and no
losses.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vjepa_ros.config.checks import require
from vjepa_ros.config.model import ModelConfig
from vjepa_ros.config.normalization import Normalizations
from vjepa_ros.config.reductions import Effect
from vjepa_ros.engine.normalizing import Normalizing
from vjepa_ros.training.motion import Motion, Path, motion_of, path_of
from vjepa_ros.training.runs import Run

UNITS = 4
"""Of an episode."""
PAIRS = tuple(combinations(range(UNITS), 2))
FROZEN_SHARE = 0.25
"""Of the episodes whose units are taken at random, so many show each unit's last frame only, as a goal image would."""


class FrameSet(Protocol):
    """Preprocessed frames by unit; a tensor is one."""

    def __getitem__(self, units: Tensor) -> Tensor:
        """(n,) int64 -> (n, 3, frames_at_once, H, W), in any floating dtype."""


class Footage:
    """Frames and runs to draw episodes from.

    Args:
        frames: of the units of all runs; the unit of a row of latents is the row divided by ``kept``.
        runs: those that are drawn from.
        config: of the model.
        effect: what an action does.
        normalization: of actions and states.
        kept: what ``first_row`` of the runs counts for each unit: 1 where it counts units, else the rows of latents.
        motion: the units of motion, those of the training data; None where these are.
        seed: of what is drawn.

    Attributes:
        motion: the units of motion.

    Raises:
        ConfigError: where no run is long enough.
    """

    def __init__(
        self,
        frames: FrameSet,
        runs: Sequence[Run],
        config: ModelConfig,
        effect: Effect,
        normalization: Normalizations,
        kept: int,
        motion: Motion | None,
        seed: int,
    ) -> None:
        self._frames, self._whole, self._kept, self._seed = frames, config.way.is_whole, kept, seed
        self._before = config.steps - 1 if self._whole else 0  # steps of a run that have no unit
        self._context = config.most_context if self._whole else 1
        paths = [path_of(run, effect) for run in runs]
        self._drawn: list[tuple[Run, Path, int]] = []  # and the first step that counts
        for run, path in zip(runs, paths, strict=True):
            first = max(path.first, self._before)
            if run.steps - first >= UNITS:
                self._drawn.append((run, path, first))
        require(bool(self._drawn), "bags", f"have no {UNITS} steps that follow each other without a gap")
        self.motion = motion or motion_of(paths, effect, seed)
        counts = np.array([run.steps - first for run, _, first in self._drawn], float)
        self._shares = counts / counts.sum()
        cpu = torch.device("cpu")
        self._actions = Normalizing("actions", normalization.actions, cpu)
        self._states = Normalizing("states", normalization.states, cpu)

    def __call__(self, places: range) -> tuple[Tensor, ...]:
        """Episodes: those at even places have units that follow each other, the others any of their run, in order.

        Returns:
            frames (B, 4, 3, frames_at_once, H, W) float32; motions (B, 6, A) between each unit and each later one, in
            units of the data; their lengths (B, 6); actions (B, 4, c, A) and states (B, 4, c, S) of each unit's
            context, normalised.
        """
        units, frozen, motions, actions, states = [], [], [], [], []
        for place in places:
            generator = np.random.default_rng([self._seed, place])
            run, path, first = self._drawn[generator.choice(len(self._drawn), p=self._shares)]
            steps = self._steps(generator, first, run.steps, follow=place % 2 == 0)
            frozen.append(place % 2 == 1 and generator.random() < FROZEN_SHARE)
            # The unit of a step is that of its row: a window's rows stand together.
            units.append(run.first_row // self._kept + steps - self._before)
            at = path.places[steps - path.first]
            motions.append(self.motion.between(at[[i for i, _ in PAIRS]], at[[j for _, j in PAIRS]]))
            seen = steps[:, None] - np.arange(self._context - 1, -1, -1)  # (4, c)
            actions.append(run.actions[seen])
            states.append(run.states[seen])
        frames = self._frames[torch.from_numpy(np.concatenate(units))].float().contiguous()
        frames = frames.view(len(units), UNITS, *frames.shape[1:])  # (B, 4, 3, frames, H, W)
        for episode in np.flatnonzero(frozen):
            frames[episode] = frames[episode, :, :, -1:].expand_as(frames[episode]).clone()
        moved = np.stack(motions)
        return (
            frames,
            torch.from_numpy(moved).float(),
            torch.from_numpy(Motion.length(moved)).float(),
            self._actions(torch.from_numpy(np.stack(actions))).float(),
            self._states(torch.from_numpy(np.stack(states))).float(),
        )

    @staticmethod
    def _steps(generator: np.random.Generator, first: int, stop: int, follow: bool) -> NDArray[np.int64]:
        if follow:
            start = int(generator.integers(first, stop - UNITS + 1))
            return np.arange(start, start + UNITS)
        return np.sort(generator.choice(np.arange(first, stop), size=UNITS, replace=False))
