"""V-JEPA 2 latents and action-conditioned forecasts from a robot's camera and joint commands.

``load`` gives the model without any ROS; the node lives in :mod:`vjepa_ros.ros`. Importing the package imports neither
torch nor rclpy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vjepa_ros.engine import WorldModel

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def load(
    preset: str = "tiny",
    checkpoint: str | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    seed: int = 0,
    random_predictor: bool = False,
    **overrides: Any,
) -> WorldModel:
    """Build a world model; see :func:`vjepa_ros.engine.load`."""
    from vjepa_ros import engine  # torch takes seconds to import: only who asks for a model pays for it

    return engine.load(
        preset,
        checkpoint=checkpoint,
        device=device,
        dtype=dtype,
        seed=seed,
        random_predictor=random_predictor,
        **overrides,
    )
