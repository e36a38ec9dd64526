"""What is evaluated in the tests: a small model, datasets of its latents, and figures made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from support.learnable import walks
from vjepa_ros.config.node import NodeConfig, resolve
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.forecast.forecaster import load_model
from vjepa_ros.probe.landscape import Axis
from vjepa_ros.training.action_grid import POINTS, ActionGrid
from vjepa_ros.training.figures import Evaluation, Forecasts, JointFigures, SpeedFigures, Worst
from vjepa_ros.training.runs import Dataset, Sample

JOINTS = ["shoulder", "elbow"]
SMALL: dict[str, Any] = {
    "preset": "tiny_random", "image_size": [32, 32], "num_frames": 8, "encoder_dim": 12, "encoder_heads": 1,
    "encoder_depth": 1, "predictor_dim": 24, "predictor_heads": 2, "predictor_depth": 1, "action_dim": 2,
    "state_dim": 2, "joint_names": JOINTS, "frame_rate": 10.0, "hop": 2, "encoding": "tubelet", "context_steps": 1,
    "actions.reduction": "difference", "actions.phase": "last", "device": "cpu", "threads": 1,
}  # fmt: skip
"""Parameters of a node: 4 patches a step, 12 channels, one layer."""


def small(**changes: Any) -> tuple[NodeConfig, WorldModel]:
    """Its configuration, and its model with random weights."""
    config = resolve({**SMALL, **changes})
    return config, load_model(config)


def walked(config: NodeConfig, recordings: int = 3, steps: int = 24, seed: int = 0, reach: float = 0.6) -> Dataset:
    """Runs whose latents follow from their actions."""
    return walks(config.model, recordings, steps, seed, reach)


def figures(
    errors: dict[int, float], shuffled: float | None = 3.0, rank: float = 0.0, moving: float = 0.9, change: float = 0.5
) -> Evaluation:
    """An evaluation that comes to these figures: errors over those of no change by steps ahead."""
    forecasts = {}
    for ahead, ratio in errors.items():
        samples = tuple(Sample(0, number) for number in range(1 if shuffled is None else 4))
        still = np.full((len(samples), ahead), change)
        forecasts[ahead] = Forecasts(samples, ratio * still, still, (shuffled or 1.0) * ratio * still)
    energies = np.full((2, POINTS**2), 1.0)
    middle = POINTS**2 // 2
    lower = round(rank * (POINTS**2 - 1))
    energies[:, [place for place in range(POINTS**2) if place != middle][:lower]] = 0.0
    energies[:, middle] = 0.5
    axes = tuple(Axis(index, name, "rad", 0.2) for index, name in enumerate(JOINTS))
    offsets = (np.linspace(-0.2, 0.2, POINTS),) * 2
    grid = ActionGrid(axes, offsets, energies.reshape(2, POINTS, POINTS))
    joints = tuple(JointFigures(name, -1.0, 1.0, 0.5, shuffled) for name in JOINTS)
    speeds = (SpeedFigures("still", 3, 0.1, 0.0), SpeedFigures("fast", 5, 0.2, 0.4))
    worst = (Worst(Sample(0, 5), 0, 12_500_000_000, max(errors), 0.4, 0.5),)
    return Evaluation(forecasts, grid, joints, speeds, worst, moving, False)
