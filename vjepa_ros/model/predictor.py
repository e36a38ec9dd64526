"""The action-conditioned (AC) predictor: latents, actions and states in, the latents one step later out.

Parameter names are those of the released checkpoints. It does not know how the latents were made; normalising what goes
in and what comes out is the engine's.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vjepa_ros.config.model import ModelConfig
from vjepa_ros.errors import ShapeError
from vjepa_ros.model.block import LAYER_NORM_EPS, Block
from vjepa_ros.model.grid import Grid
from vjepa_ros.model.rope import Rope, token_positions

MLP_RATIO = 4.0
"""The predictor's, fixed in all released models; ``mlp_ratio`` of a preset is the encoder's."""

EXTRINSICS_DIM = 6
"""A camera pose: xyz and three angles."""


def frame_causal_mask(steps: int, tokens_per_step: int) -> Tensor:
    """Boolean (n, n), n = steps*tokens_per_step: full attention inside a step and to all earlier steps.

    One byte an entry, so it grows with the square of the window: 4 MB for 8 steps of 16x16 patches, 273 MB for 64.
    """
    step = torch.arange(steps, device="cpu").repeat_interleave(tokens_per_step)
    return step[:, None] >= step[None, :]


class Predictor(nn.Module):
    """A frame-causal ViT. Per step it sees the tokens [action, state, (extrinsics,) H'*W' patches].

    Args:
        config: the sizes; its grid is the only one that is accepted, with any number of steps up to its own.
        use_extrinsics: give each step a token for the camera's pose.
    """

    causal_mask: Tensor

    def __init__(self, config: ModelConfig, use_extrinsics: bool = False) -> None:
        super().__init__()
        self.config = config
        self.grid = Grid.of(config)
        self.use_extrinsics = use_extrinsics
        self.condition_tokens = 3 if use_extrinsics else 2
        dim, heads = config.predictor_dim, config.predictor_heads
        self.predictor_embed = nn.Linear(config.encoder_dim, dim)
        self.action_encoder = nn.Linear(config.action_dim, dim)
        self.state_encoder = nn.Linear(config.state_dim, dim)
        if use_extrinsics:
            self.extrinsics_encoder = nn.Linear(EXTRINSICS_DIM, dim)
        self.predictor_blocks = nn.ModuleList(Block(dim, heads, MLP_RATIO) for _ in range(config.predictor_depth))
        self.predictor_norm = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.predictor_proj = nn.Linear(dim, config.encoder_dim)
        # The public predictor measures rows and columns in units of its row count: 1 for rows and square grids, but
        # columns of a wide grid move closer together.
        positions = token_positions(self.grid, self.condition_tokens, col_scale=self.grid.rows / self.grid.cols)
        self.rope = Rope(positions, dim // heads)
        mask = frame_causal_mask(self.grid.steps, self.condition_tokens + self.grid.tokens_per_step)
        self.register_buffer("causal_mask", mask, persistent=False)

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
        if (extrinsics is not None) != self.use_extrinsics:
            raise ShapeError(f"this predictor {'needs' if self.use_extrinsics else 'cannot use'} extrinsics")
        grid = check_inputs(self.config, self.grid, context, actions, states, extrinsics)
        x = self.tokens(context, actions, states, extrinsics).flatten(1, 2)  # (B, T'*(C+H'*W'), dim)
        n = x.shape[1]
        table, mask = self.rope(n), self.causal_mask[:n, :n]  # tokens are time-major: fewer steps use the first part
        for block in self.predictor_blocks:
            x = block(x, table, mask)
        x = x.view(x.shape[0], grid.steps, -1, x.shape[2])  # (B, T', C+H'*W', dim)
        x = x[:, :, self.condition_tokens :].flatten(1, 2)  # (B, T'*H'*W', dim)
        out: Tensor = self.predictor_proj(self.predictor_norm(x))  # (B, T'*H'*W', D)
        return out

    def tokens(self, context: Tensor, actions: Tensor, states: Tensor, extrinsics: Tensor | None = None) -> Tensor:
        """What the blocks attend over, step by step: (B, T', C+H'*W', dim), its C condition tokens first."""
        conditions = [self.action_encoder(actions), self.state_encoder(states)]
        if extrinsics is not None:
            conditions.append(self.extrinsics_encoder(extrinsics))
        embedded: Tensor = self.predictor_embed(context)  # (B, T'*H'*W', dim)
        batch, _, dim = embedded.shape
        patches = embedded.view(batch, -1, self.grid.tokens_per_step, dim)  # (B, T', H'*W', dim)
        return torch.cat([torch.stack(conditions, dim=2), patches], dim=2)


def check_inputs(
    config: ModelConfig, whole: Grid, context: Tensor, actions: Tensor, states: Tensor, extrinsics: Tensor | None = None
) -> Grid:
    """The context's grid, part of the whole one, once everything fits it.

    Raises:
        ShapeError: where an input does not fit; it names both shapes.
    """
    grid, batch = whole.of_tokens(context.shape), context.shape[0]
    wanted = {
        "context": (context, (batch, grid.tokens, config.encoder_dim)),
        "actions": (actions, (batch, grid.steps, config.action_dim)),
        "states": (states, (batch, grid.steps, config.state_dim)),
        "extrinsics": (extrinsics, (batch, grid.steps, EXTRINSICS_DIM)),
    }
    for name, (tensor, shape) in wanted.items():
        if tensor is not None and tuple(tensor.shape) != shape:
            raise ShapeError(f"{name} of shape {tuple(tensor.shape)} where {shape} is needed")
    return grid
