"""The figure that a picture of a probe, or of a scan, is drawn on. Needs matplotlib."""

from __future__ import annotations

from typing import Any

from vjepa_ros.errors import ConfigError


def blank(file: str, height: float) -> Any:
    """A figure to draw on: to be had before minutes are spent on forecasts.

    Args:
        file: the picture's name.
        height: in inches.

    Raises:
        ConfigError: where matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError(
            file, f"needs the package matplotlib ({error}); install it, or leave the picture out by `draws`"
        ) from error
    return Figure(figsize=(13, height), layout="constrained")
