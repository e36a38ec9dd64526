"""How near candidates come to a goal: the one home of their energies.

The energy is that of V-JEPA 2-AC's planner: the mean absolute difference between forecast and goal over tokens and
channels. Windows and arrays in, arrays out. No ROS, no threads, no clock.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from vjepa_ros.devices import failures
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.forecast.forecaster import SeenWindow
from vjepa_ros.model.rollout import Observed


class Energies:
    """Forecasts candidates and compares them with a goal; a window is observed once, however often it is asked about.

    Args:
        model: the world model.
    """

    def __init__(self, model: WorldModel) -> None:
        self._model = model
        self._observed: tuple[SeenWindow, Observed] | None = None  # the last window that was asked about

    def of(self, seen: SeenWindow, candidates: NDArray[np.float64], goal: torch.Tensor) -> NDArray[np.float32]:
        """The energies of each step's forecast.

        Args:
            seen: the window to start from.
            candidates: (K, H, A) actions as they are read; the first acts at the window's last step.
            goal: (1, H'*W', D), layer-normalised latents.

        Returns:
            (K, H) float32.

        Raises:
            EngineError: if the model or its device fails.
            ConfigError: where H is more than 1 and nobody knows how actions advance states.
        """
        if self._observed is None or self._observed[0] is not seen:
            self._observed = None  # before there are two
            self._observed = seen, self._model.observe(seen.context, seen.past_actions, seen.states)
        forecasts = self._model.rollout_from(self._observed[1], candidates)  # (K, H, H'*W', D)
        energies = self._model.energy(forecasts, goal)
        with failures("copying energies to the host"):
            return np.asarray(energies.cpu().numpy(), np.float32)

    def in_batches(
        self,
        seen: SeenWindow,
        candidates: NDArray[np.float64],
        goal: torch.Tensor,
        batch_size: int,
        progress: Callable[[int], None] = lambda more: None,
    ) -> NDArray[np.float32]:
        """The same, ``batch_size`` candidates at a time.

        Args:
            seen, candidates, goal: as for :meth:`of`.
            batch_size: bounds the memory that it takes.
            progress: is told how many candidates more are done.
        """
        found = np.empty(candidates.shape[:2], np.float32)
        for start in range(0, len(candidates), batch_size):
            batch = slice(start, start + batch_size)
            found[batch] = self.of(seen, candidates[batch], goal)
            progress(len(candidates[batch]))
        return found
