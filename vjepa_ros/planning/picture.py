"""A goal beside what a plan is expected to lead to, as colours. Latents in, pixels out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.pictures.colours import principal_colours, side_by_side


def beside(goal: NDArray[np.float32], forecast: NDArray[np.float32], rows: int, cols: int) -> NDArray[np.uint8]:
    """Both in the colours of their common first three principal components: alike is what the model takes for alike.

    Args:
        goal, forecast: (rows * cols, D).

    Returns:
        (height, width, 3) uint8 RGB: the goal on the left.
    """
    both = np.stack([goal, forecast]).reshape(2, rows, cols, -1)
    return side_by_side(principal_colours(both))
