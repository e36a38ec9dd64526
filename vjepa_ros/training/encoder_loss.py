"""What an encoder learns from scratch, so that its latents can be planned with: this package's own way.

It is no part of the public V-JEPA 2 training, whose encoders learn from masked video. What robots' data have more than
video are the motions between any two steps, and four terms use them:

* inverse: a linear map of all tokens, the same for every step, whose difference between two steps is the motion between
  them; mean squared error. So where the robot is stands in the latents, and can be read from them.
* metric: ``(E - 1.1 (1 - exp(-d / tau)))^2`` with E the planner's energy between two steps, the mean absolute
  difference of their latents, and d the length of the motion between them. So energies grow with distance, and the
  planner's hill has one top. 1.1 is about what two independent layer-normalised latents are apart.
* prediction: a predictor of its own says the next step's latents, by the mean absolute difference. Its gradient to the
  encoder is made smaller, since latents in which nothing moves are the easiest to predict.
* covariance: squares of what two channels vary together inside an episode, so that not all of them say the same.

Lengths are in the data's own unit (:mod:`vjepa_ros.training.motion`), and so is tau: 1 is the distance of two steps of
a run taken at random. Tensors in, tensors out.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vjepa_ros.config.checks import require_finite
from vjepa_ros.model.blocks import layer_normalize
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.training.footage import PAIRS

FARTHEST = 1.1
"""The energy that the metric term wants of steps that are very far apart."""


@dataclass(frozen=True)
class EncoderObjective:
    """How much each term counts.

    Attributes:
        inverse, metric, prediction, covariance: factors of the terms.
        tau: the length at which energies level off, in units of the data.
        through: share of the gradient of the prediction that reaches the encoder.

    Raises:
        ConfigError: for a factor below zero; it names the field.
    """

    inverse: float = 1.0
    metric: float = 5.0
    prediction: float = 1.0
    covariance: float = 0.02
    tau: float = 1.0
    through: float = 0.3

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            require_finite(name, value, above_zero=name == "tau")


class EncoderLoss(nn.Module):
    """The encoder, what helps it to learn, and their loss, as one module.

    Args:
        encoder: not packed.
        predictor: of the same sizes, for the prediction alone.
        objective: how much each term counts.
    """

    def __init__(self, encoder: Encoder, predictor: Predictor, objective: EncoderObjective) -> None:
        super().__init__()
        self.encoder, self.predictor, self.objective = encoder, predictor, objective
        config = encoder.config
        self.size, self.context = encoder.grid.tokens_per_step, config.most_context if config.way.is_whole else 1
        self.read = nn.Linear(self.size * config.latent_dim, config.action_dim, bias=False)
        nn.init.zeros_(self.read.weight)

    def forward(
        self, frames: Tensor, motions: Tensor, lengths: Tensor, actions: Tensor, states: Tensor
    ) -> dict[str, Tensor]:
        """The loss of episodes, as :class:`vjepa_ros.training.footage.Footage` gives them, an even number of them.

        Returns:
            ``loss``, with gradient; without: its terms, before their factors, and ``still``, the mean absolute
            difference of steps that follow each other, which ``prediction`` is to be compared with.
        """
        objective = self.objective
        latents: Tensor = layer_normalize(self.encoder(frames.flatten(0, 1)).float())
        latents = latents.view(*frames.shape[:2], -1, self.size, latents.shape[-1])  # (B, 4, T', H'*W', D)
        latents = latents[:, :, -self.context :]
        newest = latents[:, :, -1]  # (B, 4, H'*W', D)
        one, other = (list(side) for side in zip(*PAIRS, strict=True))
        places = self.read(newest.flatten(2)).float()  # (B, 4, A)
        energies = (newest[:, one] - newest[:, other]).abs().mean(dim=(-2, -1))  # (B, 6)
        wanted = FARTHEST * (1 - torch.exp(-lengths / objective.tau))
        terms = {
            "inverse": (places[:, other] - places[:, one] - motions).square().mean(),
            "metric": (energies - wanted).square().mean(),
            "prediction": self._prediction(latents[0::2], actions[0::2], states[0::2]),  # units that follow each other
            "covariance": _covariance(newest),
        }
        loss = torch.stack([getattr(objective, name) * term for name, term in terms.items()]).sum()
        still = (newest[0::2, 1:] - newest[0::2, :-1]).detach().abs().mean()
        return {"loss": loss, **{name: term.detach() for name, term in terms.items()}, "still": still}

    def _prediction(self, latents: Tensor, actions: Tensor, states: Tensor) -> Tensor:
        """Each unit's successor, from its own context (n, 4, c, H'*W', D)."""
        through = self.objective.through
        latents = through * latents + (1 - through) * latents.detach()
        context = latents[:, :-1].flatten(0, 1).flatten(1, 2)  # (n*3, c*H'*W', D)
        given = (value[:, :-1].flatten(0, 1) for value in (actions, states))
        out: Tensor = self.predictor(context, *given)[:, -self.size :]
        forecasts = layer_normalize(out.float())
        return (forecasts - latents[:, 1:, -1].flatten(0, 1)).abs().mean()


def _covariance(latents: Tensor) -> Tensor:
    """(B, U, n, D) -> the mean over channels of the squares of their covariances with all others, in an episode."""
    centred = (latents - latents.mean(dim=1, keepdim=True)).flatten(0, 2)  # (B*U*n, D)
    freedom = len(centred) * (1 - 1 / latents.shape[1])
    covariance = centred.T @ centred / freedom
    return (covariance.square().sum() - covariance.diagonal().square().sum()) / latents.shape[-1]
