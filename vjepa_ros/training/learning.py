"""How weights are learnt, whatever the loss: batches, rates, precision, how often what is done.

The defaults are those of the public action-conditioned training, which :func:`public_rate` has the schedule of. Numbers
in, numbers out; it knows no data, no modules and no files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from vjepa_ros.config.checks import require, require_choice, require_finite

Schedule = Literal["public", "cosine"]
Precision = Literal["float32", "bfloat16"]

PUBLIC_PART = 315 // 15
"""One step in so many warms up in the public training, and one in so many decays: 15 of 315 epochs each."""
PUBLIC_RATE, PUBLIC_START = 4.25e-4, 7.5e-5


@dataclass(frozen=True)
class Learning:
    """How an optimizer (AdamW) goes through the data.

    Attributes:
        steps: of the optimizer.
        batch: samples that one process computes at once.
        accumulate: batches of each process that one step of the optimizer is made of.
        lr: the highest learning rate.
        start_lr: the rate that warming up begins with, as a share of ``lr``.
        warmup: steps in which the rate rises; None for the public share of all steps.
        schedule: what follows: ``public`` keeps the rate and lets it fall linearly to zero in the last steps, as many
            as the public share; ``cosine`` lets it fall along half a cosine from the first of them.
        betas, weight_decay: AdamW's; biases and the weights of norms do not decay.
        clip: the largest norm of all gradients together; 0 for any.
        precision: what products are computed in (autocast); weights are float32 always.
        device: as torch names it, ``cpu`` or ``cuda``, ``cuda:1``; ``auto`` takes a GPU where there is one.
        seed: of the order of the samples.
        save_every, log_every, evaluate_every: steps between states on disk, figures told, losses on held-back samples.
        patience: evaluations on held-back samples without a lower loss that end it; 0 for any number.

    Raises:
        ConfigError: where a value makes no sense; it names the field.
    """

    steps: int
    batch: int = 8
    accumulate: int = 1
    lr: float = PUBLIC_RATE
    start_lr: float = PUBLIC_START / PUBLIC_RATE
    warmup: int | None = None
    schedule: Schedule = "public"
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.04
    clip: float = 0.0
    precision: Precision = "float32"
    device: str = "auto"
    seed: int = 0
    save_every: int = 500
    log_every: int = 10
    evaluate_every: int = 500
    patience: int = 0

    def __post_init__(self) -> None:
        least = {
            "steps": 1, "batch": 1, "accumulate": 1, "seed": 0, "save_every": 1, "log_every": 1, "evaluate_every": 1,
            "patience": 0, "warmup": 0,
        }  # fmt: skip
        for name, lowest in least.items():
            value = getattr(self, name)
            fits = isinstance(value, int) and not isinstance(value, bool) and value >= lowest
            require(fits or (name == "warmup" and value is None), name, f"must be a whole number from {lowest} on")
        for name in ("lr", "start_lr", "weight_decay", "clip"):
            require_finite(name, getattr(self, name), above_zero=name == "lr")
        require(all(0 <= beta < 1 for beta in self.betas), "betas", f"must be from 0 to below 1, not {self.betas!r}")
        require_choice(self.schedule, "schedule", get_args(Schedule))
        require_choice(self.precision, "precision", get_args(Precision))
        require(
            self.warmup_steps <= self.steps, "warmup", f"{self.warmup_steps} steps are more than all {self.steps}"
        )  # fmt: skip

    @property
    def warmup_steps(self) -> int:
        """Steps in which the rate rises."""
        return public_share(self.steps) if self.warmup is None else self.warmup

    def rate(self, step: int) -> float:
        """The learning rate of one step, the first of which is 1."""
        if self.schedule == "cosine":
            return cosine_rate(step, self.steps, self.warmup_steps, self.lr, self.start_lr * self.lr)
        return public_rate(
            step, self.steps, self.warmup_steps, public_share(self.steps), self.lr, self.start_lr * self.lr
        )


def public_share(steps: int) -> int:
    """The steps that warm up, and those that decay, of so many."""
    return steps // PUBLIC_PART


def public_rate(step: int, steps: int, warmup: int, decay: int, peak: float, start: float) -> float:
    """Warm-up, constant, linear decay to zero: the public training's (there ``WSDSchedule``), whose last step has zero.

    Args:
        step: from 1 to ``steps``.
        steps, warmup, decay: of all of them, how many rise and how many fall.
        peak, start: the constant rate, and the one that the first would follow.
    """
    if step < warmup:
        return start + step / warmup * (peak - start)
    fallen = max(0, step - (steps - decay))
    return peak * (1 - fallen / max(1, decay))


def cosine_rate(step: int, steps: int, warmup: int, peak: float, start: float) -> float:
    """Warm-up, then half a cosine to zero; arguments as for :func:`public_rate`."""
    if step < warmup:
        return start + step / warmup * (peak - start)
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
