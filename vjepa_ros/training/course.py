"""How a training stands: what is told of it, what is kept of it besides weights, and what its result depends on.

Values only; it knows no loop and no files.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from vjepa_ros.training.learning import Learning

Inputs = Callable[[range], tuple[Tensor, ...]]
"""Places in the order of the data -> what the module takes, on the CPU."""


@dataclass(frozen=True)
class Progress:
    """What is told while it goes on.

    Attributes:
        step, steps: done, and all there will be.
        rate: the learning rate of the last one.
        figures: ``loss`` and whatever else the module says, means over the steps since they were last told.
        held_back: the same of the held-back samples, where they were just looked at; else None.
        left_s: how long it will still take, as it went so far.
    """

    step: int
    steps: int
    rate: float
    figures: dict[str, float]
    held_back: dict[str, float] | None
    left_s: float


@dataclass(frozen=True)
class HeldBack:
    """Samples that are never trained on.

    Attributes:
        inputs: of samples by their numbers.
        count: how many there are.
    """

    inputs: Inputs
    count: int


@dataclass
class Course:
    """How far a training is, apart from weights and optimizer.

    Attributes:
        step: steps done.
        best_step: the step after which the loss on held-back samples was lowest; the last one where there are none.
        best_loss: that loss.
        since_best: evaluations since then.
        stopped: whether it ended early.
        history: what was told, a dictionary of ``step``, ``rate``, figures, and ``held_back_`` figures at times.
    """

    step: int = 0
    best_step: int = 0
    best_loss: float = math.inf
    since_best: int = 0
    stopped: bool = False
    history: list[dict[str, float]] = field(default_factory=list)


def decisive(learning: Learning, processes: int) -> str:
    """What of it the result depends on, as a text."""
    harmless = {"save_every", "log_every", "device", "batch", "accumulate"}
    names = [name for name in vars(learning) if name not in harmless]
    samples = learning.batch * learning.accumulate * processes
    return " ".join([f"samples={samples}", *(f"{name}={getattr(learning, name)!r}" for name in names)])
