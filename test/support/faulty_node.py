"""The node with a model that fails on purpose: ``faulty.py FILE``, then ROS arguments; the file says how it fails.

It is read at every attempt, so that a fault can end. The faults: ``once`` and ``always`` raise as a device does that
runs out of memory; ``nan`` gives values that are not finite in every second window; ``slow`` takes half a second a
window, ``slower`` four; ``memory`` has the encoder ask torch's allocator for more memory than there is, in every second
window; ``endless`` computes in torch for four seconds a window; ``nan_energies`` has plans compared with numbers that
are none, ``bug`` with latents of another shape; ``none`` is no fault.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import EngineError, ShapeError
from vjepa_ros.forecast.forecaster import Forecaster, WindowForecast
from vjepa_ros.ros import camera
from vjepa_ros.ros.main import main
from vjepa_ros.stream.window import Window

FAULT = Path(sys.argv.pop(1))


def exhaust_memory(clip: torch.Tensor) -> torch.Tensor:
    """What the allocator says to this is what it says to a real want of memory."""
    return torch.empty(2**50, dtype=clip.dtype)


class FaultyForecaster(Forecaster):
    """Fails as it is told to."""

    attempts = 0

    def __call__(self, window: Window) -> WindowForecast:
        """Compute, and fail."""
        FaultyForecaster.attempts += 1
        fault = FAULT.read_text(encoding="utf-8")
        if fault == "always" or (fault == "once" and FaultyForecaster.attempts == 1):
            raise EngineError("CUDA out of memory. Tried to allocate 20.00 GiB")
        if fault in ("slow", "slower"):
            time.sleep(0.5 if fault == "slow" else 4.0)
        whole = self._model.encoder
        if fault == "memory" and FaultyForecaster.attempts % 2:
            self._model.encoder = exhaust_memory  # type: ignore[assignment]
        if fault == "endless":
            print("a long window begins", flush=True)
            end_s = time.monotonic() + 4.0
            while time.monotonic() < end_s:
                torch.mm(torch.ones(1000, 1000), torch.ones(1000, 1000))
        try:
            forecast = super().__call__(window)
        finally:
            self._model.encoder = whole
        if fault == "nan" and window.number % 2:
            forecast.predicted[..., 0] = float("nan")
            return replace(forecast, finite=False)
        return forecast


_energy = WorldModel.energy


def faulty_energy(self: WorldModel, *arguments: Any, **named: Any) -> torch.Tensor:
    """The energies, or what is none."""
    fault = FAULT.read_text(encoding="utf-8")
    if fault == "bug":
        raise ShapeError("latents of another shape")
    return _energy(self, *arguments, **named) * (float("nan") if fault == "nan_energies" else 1.0)


WorldModel.energy = faulty_energy  # type: ignore[method-assign]
camera.Forecaster = FaultyForecaster  # type: ignore[misc]
main()
