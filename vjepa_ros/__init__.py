"""V-JEPA 2 latents and action-conditioned forecasts from a robot's camera and joint commands.

What is public without ROS; the node lives in :mod:`vjepa_ros.ros`. Importing the package imports neither torch nor
numpy nor rclpy: each name is imported when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vjepa_ros import latents
    from vjepa_ros.config.presets import preset_names
    from vjepa_ros.engine.loading import load
    from vjepa_ros.engine.world_model import WorldModel
    from vjepa_ros.errors import (
        BagError,
        CheckpointError,
        ConfigError,
        EngineError,
        InputError,
        OutputError,
        ShapeError,
        VjepaError,
    )
    from vjepa_ros.planning.plan import plan
    from vjepa_ros.recordings.windows import read_windows

__version__ = "0.1.0"
__all__ = [
    "BagError",
    "CheckpointError",
    "ConfigError",
    "EngineError",
    "InputError",
    "OutputError",
    "ShapeError",
    "VjepaError",
    "WorldModel",
    "__version__",
    "latents",
    "load",
    "plan",
    "preset_names",
    "read_windows",
]

_HOMES = {
    **{name: "errors" for name in __all__ if name.endswith("Error")},
    "WorldModel": "engine.world_model",
    "load": "engine.loading",
    "plan": "planning.plan",
    "preset_names": "config.presets",
    "read_windows": "recordings.windows",
}


def __getattr__(name: str) -> Any:
    if name == "latents":
        return import_module("vjepa_ros.latents")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"vjepa_ros.{_HOMES[name]}"), name)
    globals()[name] = value  # the next time it is simply there
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
