"""How long a window takes, stage by stage: of each stage its last durations, and what lies below most of them.

Durations in, numbers out. Both the executor's thread and the worker's write; it measures nothing itself.
"""

from __future__ import annotations

from collections import deque

import numpy as np

STAGES = ("decode", "wait", "encode", "predict", "publish")
"""A frame's way from its message to the latents: decoded and resized, waiting for the model, through it, sent."""
PERCENTILES = (50, 95, 99)
KEPT = 1_000  # durations of each stage


class Stages:
    """The last durations of every stage; one append per duration."""

    def __init__(self) -> None:
        self._ms: dict[str, deque[float]] = {name: deque(maxlen=KEPT) for name in STAGES}

    def add(self, stage: str, took_ms: float) -> None:
        """A stage has ended."""
        self._ms[stage].append(took_ms)

    @property
    def values(self) -> dict[str, float]:
        """``STAGE_p50_ms`` and so on, of those that have durations yet."""
        found: dict[str, float] = {}
        for stage, durations in self._ms.items():
            copied = list(durations)  # the other thread may append meanwhile
            if copied:
                for percent, value in zip(PERCENTILES, np.percentile(copied, PERCENTILES), strict=True):
                    found[f"{stage}_p{percent}_ms"] = round(float(value), 3)
        return found
