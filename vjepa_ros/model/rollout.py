"""Repeated prediction: the steps after the observed ones, one by one, and how far they are from a goal.

Tensors in, tensors out. It does not know what predicts, nor how actions advance states: both are given.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vjepa_ros.config import ModelConfig
from vjepa_ros.errors import ShapeError
from vjepa_ros.model.grid import Grid


def roll_out(
    predict: Callable[[Tensor, Tensor, Tensor], Tensor], grid: Grid, context: Tensor, actions: Tensor, states: Tensor
) -> Tensor:
    """Predict each step from the newest before it, as many as the grid has room for, recomputing all of them.

    Args:
        predict: (K, n*H'*W', D), (K, n, A), (K, n, S) -> (K, n*H'*W', D), layer-normalised: each step's successor.
        grid: of the most steps that are given to ``predict``.
        context: (K, t*H'*W', D), the observed steps.
        actions, states: (K, t+H-1, A) and (K, t+H-1, S), of the observed steps and of all forecasts but the last.

    Returns:
        (K, H, H'*W', D)
    """
    size = grid.tokens_per_step
    observed, last = context.shape[1] // size, actions.shape[1]
    latents = context
    for stop in range(observed, last + 1):  # the steps before `stop` predict it
        first = max(0, stop - grid.steps)
        predicted = predict(latents[:, first * size :], actions[:, first:stop], states[:, first:stop])
        latents = torch.cat([latents, predicted[:, -size:]], dim=1)  # (K, (stop+1)*H'*W', D)
    return latents[:, observed * size :].reshape(latents.shape[0], -1, size, latents.shape[-1])


def check_rollout(
    config: ModelConfig, context: Tensor, actions: Tensor, states: Tensor, future_actions: Tensor
) -> None:
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
