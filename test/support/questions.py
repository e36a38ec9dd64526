"""Questions as planners send them."""

from __future__ import annotations

import numpy as np


def some_candidates(candidates: int = 5, steps: int = 3, joints: int = 7) -> np.ndarray:
    numbers = np.random.default_rng(7).normal(size=(candidates, steps, joints))
    return numbers.astype(np.float32).astype(np.float64)
