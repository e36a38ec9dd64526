"""The node with a model that fails on purpose: ``faulty.py FAULT``, then ROS arguments.

The faults: ``once`` and ``always`` raise as a device does that runs out of memory; ``nan`` gives values that are not
finite in every second window; ``slow`` takes half a second a window.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace

from vjepa_ros.errors import EngineError
from vjepa_ros.forecast import Imagination, Imagined
from vjepa_ros.ros import node
from vjepa_ros.ros.main import main
from vjepa_ros.stream.window import Window

FAULT = sys.argv.pop(1)


class FaultyImagination(Imagination):
    """Fails as it was told to."""

    attempts = 0

    def __call__(self, window: Window) -> Imagined:
        """Compute, and fail."""
        FaultyImagination.attempts += 1
        if FAULT == "always" or (FAULT == "once" and FaultyImagination.attempts == 1):
            raise EngineError("CUDA out of memory. Tried to allocate 20.00 GiB")
        if FAULT == "slow":
            time.sleep(0.5)
        imagined = super().__call__(window)
        if FAULT == "nan" and window.number % 2:
            imagined.predicted[..., 0] = float("nan")
            return replace(imagined, finite=False)
        return imagined


node.Imagination = FaultyImagination  # type: ignore[misc]
main()
