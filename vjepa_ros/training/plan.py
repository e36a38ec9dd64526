"""What a training is asked for, with the defaults, and where its folder lies. Nothing heavy is imported for it.

It opens nothing, and knows neither recordings nor models beyond their configuration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vjepa_ros.config.checks import is_finite, require
from vjepa_ros.errors import brief

if TYPE_CHECKING:
    from vjepa_ros.config.model import ModelConfig
    from vjepa_ros.stream.pictures import Decode

TOOL = "vjepa_train"
SUFFIX = ".safetensors"
FOLDER = ".train"
"""Ending of the folder beside the model: ``panda.safetensors`` has ``panda.train``."""
PRECISIONS = ("auto", "float32", "bfloat16")
"""What the layers compute in while they are trained; ``auto`` is float32 on a CPU and bfloat16 (autocast) on a GPU."""

_LEAST = {
    "steps": 1, "batch": 1, "accumulate": 1, "rollout": 1, "sample_steps": 0, "seed": 0, "checkpoint_every": 1,
    "evaluate_every": 1, "patience": 0, "encoder_steps": 1, "encoder_batch": 1,
}  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """What to train on, how, and where to.

    Attributes:
        bags: each is one recording; unlike a replay's, they are not put together.
        values: the node's parameters, by name. ``hop`` is a step, whatever they say, and ``latents.horizon`` is 1.
        out: the weights file to make; its folder is :attr:`folder`.
        topics: of the inputs (``image``, ``joint_states``, ...) that are not to be found by name and type.
        urdf: file with the robot description, where no topic of the recordings is to be read for it.
        fallback: decodes raw images of encodings that the package does not know.
        force: replace a model that is there already.
        resume: go on from the checkpoints that an earlier run has left. Windows, frames and latents of one are used
            again anyway, where they were made from the same.
        hold_back: recordings that are never trained on, among the bags or besides them; empty for the last tenth of
            the bags, or the last part of a single one.
        steps: optimizer steps of the predictor.
        batch: samples in each of them, over all processes and accumulated parts together.
        accumulate: parts that a batch is computed in, one after the other, where memory is short.
        lr: the highest learning rate; the public code's for a batch of 256 is 4.25e-4.
        weight_decay, betas: of AdamW; the public code's.
        clip_norm: the largest norm of the gradient; 0 for any, as in the public code.
        rollout: R, steps of the rollout loss; 2 as in the public code.
        sample_steps: latents of a sample; 0 for as many as the context and what is forecast from it need. 8 is the
            public code's.
        l2: share of the squared error in the losses, the rest is the absolute one; 0 as in the public code.
        seed: of weights and of the samples' order.
        train_encoder: train an encoder too, from scratch, before the predictor.
        encoder_steps, encoder_batch, encoder_lr: as ``steps``, ``batch``, ``lr``, of the encoder's training.
        with_encoder: write a frozen encoder into the model file too; one that was trained here always is.
        freeze: patterns (as of shell file names) of the predictor's parameters that stay what they are.
        predictor: a weights file whose predictor to start from; None for a fresh one.
        device: as torch names it, or ``auto``.
        precision: one of :data:`PRECISIONS`.
        checkpoint_every: optimizer steps between two checkpoints.
        evaluate_every: optimizer steps between two looks at the recordings held back.
        patience: looks without an improvement after which training ends; 0 for never.
    """

    bags: Sequence[Path]
    values: Mapping[str, Any]
    out: Path
    topics: Mapping[str, str] = field(default_factory=dict)
    urdf: Path | None = None
    fallback: Decode | None = None
    force: bool = False
    resume: bool = False
    hold_back: Sequence[Path] = ()
    steps: int = 3000
    batch: int = 48
    accumulate: int = 1
    lr: float = 4.25e-4
    weight_decay: float = 0.04
    betas: tuple[float, float] = (0.9, 0.999)
    clip_norm: float = 0.0
    rollout: int = 2
    sample_steps: int = 0
    l2: float = 0.0
    seed: int = 0
    train_encoder: bool = False
    encoder_steps: int = 3000
    encoder_batch: int = 32
    encoder_lr: float = 1.5e-3
    with_encoder: bool = False
    freeze: Sequence[str] = ()
    predictor: Path | None = None
    device: str = "auto"
    precision: str = "auto"
    checkpoint_every: int = 250
    evaluate_every: int = 250
    patience: int = 0

    def __post_init__(self) -> None:
        """Refuse what makes no sense.

        Raises:
            ConfigError: naming the field.
        """
        require(bool(self.bags), "bags", "name at least one recording")
        require(self.out.suffix == SUFFIX, "out", f"must end in {SUFFIX}, not {brief(self.out.name)}")
        for name, least in _LEAST.items():
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            require(whole and value >= least, name, f"must be a whole number of at least {least}, not {brief(value)}")
        require(self.encoder_batch % 2 == 0, "encoder_batch", f"must be even, not {self.encoder_batch}: half of it are "
                "units in a row")  # fmt: skip
        for name in ("lr", "encoder_lr"):
            value = getattr(self, name)
            require(is_finite(value) and value > 0, name, f"must be a positive number, not {brief(value)}")
        for name in ("weight_decay", "clip_norm"):
            value = getattr(self, name)
            require(is_finite(value) and value >= 0, name, f"must not be negative, not {brief(value)}")
        require(is_finite(self.l2) and 0 <= self.l2 <= 1, "l2", f"must be from 0 to 1, not {brief(self.l2)}")
        require(
            len(self.betas) == 2 and all(is_finite(beta) and 0 <= beta < 1 for beta in self.betas),
            "betas", f"must be two numbers from 0 to below 1, not {brief(self.betas)}",
        )  # fmt: skip
        require(
            self.batch % self.accumulate == 0,
            "accumulate", f"a batch of {self.batch} samples is not {self.accumulate} equal parts",
        )  # fmt: skip
        require(
            self.sample_steps == 0 or self.sample_steps > self.rollout,
            "sample_steps", f"must be 0, or more than the {self.rollout} steps of the rollout, not {self.sample_steps}",
        )  # fmt: skip
        choices = ", ".join(PRECISIONS)
        require(self.precision in PRECISIONS, "precision", f"must be one of {choices}, not {brief(self.precision)}")

    @property
    def folder(self) -> Path:
        """What a run keeps beside the model: windows, latents, checkpoints, the report."""
        return self.out.with_suffix(FOLDER)

    @property
    def recordings(self) -> list[Path]:
        """All recordings: the bags, then those held back that are none of them."""
        places = {bag.resolve() for bag in self.bags}
        return [*self.bags, *(bag for bag in self.hold_back if bag.resolve() not in places)]

    @property
    def inputs(self) -> list[Path]:
        """The files and folders that are read."""
        others = (self.urdf, self.predictor)
        return [*self.recordings, *(path for path in others if path is not None)]

    def sample(self, model: ModelConfig) -> tuple[int, int]:
        """(c, h): steps of context of a sample, and steps after it.

        A rollout begins with the first step alone, but in ``clip`` with the whole context: there nothing is a forecast
        before it. ``sample_steps`` may make a sample shorter than the model's whole context, never longer in ``clip``
        than the rollout needs.

        Raises:
            ConfigError: for ``sample_steps`` that leave no context.
        """
        context = model.most_context
        if model.way.is_whole:
            require(
                self.sample_steps in (0, context + self.rollout),
                "sample_steps", f"is {context + self.rollout} with the encoding clip: {context} of context, whose last "
                f"alone looks ahead, and {self.rollout} of the rollout; leave it at 0, or change context_steps",
            )  # fmt: skip
            return context, self.rollout
        latents = self.sample_steps or max(context, self.rollout) + 1
        context = min(context, latents - 1)
        return context, latents - context

    def values_read(self, stride: int) -> dict[str, Any]:
        """The parameters that recordings are read with: a window ends at every step, and is asked for one forecast.

        Args:
            stride: sampled frames per step.
        """
        return {**self.values, **ONE_AHEAD, "hop": stride}


ONE_AHEAD: Mapping[str, Any] = {"latents.horizon": 1, "latents.steps": "forecast", "latents.publish_context": False}
"""What has nothing to do with training, and may make large models' latents too large for a message."""
