"""Training of the predictor on latents that are there already. The encoder is not touched, and not needed.

It knows no recordings and no model files: datasets in, a trained module out.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from vjepa_ros.config.checks import require
from vjepa_ros.config.normalization import Normalizations
from vjepa_ros.engine.normalizing import Normalizing
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.training.course import HeldBack, Inputs, Progress
from vjepa_ros.training.initial import require_trainable
from vjepa_ros.training.learning import Learning
from vjepa_ros.training.loop import learn
from vjepa_ros.training.losses import Objective, PredictorLoss, SampleShape, sample_shape
from vjepa_ros.training.order import Order
from vjepa_ros.training.runs import Dataset, Sample
from vjepa_ros.weights.values import part_hash

MOST_HELD_BACK = 256
"""At most so many held-back samples, evenly spaced, are looked at while it goes on; the evaluation at the end takes
all."""


@dataclass(frozen=True)
class Trained:
    """What came of it.

    Attributes:
        predictor: in evaluation mode, on the CPU, with the weights of ``best_step``.
        steps: done, as many as asked for or fewer.
        best_step: the step after which the loss on held-back samples was lowest; the last one without such samples.
        stopped: whether it ended early.
        history: what was told, a dictionary each: ``step``, ``rate``, ``loss``, ``teacher``, ``rollout``, ``near``,
            ``near_still``, ``far``, ``far_still``, and at times the same with ``held_back_`` before them.
    """

    predictor: Predictor
    steps: int
    best_step: int
    stopped: bool
    history: tuple[dict[str, float], ...]


def train_predictor(
    train: Dataset,
    held_back: Dataset | None,
    predictor: Predictor,
    normalization: Normalizations,
    objective: Objective,
    learning: Learning,
    folder: Path,
    *,
    data_key: str = "",
    resume: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> Trained:
    """Train a predictor on the latents of its encoder.

    What is told has the forecast's error in it and that of saying that nothing changes: ``near`` over ``near_still`` is
    the error one step ahead over the error of predicting no change, ``far`` over ``far_still`` the same at the
    rollout's end.

    Args:
        train: what is trained on.
        held_back: of recordings that are not trained on; None where there are none. Too short ones count as none.
        predictor: on the CPU, not packed, with its first weights; it is changed. What it has frozen stays.
        normalization: of actions and states, as the model file will say it.
        objective: what is asked of it.
        learning: how.
        folder: there already; for the state and TensorBoard's event files.
        data_key: stands for both datasets: a state of other data is not gone on with.
        resume: go on from the state in the folder, where there is one.
        progress: told now and then.

    Raises:
        ConfigError: where nothing can be learnt: objective and model do not fit, no sample is long enough, packages are
            missing, a packed or wholly frozen predictor, a state of another training.
        EngineError: where the loss is not finite.
        OSError, OutputError: where the state cannot be written or read.
    """
    require_trainable(predictor)
    shape = sample_shape(predictor.config, objective)
    samples = train.samples(shape.context, shape.ahead)
    require(
        bool(samples), "bags", f"have no {shape.context + shape.ahead} steps that follow each other without a gap"
    )  # fmt: skip
    held_samples = [] if held_back is None else held_back.samples(shape.context, shape.ahead)
    some = held_samples[:: max(1, math.ceil(len(held_samples) / MOST_HELD_BACK))]
    order, change = Order(len(samples), learning.seed), _Change(normalization)

    def next_ones(places: range) -> tuple[Tensor, ...]:
        return change(train, [samples[index] for index in order(places)], shape)

    held: HeldBack | None = None
    if held_back is not None and some:
        held = HeldBack(_of(held_back, some, shape, change), len(some))
    decisive = (data_key, part_hash(dict(predictor.named_parameters())), objective, normalization, len(samples),
                [name for name, parameter in predictor.named_parameters() if not parameter.requires_grad])  # fmt: skip
    key = hashlib.sha256(repr(decisive).encode()).hexdigest()
    loss = PredictorLoss(predictor.train(), objective)
    course = learn(loss, next_ones, held, learning, folder, key=key, resume=resume, progress=progress)
    return Trained(predictor.eval(), course.step, course.best_step, course.stopped, tuple(course.history))


def _of(held_back: Dataset, samples: Sequence[Sample], shape: SampleShape, change: _Change) -> Inputs:
    return lambda numbers: change(held_back, [samples[number] for number in numbers], shape)


class _Change:
    """Samples as the loss wants them, actions and states normalised as the engine does it."""

    def __init__(self, normalization: Normalizations) -> None:
        cpu = torch.device("cpu")
        self._actions = Normalizing("actions", normalization.actions, cpu)
        self._states = Normalizing("states", normalization.states, cpu)

    def __call__(self, data: Dataset, samples: Sequence[Sample], shape: SampleShape) -> tuple[Tensor, ...]:
        batch = data.batch(samples, shape.context, shape.ahead)
        return batch.context, batch.targets, self._actions(batch.actions).float(), self._states(batch.states).float()
