"""Small datasets for the tests of training: latents that their actions move, with the noise of nothing else.

Every recording draws a place, then walks, an action being the difference of two places; latents are waves over the
places. So a predictor that looks at actions can be right, and one that does not cannot.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from support.reference import small_config
from vjepa_ros.config.model import ModelConfig
from vjepa_ros.config.normalization import Normalizations
from vjepa_ros.model.blocks import layer_normalize
from vjepa_ros.model.grid import Grid
from vjepa_ros.training.runs import Dataset, Run

CPU_OPTIONS: dict[str, Any] = {"device": "cpu", "log_every": 1}


def tiny_config(**changes: Any) -> ModelConfig:
    """4 patches a step, 12 channels, one layer: a training step takes milliseconds."""
    sizes = {
        "image_size": 32, "num_frames": 8, "encoder_dim": 12, "encoder_heads": 1, "encoder_depth": 1,
        "predictor_dim": 24, "predictor_heads": 2, "predictor_depth": 1, "action_dim": 2, "state_dim": 3,
    }  # fmt: skip
    return small_config(**{**sizes, **changes})


def walks(config: ModelConfig, recordings: int = 3, steps: int = 24, seed: int = 0, reach: float = 0.6) -> Dataset:
    """Runs of so many steps, one a recording, with their latents as the stage of latents lays them out.

    Args:
        reach: how far one action moves at most, in a world of side 2.
    """
    generator = torch.Generator().manual_seed(seed)
    rule = torch.Generator().manual_seed(99)  # what a place looks like, whatever the seed
    size, dims = Grid.of(config).tokens_per_step, config.action_dim
    waves = torch.randn(dims, size * config.encoder_dim, generator=rule) * 1.5
    phases = torch.rand(size * config.encoder_dim, generator=rule) * 2 * torch.pi
    runs, rows, first = [], [], 0
    kept = config.most_context if config.way.is_whole else 1
    for number in range(recordings):
        places = torch.empty(steps, dims)
        places[0] = torch.rand(dims, generator=generator) * 2 - 1
        for step in range(1, steps):
            moved = places[step - 1] + (torch.rand(dims, generator=generator) * 2 - 1) * reach
            places[step] = moved.clamp(-1, 1)
        actions = torch.cat([places.diff(dim=0), torch.zeros(1, dims)])  # the last one is not known
        latents = layer_normalize((places @ waves + phases).sin().view(steps, size, config.encoder_dim))
        states = torch.randn(steps, config.state_dim, generator=generator)
        stamps = np.arange(steps, dtype=np.int64) * 100_000_000
        runs.append(Run(number, first, stamps, actions.double().numpy(), states.double().numpy()))
        laid = _by_windows(latents, config, kept) if config.way.is_whole else latents
        rows.append(laid)
        first += len(laid)
    return Dataset(runs, torch.cat(rows).bfloat16(), config.way, config.steps, kept)


def _by_windows(latents: Tensor, config: ModelConfig, kept: int) -> Tensor:
    """Each window's newest steps; a step seen by two windows differs a little, as with an encoder of whole windows."""
    windows = []
    for newest in range(config.steps - 1, len(latents)):
        tint = torch.randn(1, 1, latents.shape[2], generator=torch.Generator().manual_seed(newest)) * 0.05
        windows.append(layer_normalize(latents[newest - kept + 1 : newest + 1] + tint))
    return torch.cat(windows)


def as_read(config: ModelConfig) -> Normalizations:
    """Actions and states stay what they are."""
    return Normalizations.of({}, config.action_dim, config.state_dim)
