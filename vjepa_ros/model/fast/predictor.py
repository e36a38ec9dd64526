"""The predictor for inference: what :class:`vjepa_ros.model.predictor.Predictor` computes, in less time.

The frame-causal mask is replaced by what it means: each step attends, without a mask, to itself and to the steps before
it. So keys and values of a step never change once later steps come: a rollout keeps them and computes its own tokens
only, and all candidates share those of the steps that were observed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vjepa_ros.model.block import layer_normalize
from vjepa_ros.model.fast.kernels import Kernels, take
from vjepa_ros.model.fast.layers import FastNorm, HalvesRope, fast_blocks
from vjepa_ros.model.predictor import Predictor, check_inputs

# Tokens that go through a layer together in a rollout. On a CPU 16 candidates of 14x14 patches, whose activations the
# allocator still keeps from one layer to the next; on a GPU as many as keep it busy.
_CHUNK_TOKENS = {"cpu": 3200, "gpu": 51200}


class KeyValues:
    """Keys and values of the first tokens of some sequences, by layer, in memory that is taken once.

    Attributes:
        layers: (2, B, heads, room, head_dim) each.
        filled: how many tokens are in there.
    """

    def __init__(self, layers: list[Tensor]) -> None:
        self.layers = layers
        self.filled = 0

    def of_first(self, batch: int) -> KeyValues:
        """The same memory for the first sequences only, with nothing filled."""
        return KeyValues([layer[:, :batch] for layer in self.layers])

    def append(self, layer: int, key: Tensor, value: Tensor) -> Tensor:
        """Write behind what is filled (which stays as it is until all layers have done so): all up to there,
        (2, B, heads, filled + n, head_dim)."""
        stop = self.filled + key.shape[2]
        room = self.layers[layer][..., :stop, :]
        room[0][..., self.filled :, :] = key
        room[1][..., self.filled :, :] = value
        return room


@dataclass(frozen=True)
class History:
    """Steps that were observed, ready for rollouts from the last one; any number of them, one after the other.

    Attributes:
        shared: keys and values of all steps but the last one; None where there is only one.
        newest: (1, H'*W', dim), the last one's latents as the predictor embeds them.
        steps: t, how many steps, the last one too.
    """

    shared: KeyValues | None
    newest: Tensor
    steps: int


class FastPredictor:
    """Latents, actions and states in, latents one step later out.

    Args:
        predictor: a plain one, with its weights; they are taken out of it.
        kernels: what to compute with.

    Attributes:
        one_by_one: whether the candidates of a rollout attend one after the other to what they share.
    """

    def __init__(self, predictor: Predictor, kernels: Kernels) -> None:
        config = predictor.config
        self.config, self.grid = config, predictor.grid
        self._kernels = kernels
        self._heads, self._head_dim = config.predictor_heads, config.predictor_dim // config.predictor_heads
        self._rope = HalvesRope(predictor.rope, self._head_dim)
        self._embed = take(predictor.predictor_embed, kernels)
        self._action_encoder, self._state_encoder = predictor.action_encoder, predictor.state_encoder
        self.blocks = fast_blocks(predictor.predictor_blocks, kernels)
        self._dtype = predictor.predictor_proj.weight.dtype
        self._norm = FastNorm(predictor.predictor_norm, self._dtype)
        # On a GPU one large operation over copies, instead of many small ones without.
        self.one_by_one = predictor.predictor_proj.weight.device.type == "cpu"
        self._proj = take(predictor.predictor_proj, kernels)
        self._conditions = predictor.condition_tokens
        self._step_tokens = self._conditions + self.grid.tokens_per_step
        self._own: KeyValues | None = None  # of a rollout's steps, kept for the next rollout

    def __call__(self, context: Tensor, actions: Tensor, states: Tensor) -> Tensor:
        """(B, T'*H'*W', D), (B, T', A), (B, T', S) -> (B, T'*H'*W', D), as the plain predictor says.

        Raises:
            ShapeError: where an input does not fit; it names both shapes.
        """
        grid = check_inputs(self.config, self.grid, context, actions, states)
        x = self._tokens(self._embed(context), actions, states)
        return self._outputs(self._run(x, 0, grid.steps))

    def observe(self, context: Tensor, actions: Tensor, states: Tensor) -> History:
        """Compute once what all rollouts from the last observed step share.

        Args:
            context: (1, t*H'*W', D), layer-normalised latents of t steps.
            actions, states: (1, t-1, A) and (1, t-1, S), of all steps but the last one.
        """
        embedded = self._embed(context)
        size, past = self.grid.tokens_per_step, actions.shape[1]
        newest = embedded[:, past * size :]
        if past == 0:
            return History(None, newest, 1)
        shared = self._memory(1, self.grid.steps, embedded)
        x = self._tokens(embedded[:, : past * size], actions, states)
        self._run(x, 0, 0, own=shared)
        return History(shared, newest, past + 1)

    def roll_out(self, history: History, actions: Tensor, states: Tensor) -> Tensor:
        """Forecasts for K action sequences from the last observed step on.

        Args:
            history: t observed steps.
            actions, states: (K, H, A) and (K, H, S), of that step and those after it; t + H - 1 steps at most are the
                grid's.

        Returns:
            (K, H, H'*W', D) float32, layer-normalised.
        """
        chunk = max(1, _CHUNK_TOKENS["cpu" if self.one_by_one else "gpu"] // self._step_tokens)
        shape = (*actions.shape[:2], self.grid.tokens_per_step, self.config.encoder_dim)
        forecasts = torch.empty(shape, dtype=torch.float32, device=actions.device)
        for start in range(0, len(actions), chunk):
            some = slice(start, start + chunk)
            self._roll_out(history, actions[some], states[some], forecasts[some])
        return forecasts

    def _roll_out(self, history: History, actions: Tensor, states: Tensor, forecasts: Tensor) -> None:
        """The forecasts of some candidates, written to where they belong."""
        count, horizon, _ = actions.shape
        own = self._workspace(count, horizon, history.newest) if horizon > 1 else None
        embedded = history.newest.expand(count, -1, -1)
        for index in range(horizon):
            this = slice(index, index + 1)
            x = self._tokens(embedded, actions[:, this], states[:, this])
            first = (history.steps - 1 + index) * self._step_tokens
            latents = layer_normalize(self._outputs(self._run(x, first, 1, own, history.shared)).float())
            forecasts[:, index] = latents
            if index + 1 < horizon:
                embedded = self._embed(latents.to(self._dtype))

    def _workspace(self, batch: int, steps: int, like: Tensor) -> KeyValues:
        """Room for so many steps, empty: the last rollout's, if it had as much."""
        own = self._own
        if own is None or own.layers[0].shape[1] < batch or own.layers[0].shape[3] < steps * self._step_tokens:
            self._own = None  # before there are two
            own = self._own = self._memory(batch, steps, like)
        return own.of_first(batch)

    def _memory(self, batch: int, steps: int, like: Tensor) -> KeyValues:
        shape = (2, batch, self._heads, steps * self._step_tokens, self._head_dim)
        return KeyValues([torch.empty(shape, dtype=like.dtype, device=like.device) for _ in self.blocks])

    def _tokens(self, embedded: Tensor, actions: Tensor, states: Tensor) -> Tensor:
        """(B, m*H'*W', dim), (B, m, A), (B, m, S) -> (B, m*(C+H'*W'), dim) float32: step by step, conditions first."""
        batch, steps, _ = actions.shape
        shape = (batch, steps, self._step_tokens, embedded.shape[2])
        x = torch.empty(shape, dtype=torch.float32, device=embedded.device)
        x[:, :, 0], x[:, :, 1] = self._action_encoder(actions), self._state_encoder(states)
        x[:, :, self._conditions :] = embedded.reshape(batch, steps, -1, embedded.shape[2])
        return x.flatten(1, 2)

    def _run(
        self, x: Tensor, first: int, outputs: int, own: KeyValues | None = None, shared: KeyValues | None = None
    ) -> Tensor:
        """Whole steps through all layers.

        Args:
            x: (B, m*(C+H'*W'), dim) float32, m steps that follow those in ``own``.
            first: the place of their first token in the whole sequence.
            outputs: of how many of them, the last ones, the result is wanted.
            own: keys and values of B sequences, to which those of x are added; None where nothing is kept.
            shared: keys and values of one sequence that comes before all of them.
        """
        size = self._step_tokens
        for layer, block in enumerate(self.blocks):
            query, key, value = block.project(x, self._rope, first)
            keys, values = (key, value) if own is None else own.append(layer, key, value).unbind(0)
            if layer == len(self.blocks) - 1:
                rest = x.shape[1] - outputs * size  # were needed for their keys and values only
                x, query = x[:, rest:], query[:, :, rest:]
                if outputs == 0:
                    break
            earlier = keys.shape[2] - x.shape[1]
            mixed = torch.empty_like(x, dtype=self._dtype)
            for start in range(0, x.shape[1], size):
                stop = start + size
                seen = slice(earlier + stop)
                mixed[:, start:stop] = self._attend(
                    query[:, :, start:stop], keys[:, :, seen], values[:, :, seen], layer, shared
                )
            x = block.finish(x, mixed)
        if own is not None:
            own.filled = keys.shape[2]
        return x

    def _attend(self, query: Tensor, keys: Tensor, values: Tensor, layer: int, shared: KeyValues | None) -> Tensor:
        """Of one step, (B, n, dim), to all of ``shared`` and of its own sequence's keys and values."""
        if shared is None:
            return self._kernels.attend(query, keys, values).flatten(2)
        room, start = shared.layers[layer], shared.filled
        if not self.one_by_one:
            ours = (2, len(query), -1, -1, -1)
            seen = torch.cat([room[..., :start, :].expand(ours), torch.stack([keys, values])], dim=3)
            return self._kernels.attend(query, seen[0], seen[1]).flatten(2)
        # One sequence after the other behind the shared ones, where there is room: nothing shared is copied.
        stop = start + keys.shape[2]
        seen_keys, seen_values = room[..., :stop, :].unbind(0)  # (1, heads, stop, head_dim)
        mixed = []
        for index in range(len(query)):
            seen_keys[:, :, start:] = keys[index]
            seen_values[:, :, start:] = values[index]
            mixed.append(self._kernels.attend(query[index : index + 1], seen_keys, seen_values).flatten(2))
        return torch.cat(mixed)

    def _outputs(self, x: Tensor) -> Tensor:
        """(B, m*(C+H'*W'), dim) -> (B, m*H'*W', D)"""
        patches = x.reshape(x.shape[0], -1, self._step_tokens, x.shape[2])[:, :, self._conditions :]
        return self._proj(self._norm(patches)).flatten(1, 2)
