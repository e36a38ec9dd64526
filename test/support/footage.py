"""Frames of a small world for the tests of encoders: a bright dot that the actions move over a dark ground."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from support.reference import small_config
from vjepa_ros.config.model import ModelConfig
from vjepa_ros.training.runs import Run


def dot_config(**changes: Any) -> ModelConfig:
    """4 patches of 8 px a step."""
    sizes = {
        "image_size": 16, "patch_size": 8, "num_frames": 4, "encoder_dim": 16, "encoder_heads": 1, "encoder_depth": 1,
        "predictor_dim": 24, "predictor_heads": 2, "predictor_depth": 1, "action_dim": 2, "state_dim": 2,
        "encoding": "tubelet",
    }  # fmt: skip
    return small_config(**{**sizes, **changes})


def dots(config: ModelConfig, recordings: int = 8, steps: int = 12, seed: int = 0) -> tuple[Tensor, list[Run]]:
    """Units of frames (n, 3, frames_at_once, H, W) float16 and runs, whose actions are differences of the dot's places.

    Within a step the dot stands still. The first rows are of latents, ``most_context`` a window in ``clip``.
    """
    generator = np.random.default_rng(seed)
    height, width = config.image_size
    units, runs, rows = [], [], 0
    kept = config.most_context if config.way.is_whole else 1
    for number in range(recordings):
        places = np.empty((steps, 2))
        places[0] = generator.uniform(-1, 1, 2)
        for step in range(1, steps):
            places[step] = np.clip(places[step - 1] + generator.uniform(-0.6, 0.6, 2), -1, 1)
        actions = np.concatenate([np.diff(places, axis=0), np.zeros((1, 2))])
        y, x = np.mgrid[0:height, 0:width]
        at = (places + 1) / 2 * (np.array([width, height]) - 1)
        images = np.exp(-((x - at[:, :1, None]) ** 2 + (y - at[:, 1:, None]) ** 2) / 8)  # (M, H, W)
        images = np.repeat(images[:, None], 3, axis=1) * 4 - 1  # (M, 3, H, W)
        frames = np.repeat(images, config.stride, axis=0)  # (M*stride, 3, H, W)
        at_once, hop = config.frames_at_once, config.stride
        starts = range(0, len(frames) - at_once + 1, hop)
        units += [frames[start : start + at_once].transpose(1, 0, 2, 3) for start in starts]
        stamps = np.arange(steps, dtype=np.int64) * 100_000_000
        runs.append(Run(number, rows, stamps, actions, places))
        rows += len(starts) * kept
    return torch.from_numpy(np.stack(units)).half(), runs
