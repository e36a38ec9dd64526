"""What the predictor learns: one step ahead from true latents, and several steps ahead from its own forecasts.

Both parts are the public training's (``app/vjepa_droid`` of the public V-JEPA 2 code), where it has the same encoding.
Only forecasts count (rule 8), and which outputs these are says the encoding. Tensors in, tensors out: it knows no
datasets, no optimizers and no normalisation of actions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vjepa_ros.config.checks import is_finite, require
from vjepa_ros.config.model import ModelConfig
from vjepa_ros.model.blocks import layer_normalize
from vjepa_ros.model.predictor import Predictor


@dataclass(frozen=True)
class Objective:
    """What is asked of the predictor.

    Attributes:
        rollout: R, the steps of the rollout; 2 in the public training.
        sample_steps: latents of a sample, the steps observed and those after them; 0 for a whole context and one step
            more, or as many as the rollout needs. 8 is the public training's. In ``clip`` it must be 0: a sample is a
            window and what the rollout needs.
        l2: share of the mean squared difference in the loss, the rest being the mean absolute one; 0 in the public
            training.

    Raises:
        ConfigError: where a value makes no sense; it names the field.
    """

    rollout: int = 2
    sample_steps: int = 0
    l2: float = 0.0

    def __post_init__(self) -> None:
        for name, least in (("rollout", 1), ("sample_steps", 0)):
            value = getattr(self, name)
            fits = isinstance(value, int) and not isinstance(value, bool) and value >= least
            require(fits, name, f"must be a whole number from {least} on")
        require(is_finite(self.l2) and 0 <= self.l2 <= 1, "l2", f"must be from 0 to 1, not {self.l2!r}")


@dataclass(frozen=True)
class SampleShape:
    """The steps of a sample, and what is done with them.

    Attributes:
        context: t, steps that the predictor sees at once.
        ahead: h, steps after them.
        observed: steps whose latents the rollout is given.
        counted: outputs that are forecasts: the last ones of the t.
        rollout: R, its steps.
        most: the newest steps that a forecast is made from at most.
    """

    context: int
    ahead: int
    observed: int
    counted: int
    rollout: int
    most: int


def sample_shape(config: ModelConfig, objective: Objective) -> SampleShape:
    """What samples of a model look like.

    Where the window is encoded as a whole, its steps know each other: the last output alone is a forecast, and a
    rollout goes on from the whole context. Else every output is one, and a rollout starts from the sample's first step.

    Raises:
        ConfigError: where the objective does not fit the model; it names the field.
    """
    most, rollout, length = config.most_context, objective.rollout, objective.sample_steps
    if config.way.is_whole:
        require(
            length in (0, most + rollout),
            "sample_steps", f"must be 0 or {most + rollout} in the encoding {config.encoding}, whose whole context "
            "comes before the rollout",
        )  # fmt: skip
        return SampleShape(most, rollout, observed=most, counted=1, rollout=rollout, most=most)
    length = length or max(most, rollout) + 1
    require(
        length > rollout, "sample_steps", f"must be 0, or more than the {rollout} steps of the rollout, not {length}"
    )  # fmt: skip
    context = min(most, length - 1)
    return SampleShape(context, length - context, observed=1, counted=context, rollout=rollout, most=most)


class PredictorLoss(nn.Module):
    """The predictor and its loss, as one module: what is spread over processes must be called once a step.

    Args:
        predictor: not packed.
        objective: what is asked of it.
    """

    def __init__(self, predictor: Predictor, objective: Objective) -> None:
        super().__init__()
        self.predictor = predictor
        self.objective = objective
        self.shape = sample_shape(predictor.config, objective)

    def forward(self, context: Tensor, targets: Tensor, actions: Tensor, states: Tensor) -> dict[str, Tensor]:
        """The loss of samples, and figures about it.

        Args:
            context, targets: (B, t, H'*W', D) and (B, h, H'*W', D) float32, layer-normalised.
            actions, states: (B, t+h-1, A) and (B, t+h-1, S) float32, normalised.

        Returns:
            ``loss``, with gradient, the sum of ``teacher`` and ``rollout``; without: ``near`` and ``far``, the mean
            absolute errors of forecasts one step and R steps ahead, and ``near_still`` and ``far_still``, those of
            saying that nothing changes.
        """
        shape = self.shape
        steps, seen = shape.context, shape.observed
        latents = torch.cat([context, targets], dim=1)  # (B, t+h, H'*W', D)
        taught = self._predict(context, actions[:, :steps], states[:, :steps])  # (B, t, H'*W', D): of steps 1..t
        first = steps - shape.counted
        near, near_true = taught[:, first:], latents[:, first + 1 : steps + 1]
        rolled = torch.cat([latents[:, :seen], taught[:, seen - 1 : seen]], dim=1)
        for newest in range(seen, seen + shape.rollout - 1):
            oldest = max(0, newest + 1 - shape.most)  # whatever comes on top pushes out the oldest ones
            given = (value[:, oldest : newest + 1] for value in (rolled, actions, states))
            rolled = torch.cat([rolled, self._predict(*given)[:, -1:]], dim=1)
        ahead, ahead_true = rolled[:, seen:], latents[:, seen : seen + shape.rollout]
        teacher, rollout = self._distance(near, near_true), self._distance(ahead, ahead_true)
        with torch.no_grad():
            figures = {
                "teacher": teacher.detach(),
                "rollout": rollout.detach(),
                "near": _absolute(near, near_true),
                "near_still": _absolute(latents[:, first:steps], near_true),
                "far": _absolute(ahead[:, -1], ahead_true[:, -1]),
                "far_still": _absolute(latents[:, seen - 1], ahead_true[:, -1]),
            }
        return {"loss": teacher + rollout, **figures}

    def _predict(self, latents: Tensor, actions: Tensor, states: Tensor) -> Tensor:
        """(B, m, H'*W', D) -> the successor of each step, in the same shape, float32 and layer-normalised."""
        out: Tensor = self.predictor(latents.flatten(1, 2), actions, states)
        return layer_normalize(out.float()).view(latents.shape)

    def _distance(self, forecasts: Tensor, true: Tensor) -> Tensor:
        """Mean absolute difference, with the share of the mean squared one."""
        absolute, share = _absolute(forecasts, true), self.objective.l2
        if share == 0:
            return absolute
        return (1 - share) * absolute + share * (forecasts - true).square().mean()


def _absolute(one: Tensor, other: Tensor) -> Tensor:
    return (one - other).abs().mean()
