"""A goal beside what a plan is expected to lead to, as colours. Latents in, pixels out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SIDE_PX = 16  # of a token
_GAP_PX = 8


def beside(goal: NDArray[np.float32], forecast: NDArray[np.float32], rows: int, cols: int) -> NDArray[np.uint8]:
    """Both in the colours of their common first three principal components: alike is what the model takes for alike.

    Args:
        goal, forecast: (rows * cols, D).

    Returns:
        (height, width, 3) uint8 RGB: the goal on the left.
    """
    both = np.concatenate([goal, forecast]).astype(np.float64)
    both -= both.mean(axis=0)
    # By the products of tokens with each other: there are fewer tokens than channels.
    powers, tokens = np.linalg.eigh(both @ both.T)
    colours = tokens[:, :-4:-1] * np.sqrt(np.maximum(powers[:-4:-1], 0.0))  # (2 * rows * cols, 3)
    low, high = np.percentile(colours, (2, 98), axis=0)
    shades = np.clip((colours - low) / np.maximum(high - low, 1e-12), 0, 1)
    pictures = (shades * 255).round().astype(np.uint8).reshape(2, rows, cols, 3)
    pictures = pictures.repeat(_SIDE_PX, axis=1).repeat(_SIDE_PX, axis=2)
    gap = np.full((rows * _SIDE_PX, _GAP_PX, 3), 255, np.uint8)
    return np.concatenate([pictures[0], gap, pictures[1]], axis=1)
