"""The action-conditioned (AC) predictor: latents, actions and states in, the latents one step later out.

Parameter names are those of the released checkpoints. It does not know how the latents were made; normalising what goes
in is the caller's, and so is what comes out of :meth:`Predictor.forward`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vjepa_ros.config.model import ModelConfig
from vjepa_ros.errors import ShapeError
from vjepa_ros.model.blocks import Block, Linear, Norm, layer_normalize, pack_blocks
from vjepa_ros.model.grid import Grid
from vjepa_ros.model.kernels import AttendShared, Kernels
from vjepa_ros.model.key_values import BySteps, KeyValues, Shared, choose
from vjepa_ros.model.rope import Rope, token_positions

MLP_RATIO = 4.0
"""The predictor's, fixed in all released models; ``mlp_ratio`` of a preset is the encoder's."""

EXTRINSICS_DIM = 6
"""A camera pose: xyz and three angles."""

# Tokens that go through a layer together in a rollout. On a CPU 16 candidates of 14x14 patches, whose activations the
# allocator still keeps from one layer to the next; on a GPU as many as keep it busy.
_CHUNK_TOKENS = {"cpu": 3200, "gpu": 51200}


@dataclass(frozen=True)
class History:
    """Steps of B windows that were observed, ready for rollouts from the last one; any number, one after the other.

    Attributes:
        kept: keys and values of all steps but the last one, by layer; None where there is only one.
        newest: (B, H'*W', dim), the last one's latents as the predictor embeds them.
        steps: t, how many steps, the last one too.
    """

    kept: list[KeyValues] | None
    newest: Tensor
    steps: int

    def of_window(self, window: int) -> list[Tensor]:
        """A window's part of it: newest (1, H'*W', dim), then of each layer (2, 1, heads, tokens, head_dim), if any."""
        kept = [] if self.kept is None else [of_layer.of([window]) for of_layer in self.kept]
        return [self.newest[window : window + 1], *kept]


class Predictor(nn.Module):
    """A frame-causal ViT. Per step it sees the tokens [action, state, (extrinsics,) H'*W' patches].

    Args:
        config: the sizes; its grid is the only one that is accepted, with any number of steps up to its own.
        use_extrinsics: give each step a token for the camera's pose.
    """

    def __init__(self, config: ModelConfig, use_extrinsics: bool = False) -> None:
        super().__init__()
        self.config = config
        self.grid = Grid.of(config)
        self.use_extrinsics = use_extrinsics
        self.condition_tokens = 3 if use_extrinsics else 2
        self.step_tokens = self.condition_tokens + self.grid.tokens_per_step
        dim, heads = config.predictor_dim, config.predictor_heads
        self.predictor_embed = Linear(config.latent_dim, dim)
        self.action_encoder = Linear(config.action_dim, dim)
        self.state_encoder = Linear(config.state_dim, dim)
        if use_extrinsics:
            self.extrinsics_encoder = Linear(EXTRINSICS_DIM, dim)
        self.predictor_blocks = nn.ModuleList(Block(dim, heads, MLP_RATIO) for _ in range(config.predictor_depth))
        self.predictor_norm = Norm(dim)
        self.predictor_proj = Linear(dim, config.latent_dim)
        # The public predictor measures rows and columns in units of its row count: 1 for rows and square grids, but
        # columns of a wide grid move closer together.
        positions = token_positions(self.grid, self.condition_tokens, col_scale=self.grid.rows / self.grid.cols)
        self.rope = Rope(positions, dim // heads)
        self._joined: AttendShared | None = None
        self._workspace: list[KeyValues] | None = None  # of a rollout's own steps, for the next rollout

    def forward(self, context: Tensor, actions: Tensor, states: Tensor, extrinsics: Tensor | None = None) -> Tensor:
        """Predict each step's successor.

        Args:
            context: (B, T'*H'*W', D), with any number of whole steps T' up to the grid's.
            actions: (B, T', A); action[k] is in force from step k to k+1.
            states: (B, T', S); state[k] is the state at step k.
            extrinsics: (B, T', 6), where the predictor was built to use them, and only there.

        Returns:
            (B, T'*H'*W', D): the output at step k is the prediction for step k+1.

        Raises:
            ShapeError: where an input does not fit; it names both shapes.
        """
        self._check_extrinsics(extrinsics)
        check_inputs(self.config, self.grid, context, actions, states, extrinsics)
        x = self.tokens(self.predictor_embed(context), actions, states, extrinsics).flatten(1, 2)
        for block in self.predictor_blocks:
            x = block(x, self.rope, BySteps(self.step_tokens))  # (B, T'*(C+H'*W'), dim)
        return self._outputs(x)

    def observe(self, context: Tensor, actions: Tensor, states: Tensor, extrinsics: Tensor | None = None) -> History:
        """Compute once what all rollouts from the last observed step share.

        Args:
            context: (B, t*H'*W', D), layer-normalised latents of t steps.
            actions, states: (B, t-1, A) and (B, t-1, S), of all steps but the last one.
            extrinsics: (B, t-1, 6), where the predictor was built to use them, and only there.
        """
        self._check_extrinsics(extrinsics)
        embedded = self.predictor_embed(context)
        size, past = self.grid.tokens_per_step, actions.shape[1]
        newest = embedded[:, past * size :]
        if past == 0:
            return History(None, newest, 1)
        kept = self._memory(len(context), self.grid.steps, embedded)
        x = self.tokens(embedded[:, : past * size], actions, states, extrinsics).flatten(1, 2)
        steps = [BySteps(self.step_tokens, own=of_layer) for of_layer in kept]
        *blocks, last = self.predictor_blocks
        assert isinstance(last, Block)
        for block, by_steps in zip(blocks, steps, strict=False):
            x = block(x, self.rope, by_steps)
        last.keep(x, self.rope, steps[-1])
        return History(kept, newest, past + 1)

    def roll_out(self, history: History, actions: Tensor, states: Tensor, extrinsics: Tensor | None = None) -> Tensor:
        """Forecasts for K action sequences from the last observed step of each of B windows on.

        Args:
            history: t observed steps.
            actions, states: (B, K, H, A) and (B, K, H, S), of that step and those after it; t + H - 1 steps at most
                are the grid's.
            extrinsics: (B, K, H, 6), where the predictor was built to use them, and only there.

        Returns:
            (B, K, H, H'*W', D) float32, layer-normalised.
        """
        self._check_extrinsics(extrinsics)
        windows, candidates, horizon, _ = actions.shape
        conditions = [value.flatten(0, 1) for value in (actions, states, extrinsics) if value is not None]
        shape = (windows * candidates, horizon, self.grid.tokens_per_step, self.config.latent_dim)
        # Without gradients, every forecast is written to where it belongs: of so much memory there are no two copies.
        whole = None if torch.is_grad_enabled() else torch.empty(shape, dtype=torch.float32, device=actions.device)
        parts: list[Tensor] = []
        for some in self.chunks(shape[0], actions.device):
            chosen = [sequence // candidates for sequence in range(some.start, some.stop)]
            forecasts = self._forecasts(history, chosen, [value[some] for value in conditions], self._own_memory)
            if whole is None:
                parts.append(torch.stack(list(forecasts), dim=1))
            else:
                for index, forecast in enumerate(forecasts):
                    whole[some, index] = forecast
        return (torch.cat(parts) if whole is None else whole).view(windows, candidates, *shape[1:])

    def chunks(self, sequences: int, device: torch.device) -> list[slice]:
        """Which of so many sequences go through a layer together in a rollout: as many at once as nearly equal parts
        allow."""
        most = max(1, _CHUNK_TOKENS["cpu" if device.type == "cpu" else "gpu"] // self.step_tokens)
        size = -(-sequences // -(-sequences // most))
        return [slice(start, min(start + size, sequences)) for start in range(0, sequences, size)]

    def ahead(self, newest: Tensor, actions: Tensor, states: Tensor, *kept: Tensor) -> Tensor:
        """What :meth:`roll_out` gives for a chunk of sequences from one window, in memory that is taken anew: a
        computation of its inputs alone, which may be recorded. For inference, not for gradients.

        Args:
            newest, kept: as :meth:`History.of_window` gives them.
            actions, states: (k, H, A) and (k, H, S).

        Returns:
            (k, H, H'*W', D) float32, layer-normalised.
        """
        steps = 1 + (kept[0].shape[3] // self.step_tokens if kept else 0)
        history = History([KeyValues.of_all(of_layer) for of_layer in kept] or None, newest, steps)
        forecasts = self._forecasts(history, [0] * len(actions), [actions, states], self._rooms)
        return torch.stack(list(forecasts), dim=1)

    def _forecasts(
        self, history: History, windows: list[int], conditions: list[Tensor],
        memory: Callable[[int, int, Tensor], list[KeyValues]],
    ) -> Iterator[Tensor]:  # fmt: skip
        """Step by step (k, H'*W', D) float32, layer-normalised, of k sequences.

        Args:
            history: of all windows.
            windows: the window of each sequence.
            conditions: actions, states and, where they are used, extrinsics, (k, H, ...) each.
            memory: for the keys and values of so many sequences and steps.
        """
        count, horizon, _ = conditions[0].shape
        embedded = choose(history.newest, windows, dim=0)
        own = memory(count, horizon, embedded) if horizon > 1 else None
        for index in range(horizon):
            x = self.tokens(embedded, *(value[:, index : index + 1] for value in conditions)).flatten(1, 2)
            first = (history.steps - 1 + index) * self.step_tokens
            for layer, block in enumerate(self.predictor_blocks):
                shared = None if history.kept is None else Shared(history.kept[layer], windows, self._joined)
                x = block(x, self.rope, BySteps(self.step_tokens, first, own[layer] if own else None, shared))
            latents = layer_normalize(self._outputs(x).float())
            yield latents
            if index + 1 < horizon:
                embedded = self.predictor_embed(latents)

    def tokens(self, embedded: Tensor, actions: Tensor, states: Tensor, extrinsics: Tensor | None = None) -> Tensor:
        """What the blocks attend over, step by step: (B, m, C+H'*W', dim) float32, its C condition tokens first.

        Args:
            embedded: (B, m*H'*W', dim), the patches of m steps.
            actions, states, extrinsics: (B, m, ...).
        """
        conditions = [self.action_encoder(actions), self.state_encoder(states)]
        if extrinsics is not None:
            conditions.append(self.extrinsics_encoder(extrinsics))
        patches = embedded.reshape(*actions.shape[:2], -1, embedded.shape[2])  # (B, m, H'*W', dim)
        return torch.cat([torch.stack(conditions, dim=2).float(), patches.float()], dim=2)

    def pack(self, kernels: Kernels) -> None:
        """Make it fast with these kernels, once and for good: it can then neither be trained, nor saved, nor moved."""
        self.rope.pack()
        self.predictor_embed.pack(kernels)
        pack_blocks(self.predictor_blocks, kernels)
        self._joined = kernels.attend_shared
        self.predictor_norm.float()
        self.predictor_proj.pack(kernels)

    def _outputs(self, x: Tensor) -> Tensor:
        """(B, m*(C+H'*W'), dim) -> (B, m*H'*W', D)"""
        steps = x.view(len(x), -1, self.step_tokens, x.shape[2])
        patches = steps[:, :, self.condition_tokens :]  # (B, m, H'*W', dim)
        out: Tensor = self.predictor_proj(self.predictor_norm(patches))
        return out.flatten(1, 2)

    def _own_memory(self, batch: int, steps: int, like: Tensor) -> list[KeyValues]:
        """For the keys and values of so many steps, empty: the last rollout's, if it had as much room."""
        if not torch.is_inference_mode_enabled():
            return self._memory(batch, steps, like)
        kept = self._workspace
        if kept is None or not kept[0].holds(batch, steps * self.step_tokens):
            self._workspace = None  # before there are two
            kept = self._workspace = self._memory(batch, steps, like)
        return [of_layer.of_first(batch) for of_layer in kept]

    def _memory(self, batch: int, steps: int, like: Tensor) -> list[KeyValues]:
        """For the keys and values of so many steps of so many sequences, by layer; nothing is kept yet."""
        if not torch.is_inference_mode_enabled():
            return [KeyValues() for _ in self.predictor_blocks]
        return self._rooms(batch, steps, like)

    def _rooms(self, batch: int, steps: int, like: Tensor) -> list[KeyValues]:
        """The same, under inference mode."""
        heads = self.config.predictor_heads
        shape = (2, batch, heads, steps * self.step_tokens, self.config.predictor_dim // heads)
        rooms = (torch.empty(shape, dtype=like.dtype, device=like.device) for _ in self.predictor_blocks)
        return [KeyValues(room) for room in rooms]

    def _check_extrinsics(self, extrinsics: Tensor | None) -> None:
        if (extrinsics is not None) != self.use_extrinsics:
            raise ShapeError(f"this predictor {'needs' if self.use_extrinsics else 'cannot use'} extrinsics")


def check_inputs(
    config: ModelConfig, whole: Grid, context: Tensor, actions: Tensor, states: Tensor, extrinsics: Tensor | None = None
) -> Grid:
    """The context's grid, part of the whole one, once everything fits it.

    Raises:
        ShapeError: where an input does not fit; it names both shapes.
    """
    grid, batch = whole.of_tokens(context.shape), context.shape[0]
    wanted = {
        "context": (context, (batch, grid.tokens, config.latent_dim)),
        "actions": (actions, (batch, grid.steps, config.action_dim)),
        "states": (states, (batch, grid.steps, config.state_dim)),
        "extrinsics": (extrinsics, (batch, grid.steps, EXTRINSICS_DIM)),
    }
    for name, (tensor, shape) in wanted.items():
        if tensor is not None and tuple(tensor.shape) != shape:
            raise ShapeError(f"{name} of shape {tuple(tensor.shape)} where {shape} is needed")
    return grid
