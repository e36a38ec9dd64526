"""Repeated prediction: the steps after the observed ones, one by one, and how far they are from a goal.

Tensors in, tensors out. It does not know how actions advance states: the states are given.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from vjepa_ros.config.model import ModelConfig
from vjepa_ros.devices import to_device
from vjepa_ros.errors import ShapeError
from vjepa_ros.model.blocks import layer_normalize
from vjepa_ros.model.graphs import Graphs
from vjepa_ros.model.grid import Grid
from vjepa_ros.model.predictor import History, Predictor


@dataclass(frozen=True)
class Observed:
    """Steps of B windows that were observed, for rollouts from the last one.

    Attributes:
        context: (B, t*H'*W', D) float32, layer-normalised latents.
        actions: (B, t-1, A) float64, normalised, of all steps but the last one.
        states: (B, t, S) float64, normalised.
        newest_state: (B, S) float64, the last one, as it was read.
        history: what the predictor has computed of them.
    """

    context: Tensor
    actions: Tensor
    states: Tensor
    newest_state: Tensor
    history: History

    @property
    def windows(self) -> int:
        """B."""
        return self.states.shape[0]

    @property
    def steps(self) -> int:
        """t."""
        return self.states.shape[1]


def roll_out(
    graphs: Graphs, predictor: Predictor, reach: Grid, observed: Observed, actions: Tensor, states: Tensor
) -> Tensor:
    """Predict each step from the newest before it, as many as there is reach for.

    Args:
        graphs: runs the predictor over whole steps; replays what :func:`record_rollout` has recorded.
        predictor: goes on from what it has kept, as far as that goes.
        reach: grid of the most steps that a forecast is made from.
        observed: t steps of B windows, no more than these.
        actions, states: (B, K, H, A) and (B, K, H, S), of the last observed step and of all forecasts but the last.

    Returns:
        (B, K, H, H'*W', D)
    """
    windows, count, horizon, _ = actions.shape
    known = _known(reach, observed, horizon)
    place = observed.history.newest

    def there(value: Tensor) -> Tensor:
        """The value where the predictor computes, and in what."""
        return to_device(value, place.device, place.dtype)

    given = there(actions[:, :, :known]), there(states[:, :, :known])
    chunks = list(_chunks(predictor, observed.history, *given)) if graphs.records and windows == 1 else []
    if chunks and all(graphs.has(predictor.ahead, *inputs) for _, inputs in chunks):
        shape = 1, count, known, reach.tokens_per_step, predictor.config.latent_dim
        forecasts = torch.empty(shape, dtype=torch.float32, device=place.device)
        for some, inputs in chunks:
            forecasts[0, some] = graphs.run(predictor.ahead, *inputs)
    else:
        forecasts = predictor.roll_out(observed.history, *given)
    if known == horizon:
        return forecasts

    def for_all(value: Tensor) -> Tensor:
        """A window's (B, ...) for each of its candidates, (B*K, ...)."""
        return value[:, None].expand(-1, count, *value.shape[1:]).flatten(0, 1)

    context = torch.cat([for_all(observed.context), forecasts.flatten(0, 1).flatten(1, 2)], dim=1)
    past, seen = for_all(observed.actions), for_all(observed.states[:, :-1])
    actions = torch.cat([past, actions.flatten(0, 1)], dim=1)  # (B*K, t+H-1, A)
    states = torch.cat([seen, states.flatten(0, 1)], dim=1)
    # Steps and those after them up to the last action, each from those before it.
    size, last = reach.tokens_per_step, actions.shape[1]
    for stop in range(context.shape[1] // size, last + 1):  # the steps before `stop` predict it
        first = max(0, stop - reach.steps)
        steps = context[:, first * size :], actions[:, first:stop], states[:, first:stop]
        predicted = predict(graphs, predictor, *map(there, steps))
        context = torch.cat([context, predicted[:, -size:]], dim=1)  # (B*K, (stop+1)*H'*W', D)
    whole = context.view(windows, count, -1, size, context.shape[2])  # (B, K, t+H, H'*W', D)
    return whole[:, :, -horizon:]


def record_rollout(
    graphs: Graphs, predictor: Predictor, reach: Grid, observed: Observed, actions: Tensor, states: Tensor
) -> None:
    """Have :func:`roll_out` replayed for inputs of these sizes, as far as it goes on from what is kept; one window.

    One step ahead is compiled too, where that is asked for; for more steps that would take as many times as long.
    """
    known, place = _known(reach, observed, actions.shape[2]), observed.history.newest
    given = (to_device(value[:, :, :known], place.device, place.dtype) for value in (actions, states))
    for _, inputs in _chunks(predictor, observed.history, *given):
        graphs.record(predictor.ahead, *inputs, compile_first=known == 1)


def _known(reach: Grid, observed: Observed, horizon: int) -> int:
    """For how many steps ahead what is kept stays true.

    Once the oldest step is pushed out, every other moves to another place and has to be computed again.
    """
    return min(horizon, reach.steps - observed.steps + 1)


def _chunks(
    predictor: Predictor, history: History, actions: Tensor, states: Tensor
) -> Iterator[tuple[slice, list[Tensor]]]:
    """Which candidates of one window go together, and the inputs of :meth:`.Predictor.ahead` for them."""
    newest, *kept = history.of_window(0)
    for some in predictor.chunks(actions.shape[1], actions.device):
        yield some, [newest, actions[0, some], states[0, some], *kept]


def predict(graphs: Graphs, predictor: Predictor, context: Tensor, actions: Tensor, states: Tensor) -> Tensor:
    """Each step's successor.

    Args:
        graphs, predictor: as for :func:`roll_out`.
        context, actions, states: (n, m*H'*W', D), (n, m, A) and (n, m, S), normalised; on the predictor's device and
            in the dtype that its layers compute in.

    Returns:
        (n, m*H'*W', D) float32, layer-normalised.
    """
    return layer_normalize(graphs.run(predictor, context, actions, states).float())


def check_observed(config: ModelConfig, context: Tensor, actions: Tensor, states: Tensor) -> None:
    """Refuse what a rollout cannot start from.

    Raises:
        ShapeError: where an input does not fit; it names both shapes.
    """
    steps, batch = Grid.of(config).of_tokens(context.shape).steps, len(context)
    wanted = {
        "context": (context, (batch, context.shape[1], config.latent_dim)),
        "actions": (actions, (batch, steps - 1, config.action_dim)),
        "states": (states, (batch, steps, config.state_dim)),
    }
    for name, (tensor, shape) in wanted.items():
        if tuple(tensor.shape) != shape:
            why = ": the last observed step's action is the first future one" if name == "actions" else ""
            raise ShapeError(f"{name} of shape {tuple(tensor.shape)} where {shape} is needed{why}")


def check_future(config: ModelConfig, windows: int, future_actions: Tensor) -> None:
    """Refuse what a rollout of so many windows cannot follow.

    Raises:
        ShapeError: where the actions do not fit; it names both shapes.
    """
    ahead = tuple(future_actions.shape)
    own = ahead[-3:] if len(ahead) == 4 and ahead[0] == windows else ahead if windows == 1 else ()
    if len(own) != 3 or min(own) < 1 or own[-1] != config.action_dim:
        wanted = f"(K, H, {config.action_dim})" if windows == 1 else f"({windows}, K, H, {config.action_dim})"
        raise ShapeError(f"future_actions of shape {ahead} where {wanted} is needed, with K and H of at least 1")


def mean_distance(config: ModelConfig, latents: Tensor, goal: Tensor, mask: Tensor | None = None) -> Tensor:
    """(..., H'*W', D) latents, (H'*W', D) or (1, H'*W', D) goal -> (...) mean absolute differences, float32.

    Args:
        config: the sizes.
        latents, goal: what is compared.
        mask: (H'*W',) or (H', W') bool, the tokens that count; None for all.

    Raises:
        ShapeError: where one of them does not fit, naming both shapes; or where no token counts.
    """
    wanted = (Grid.of(config).tokens_per_step, config.latent_dim)
    if tuple(latents.shape[-2:]) != wanted:
        raise ShapeError(f"latents of shape {tuple(latents.shape)} where (..., {wanted[0]}, {wanted[1]}) is needed")
    if tuple(goal.shape) not in (wanted, (1, *wanted)):
        raise ShapeError(f"a goal of shape {tuple(goal.shape)} where {wanted} or {(1, *wanted)} is needed")
    difference = (latents.float() - goal.reshape(wanted).float()).abs()
    return difference.mean(dim=(-2, -1)) if mask is None else _of_counted(config, difference, mask)


def _of_counted(config: ModelConfig, difference: Tensor, mask: Tensor) -> Tensor:
    """(..., H'*W', D) -> (...) the mean over the tokens that count."""
    grid = Grid.of(config)
    shapes = ((grid.tokens_per_step,), (grid.rows, grid.cols))
    if mask.dtype != torch.bool or tuple(mask.shape) not in shapes:
        raise ShapeError(
            f"a mask of shape {tuple(mask.shape)} and {mask.dtype} where {shapes[0]} or {shapes[1]} bool is needed"
        )
    counts = mask.reshape(-1)
    if not bool(counts.any()):
        raise ShapeError("a mask in which no token counts")
    return difference.mean(dim=-1)[..., counts].mean(dim=-1)
