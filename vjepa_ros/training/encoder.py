"""Training of an encoder from scratch, on frames and the motions between them. What it learns: :mod:`.encoder_loss`.

It knows no recordings and no model files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vjepa_ros.config.checks import require
from vjepa_ros.config.normalization import Normalizations
from vjepa_ros.config.reductions import Effect
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.training.course import HeldBack, Progress
from vjepa_ros.training.encoder_loss import EncoderLoss, EncoderObjective
from vjepa_ros.training.footage import UNITS, Footage, FrameSet
from vjepa_ros.training.initial import fresh_predictor, require_trainable
from vjepa_ros.training.learning import Learning
from vjepa_ros.training.loop import learn
from vjepa_ros.training.runs import Run
from vjepa_ros.weights.values import part_hash

HELD_BACK_EPISODES = 128
"""Looked at while it goes on."""


@dataclass(frozen=True)
class TrainedEncoder:
    """What came of it; as :class:`vjepa_ros.training.predictor.Trained`, with other figures.

    Attributes:
        encoder: in evaluation mode, on the CPU.
        steps, best_step, stopped: done; of the lowest loss on held-back runs; whether it ended early.
        history: what was told: ``step``, ``rate``, ``loss``, ``inverse``, ``metric``, ``prediction``, ``covariance``,
            ``still``, and at times the same with ``held_back_`` before them.
    """

    encoder: Encoder
    steps: int
    best_step: int
    stopped: bool
    history: tuple[dict[str, float], ...]


def encoder_learning(steps: int, **changes: Any) -> Learning:
    """How a small encoder learns best, as far as was tried; changes by name."""
    values: dict[str, Any] = {
        "batch": 32, "lr": 1.5e-3, "start_lr": 0.0, "warmup": min(100, steps // 10), "schedule": "cosine",
        "betas": (0.9, 0.95), "weight_decay": 0.05, "clip": 1.0,
    }  # fmt: skip
    return Learning(steps, **{**values, **changes})


def train_encoder(
    frames: FrameSet,
    train: Sequence[Run],
    held_back: Sequence[Run],
    encoder: Encoder,
    effect: Effect,
    normalization: Normalizations,
    objective: EncoderObjective,
    learning: Learning,
    folder: Path,
    *,
    kept: int = 1,
    data_key: str = "",
    resume: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> TrainedEncoder:
    """Train an encoder, in any encoding.

    Args:
        frames: preprocessed, of the units of all runs; the unit of a row of latents is the row divided by ``kept``.
        train, held_back: runs; the latter may be none, and too short ones count as none.
        encoder: on the CPU, not packed, with its first weights; it is changed, all but what its encoding leaves idle.
        effect: what an action does to the state: the reduction's.
        normalization: of actions and states.
        objective: how much each term of the loss counts.
        learning: how; an even batch, of episodes of four units each.
        folder: there already; for the state and TensorBoard's event files.
        kept: what ``first_row`` of the runs counts for each unit: 1 where it counts units, else the rows of latents.
        data_key: stands for frames and runs: a state of other data is not gone on with.
        resume: go on from the state in the folder, where there is one.
        progress: told now and then.

    Raises:
        ConfigError, EngineError, OSError, OutputError: as :func:`vjepa_ros.training.predictor.train_predictor`.
    """
    require_trainable(encoder)
    require(learning.batch % 2 == 0, "batch", f"must be even, not {learning.batch}: half of it are units in a row")
    config, seed = encoder.config, learning.seed
    footage = Footage(frames, train, config, effect, normalization, kept, None, seed)
    held: HeldBack | None = None
    first = 1 if effect == "target" else 0
    least = UNITS + max(first, config.steps - 1 if config.way.is_whole else 0)
    if any(run.steps >= least for run in held_back):
        shown = Footage(frames, held_back, config, effect, normalization, kept, footage.motion, seed + 1)
        held = HeldBack(shown, HELD_BACK_EPISODES)
    decisive = (data_key, part_hash(dict(encoder.named_parameters())), objective, effect, normalization, kept,
                [run.steps for run in train])  # fmt: skip
    key = hashlib.sha256(repr(decisive).encode()).hexdigest()
    for parameter in encoder.idle():
        parameter.requires_grad_(False)  # several processes wait for the gradient of every one that is to be learnt
    loss = EncoderLoss(encoder, fresh_predictor(config, seed).predictor, objective).train()
    course = learn(loss, footage, held, learning, folder, key=key, resume=resume, progress=progress)
    return TrainedEncoder(encoder.eval(), course.step, course.best_step, course.stopped, tuple(course.history))
