"""Repeated prediction: the steps after the observed ones, one by one, and how far they are from a goal.

Tensors in, tensors out. It does not know how actions advance states: the states are given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from vjepa_ros.config.model import ModelConfig
from vjepa_ros.devices import to_device
from vjepa_ros.errors import ShapeError
from vjepa_ros.model.fast.predictor import FastPredictor, History
from vjepa_ros.model.grid import Grid
from vjepa_ros.model.predictor import Predictor

Predict = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Observed:
    """Steps that were observed, for rollouts from the last one.

    Attributes:
        context: (1, t*H'*W', D) float32, layer-normalised latents.
        actions: (1, t-1, A) float64, normalised, of all steps but the last one.
        states: (1, t, S) float64, normalised.
        newest_state: (1, S) float64, the last one, as it was read.
        history: what the fast predictor has computed of them; None for the plain one.
    """

    context: Tensor
    actions: Tensor
    states: Tensor
    newest_state: Tensor
    history: History | None

    @property
    def steps(self) -> int:
        """t."""
        return self.states.shape[1]


def roll_out(
    predict: Predict,
    predictor: Predictor | FastPredictor,
    reach: Grid,
    observed: Observed,
    actions: Tensor,
    states: Tensor,
) -> Tensor:
    """Predict each step from the newest before it, as many as there is reach for.

    Args:
        predict: (K, n*H'*W', D), (K, n, A), (K, n, S) -> (K, n*H'*W', D), layer-normalised: each step's successor.
        predictor: what computes; a fast one goes on from what it has kept, as far as that goes.
        reach: grid of the most steps that a forecast is made from.
        observed: t steps, no more than these.
        actions, states: (K, H, A) and (K, H, S), of the last observed step and of all forecasts but the last.

    Returns:
        (K, H, H'*W', D)
    """
    count, horizon, _ = actions.shape
    context = observed.context.expand(count, -1, -1)  # (K, t*H'*W', D)
    known = 0  # forecasts
    if isinstance(predictor, FastPredictor) and observed.history is not None:
        # Once the oldest step is pushed out, every other moves to another place and has to be computed again.
        known = min(horizon, reach.steps - observed.steps + 1)
        place = observed.history.newest
        inputs = (to_device(value[:, :known], place.device, place.dtype) for value in (actions, states))
        forecasts = predictor.roll_out(observed.history, *inputs)
        if known == horizon:
            return forecasts
        context = torch.cat([context, forecasts.flatten(1, 2)], dim=1)
    past, seen = (value.expand(count, -1, -1) for value in (observed.actions, observed.states[:, :-1]))
    actions, states = torch.cat([past, actions], dim=1), torch.cat([seen, states], dim=1)  # (K, t+H-1, ...)
    return _recompute(predict, reach, context, actions, states)[:, -horizon:]


def _recompute(predict: Predict, reach: Grid, latents: Tensor, actions: Tensor, states: Tensor) -> Tensor:
    """(K, n*H'*W', D) steps, and those after them up to the last action, each from those before it: (K, m, H'*W', D)"""
    size, last = reach.tokens_per_step, actions.shape[1]
    for stop in range(latents.shape[1] // size, last + 1):  # the steps before `stop` predict it
        first = max(0, stop - reach.steps)
        predicted = predict(latents[:, first * size :], actions[:, first:stop], states[:, first:stop])
        latents = torch.cat([latents, predicted[:, -size:]], dim=1)  # (K, (stop+1)*H'*W', D)
    return latents.reshape(latents.shape[0], -1, size, latents.shape[-1])


def check_observed(config: ModelConfig, context: Tensor, actions: Tensor, states: Tensor) -> None:
    """Refuse what a rollout cannot start from.

    Raises:
        ShapeError: where an input does not fit; it names both shapes.
    """
    steps = Grid.of(config).of_tokens(context.shape).steps
    wanted = {
        "context": (context, (1, context.shape[1], config.encoder_dim)),
        "actions": (actions, (1, steps - 1, config.action_dim)),
        "states": (states, (1, steps, config.state_dim)),
    }
    for name, (tensor, shape) in wanted.items():
        if tuple(tensor.shape) != shape:
            why = ": the last observed step's action is the first future one" if name == "actions" else ""
            raise ShapeError(f"{name} of shape {tuple(tensor.shape)} where {shape} is needed{why}")


def check_future(config: ModelConfig, future_actions: Tensor) -> None:
    """Refuse what a rollout cannot follow.

    Raises:
        ShapeError: where the actions do not fit; it names both shapes.
    """
    ahead = tuple(future_actions.shape)
    if len(ahead) != 3 or min(ahead) < 1 or ahead[-1] != config.action_dim:
        raise ShapeError(
            f"future_actions of shape {ahead} where (K, H, {config.action_dim}) is needed, with K and H of at least 1"
        )


def mean_distance(config: ModelConfig, latents: Tensor, goal: Tensor) -> Tensor:
    """(..., H'*W', D) latents, (H'*W', D) or (1, H'*W', D) goal -> (...) mean absolute differences, float32.

    Raises:
        ShapeError: where one of them does not fit; it names both shapes.
    """
    wanted = (Grid.of(config).tokens_per_step, config.encoder_dim)
    if tuple(latents.shape[-2:]) != wanted:
        raise ShapeError(f"latents of shape {tuple(latents.shape)} where (..., {wanted[0]}, {wanted[1]}) is needed")
    if tuple(goal.shape) not in (wanted, (1, *wanted)):
        raise ShapeError(f"a goal of shape {tuple(goal.shape)} where {wanted} or {(1, *wanted)} is needed")
    return (latents.float() - goal.reshape(wanted).float()).abs().mean(dim=(-2, -1))
