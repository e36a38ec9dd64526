"""Trains a variant for so many seconds of the processor, by ``vjepa_train``'s own way; interrupted, it goes on.

How many steps of the optimizer these are is measured first, in the beginning of the same training; then the schedule of
rates is that of so many steps. Reading recordings, latents, and the evaluation of ``vjepa_train`` come on top.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.strategies.variants import Variant
from vjepa_ros.training.course import Progress
from vjepa_ros.training.plan import FOLDER, Plan
from vjepa_ros.training.run import Watcher, train

SHARES = {"encoder": 0.6, "predictor": 0.4}
"""Of the time."""
BATCH, ENCODER_BATCH = 24, 16
"""Half of what ``vjepa_train`` takes: in so short a time more steps help more than better ones."""
ROLLOUT_S, FRAME_S = 0.4, 0.1
"""How far ahead the rollout of the loss goes, the same for all; between two frames."""
FIRST, LAST = 10, 30
"""Steps between which it is measured how long one takes."""
_UNKNOWN = LAST + 10  # so many stand for a number that is not known yet
LEAST_STEPS = 2
_NEVER = 10**6  # steps; what is held back is looked at when a training ends


class _Enough(Exception):
    """A training has gone far enough to know how long its steps take."""


@dataclass
class Spent:
    """Seconds of the processor between what a training tells, kept in a file: they add up over interruptions.

    Attributes:
        path: the file.
        seconds: by part, ``encoder`` and ``predictor``.
    """

    path: Path
    seconds: dict[str, float] = field(default_factory=dict)
    _before: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.path.exists():
            self.seconds = json.loads(self.path.read_text())

    def __call__(self, part: str, _now: Progress) -> None:
        """Take note that a part of a training has come further."""
        at_s = time.process_time()
        if part in self._before:
            self.seconds[part] = self.seconds.get(part, 0.0) + at_s - self._before[part]
            self.path.write_text(json.dumps(self.seconds))
        self._before[part] = at_s


@dataclass(frozen=True)
class Trained:
    """What came of it.

    Attributes:
        path: the model, with its encoder.
        steps: of the optimizer, of each part that was trained.
        cpu_s: seconds of the processor that these took.
    """

    path: Path
    steps: dict[str, int]
    cpu_s: dict[str, float]


def trained(
    variant: Variant, bags: Sequence[Path], folder: Path, seconds: float, say: Callable[[str], None]
) -> Trained:
    """Train a variant, or go on with that, or find it.

    Args:
        variant: which.
        bags: the recordings; the last tenth is held back.
        folder: of the models.
        seconds: of the processor, for encoder and predictor together; where the encoder is another variant's, the
            predictor has its share.
        say: is told what is going on.
    """
    out, kept = folder / f"{variant.name}.safetensors", folder / f"{variant.name}.steps.json"
    steps: dict[str, int] = json.loads(kept.read_text()) if kept.exists() else {}
    spent = Spent(folder / f"{variant.name}.cpu.json")
    for part in ["predictor"] if variant.frozen else ["encoder", "predictor"]:
        if part not in steps:
            each_s = _seconds_a_step(part, _plan(variant, bags, out, steps), spent)
            steps[part] = max(LEAST_STEPS, round(seconds * SHARES[part] / each_s))
            kept.write_text(json.dumps(steps))
            say(f"{variant.name}: {steps[part]} steps of the {part}, of {1000 * each_s:.0f} ms each")
    if not out.exists():
        train(_plan(variant, bags, out, steps), Watcher(learning=spent))
    return Trained(out, steps, spent.seconds)


def _plan(variant: Variant, bags: Sequence[Path], out: Path, steps: dict[str, int]) -> Plan:
    values = variant.parameters
    own: dict[str, Any] = {"train_encoder": True, "encoder_steps": steps.get("encoder", _UNKNOWN)}
    if variant.frozen:
        values["checkpoint"] = str(out.with_name(f"{variant.frozen}.safetensors"))
        own = {"with_encoder": True}
    return Plan(
        bags, values, out, topics=variant.topics, steps=steps.get("predictor", _UNKNOWN), lr=2e-3, l2=0.5,
        rollout=round(ROLLOUT_S / FRAME_S / variant.stride), batch=BATCH, encoder_batch=ENCODER_BATCH, device="cpu",
        evaluate_every=_NEVER, resume=True, **own,
    )  # fmt: skip


def _seconds_a_step(part: str, plan: Plan, spent: Spent) -> float:
    """Seconds of the processor for a step of a part; what comes before that part is done for good."""
    at_s: dict[int, float] = {}

    def note(what: str, now: Progress) -> None:
        if what != part:
            spent(what, now)
            return
        at_s[now.step] = time.process_time()
        if now.step == LAST:
            raise _Enough

    with suppress(_Enough):
        train(plan, Watcher(learning=note))
    _forget(plan.out.with_suffix(FOLDER) / f"{part}_states")
    return (at_s[LAST] - at_s[FIRST]) / (LAST - FIRST)


def _forget(states: Path) -> None:
    """Remove the state of a training that was none, which another one could not go on with."""
    for path in states.glob("*"):
        if path.is_file():
            path.unlink()
