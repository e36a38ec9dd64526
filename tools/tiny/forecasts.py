"""What a model knows of the simulated arm: how good its forecasts are, and whether its latents say where the tip is.

Episodes in, figures out; nobody plans here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.geometry import Vector
from vjepa_ros.simulation import panda
from vjepa_ros.simulation.episodes import TICKS, Episode
from vjepa_ros.simulation.plan import STEP_FRAMES

AHEAD = (1, 4, 8)
_RIDGE = 1e-2  # of the probe, per sample


@dataclass(frozen=True)
class Watched:
    """Episodes as a model sees them.

    Attributes:
        latents: (B, T, H'*W', D).
        joints: (B, T, 7) rad at the last frame of each step.
        actions: (B, T, 7) rad: the joint targets that are in force from each step on.
    """

    latents: Tensor
    joints: Vector
    actions: Vector

    @property
    def tips(self) -> Vector:
        """(B, T, 3) m."""
        return panda.tips_of(self.joints)


def watched(wm: WorldModel, episodes: Sequence[Episode]) -> Watched:
    """Encode episodes, all of one length."""
    latents, joints, actions = [], [], []
    for episode in episodes:
        steps = len(episode.pictures) // STEP_FRAMES
        clips = [episode.pictures[STEP_FRAMES * step : STEP_FRAMES * (step + 1)] for step in range(steps)]
        latents.append(wm.encode(torch.cat([wm.preprocess(clip) for clip in clips])))
        joints.append(episode.joints[TICKS * (STEP_FRAMES - 1) :: TICKS * STEP_FRAMES])
        actions.append(episode.commands[1:])
    return Watched(torch.stack(latents), np.stack(joints), np.stack(actions))


def errors(wm: WorldModel, seen: Watched) -> dict[str, float]:
    """``k1``, ``k4``, ``k8``: the error of forecasts over that of no change, so many steps ahead; ``shuffled4``: that
    with the actions of another episode over that with the right ones, at 4. Means over all episodes and steps."""
    count, steps = seen.latents.shape[:2]
    most = max(AHEAD)
    found = dict.fromkeys((*(f"k{ahead}" for ahead in AHEAD), "still1", "still4", "still8", "shuffled"), 0.0)
    for row in range(count):
        other = (row + 1) % count
        for step in range(steps - most):
            window = seen.latents[row, step][None], np.zeros((1, 0, 7)), seen.joints[row, step][None, None]
            futures = np.stack([seen.actions[which, step : step + most] for which in (row, other)])
            forecasts = wm.rollout(*window, futures)  # (2, most, H'*W', D)
            for ahead in AHEAD:
                truth = seen.latents[row, step + ahead]
                found[f"k{ahead}"] += float(wm.energy(forecasts[0, ahead - 1], truth))
                found[f"still{ahead}"] += float(wm.energy(seen.latents[row, step], truth))
            found["shuffled"] += float(wm.energy(forecasts[1, 3], seen.latents[row, step + 4]))
    ratios = {f"k{ahead}": found[f"k{ahead}"] / found[f"still{ahead}"] for ahead in AHEAD}
    return {**ratios, "shuffled4": found["shuffled"] / found["k4"]}


def tip_r2(known: Watched, asked: Watched) -> tuple[float, float]:
    """How well a linear map of the latents says where the tip is, in scenes that it was not fitted on.

    Args:
        known: what it is fitted on.
        asked: what it is judged by.

    Returns:
        R2 of the worst of x, y and z; and the root mean square of the distance, in m.
    """
    inputs, wanted = _rows(known), known.tips.reshape(-1, 3)
    middle = wanted.mean(axis=0)
    gram = inputs.T @ inputs + _RIDGE * len(inputs) * np.eye(inputs.shape[1])
    read = np.linalg.solve(gram, inputs.T @ (wanted - middle))
    truth = asked.tips.reshape(-1, 3)
    wrong = _rows(asked) @ read + middle - truth
    r2 = 1 - (wrong**2).sum(axis=0) / ((truth - truth.mean(axis=0)) ** 2).sum(axis=0)
    return float(r2.min()), float(np.sqrt((wrong**2).sum(axis=1).mean()))


def _rows(seen: Watched) -> Vector:
    rows = seen.latents.flatten(0, 1).flatten(1).double().numpy()
    return np.concatenate([rows, np.ones((len(rows), 1))], axis=1)
