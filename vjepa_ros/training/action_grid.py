"""Where the true action stands among others on a grid around it: as ``vjepa_probe`` draws it, over held-back samples.

A model and latents in, numbers out; it knows no recordings and no pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.config.stream import StreamConfig
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.probe.landscape import Axis, choose_axes
from vjepa_ros.training.runs import Dataset, Sample

POINTS = 9
"""Grid points along each dimension; the true action is the middle."""
SAME = 1e-6
"""Energies of float32 that differ by less, as a share, differ by how a processor has rounded them."""
REACH = 2.0
"""How far the grid goes to either side, in steps of the usual length along that dimension."""


@dataclass(frozen=True)
class ActionGrid:
    """Energies around the true actions.

    Attributes:
        axes: one dimension of the action that is scanned, or two.
        offsets: (points,) what is added to the true action along each of them, in its units as read.
        energies: (n, points) or (n, points, points) float64, of n samples.
    """

    axes: tuple[Axis, ...]
    offsets: tuple[NDArray[np.float64], ...]
    energies: NDArray[np.float64]

    @property
    def ranks(self) -> NDArray[np.float64]:
        """(n,) the true action's place among all: 0 where no other has less energy, 1 where all have; equal ones share
        the mean of their places."""
        flat = self.energies.reshape(len(self.energies), -1)
        true = flat[:, flat.shape[1] // 2, None]
        same = np.isclose(flat, true, rtol=SAME, atol=0.0)
        lower, equal = ((flat < true) & ~same).sum(axis=1), same.sum(axis=1) - 1
        return np.asarray((lower + equal / 2) / (flat.shape[1] - 1), np.float64)

    @property
    def mean(self) -> NDArray[np.float64]:
        """(points,) or (points, points), the energies less that of the true action, mean over the samples."""
        flat = self.energies.reshape(len(self.energies), -1)
        less = flat - flat[:, flat.shape[1] // 2, None]
        return np.asarray(less.mean(axis=0).reshape(self.energies.shape[1:]), np.float64)


def scan(
    model: WorldModel,
    data: Dataset,
    samples: Sequence[Sample],
    stream: StreamConfig,
    lengths: NDArray[np.float64],
    batch_size: int,
    progress: Callable[[int], None] = lambda more: None,
) -> ActionGrid:
    """Forecast one step for every action of the grid, and compare with what came.

    Args:
        model: forecasts.
        data, samples: where from; at least one.
        stream: names the dimensions of the action.
        lengths: (A,) the usual length of a step along each, as read; not all zero.
        batch_size: forecasts that are made at once.
        progress: is told how many samples more are done.

    Raises:
        EngineError: where the model or its device fails.
    """
    axes = _axes(stream, lengths)
    offsets = tuple(np.linspace(-axis.span, axis.span, POINTS, dtype=np.float64) for axis in axes)
    for along in offsets:
        along[POINTS // 2] = 0.0  # exactly: it is the true action
    moved = np.stack([grid.ravel() for grid in np.meshgrid(*offsets, indexing="ij")], axis=1)  # (K, axes)
    context = model.config.most_context
    found = np.empty((len(samples), len(moved)))
    for index, sample in enumerate(samples):
        batch = data.batch([sample], context, 1)
        actions = batch.actions.numpy()
        candidates = np.tile(actions[0, -1], (len(moved), 1))  # (K, A)
        candidates[:, [axis.index for axis in axes]] += moved
        seen = model.observe(batch.context.flatten(1, 2), actions[:, :-1], batch.states)
        for start in range(0, len(moved), batch_size):
            part = slice(start, start + batch_size)
            forecasts = model.rollout_from(seen, candidates[part][None, :, None])[0]  # (k, 1, H'*W', D)
            found[index, part] = model.energy(forecasts, batch.targets[0]).cpu().numpy()[:, 0]
        progress(1)
    return ActionGrid(axes, offsets, found.reshape(len(samples), *(POINTS,) * len(axes)))


def _axes(stream: StreamConfig, lengths: NDArray[np.float64]) -> tuple[Axis, ...]:
    """The two dimensions that move most, of a pose two of x, y, z; the only one where there are no two."""
    longest = float(lengths.max())
    if len(lengths) == 1:
        return (Axis(0, stream.commands.joint_names[0], "as read", REACH * longest),)
    chosen = choose_axes(stream, (), lengths, (1.0, 1.0))
    return tuple(replace(axis, span=REACH * (float(lengths[axis.index]) or longest)) for axis in chosen)
