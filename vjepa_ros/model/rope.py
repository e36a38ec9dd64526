"""Rotary position embedding over three axes, from tables that are built once.

Each axis (time, row, column, in this order) turns d = 2*((head_dim//3)//2) channels of a head; the rest stays as it is.
Along an axis the angles are position * omega_i with omega_i = 10000^(-i/(d/2)), i < d/2 (Su et al. 2021, "RoFormer",
per axis). Tensors in, tensors out: it does not know which tokens are patches and which are actions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vjepa_ros.model.grid import Grid

RopeTable = tuple[Tensor, Tensor]
"""(cos, sin), each (n, head_dim) float32: what :func:`rotate` takes."""


def axis_channels(head_dim: int) -> int:
    """d, the channels of a head that one axis turns."""
    return 2 * ((head_dim // 3) // 2)


def token_positions(grid: Grid, condition_tokens: int = 0, col_scale: float = 1.0) -> Tensor:
    """The position (step, row, column) of every token, time-major; (T'*(C+H'*W'), 3) float32.

    Args:
        grid: the patches.
        condition_tokens: C, tokens in front of each step's patches. They sit at row 0 and column 0, where the angles
            are zero: so they are turned on the time axis only.
        col_scale: factor on the columns.
    """
    step = torch.arange(grid.steps, device="cpu", dtype=torch.float32)
    row = torch.arange(grid.rows, device="cpu", dtype=torch.float32)
    col = torch.arange(grid.cols, device="cpu", dtype=torch.float32) * col_scale
    patches = torch.cartesian_prod(step, row, col).view(grid.steps, grid.tokens_per_step, 3)
    conditions = torch.zeros(grid.steps, condition_tokens, 3, device="cpu")
    conditions[..., 0] = step[:, None]
    return torch.cat([conditions, patches], dim=1).flatten(0, 1)


def rope_angles(positions: Tensor, head_dim: int) -> Tensor:
    """The angle of every channel, (n, 3) -> (n, head_dim) float32, in radians; zero for channels that stay."""
    channels = axis_channels(head_dim)
    omega = 1.0 / 10000 ** (torch.arange(channels // 2, device="cpu", dtype=torch.float32) / (channels / 2))
    angles = torch.zeros(len(positions), head_dim, device="cpu")
    for axis in range(3):
        turned = positions[:, axis, None] * omega  # (n, d/2)
        # An oddity of the released weights that must stay: the channels are turned in pairs (x0, x1), (x2, x3)...,
        # but the angles are tiled [f0..fn, f0..fn] instead of [f0, f0, f1, f1..], so that the two members of a pair
        # turn by different frequencies and the "rotation" is none. The weights were trained with it.
        angles[:, axis * channels : (axis + 1) * channels] = torch.cat([turned, turned], dim=1)
    return angles


class Rope(nn.Module):
    """The table of one model: ``rope(n)`` gives its first n rows, without copying.

    The tables are float32 whatever dtype the weights have: bfloat16 cannot hold the angles. So cast parameters, never
    the whole module. They follow ``to(device)`` and are not part of a checkpoint.
    """

    cos: Tensor
    sin: Tensor

    def __init__(self, positions: Tensor, head_dim: int) -> None:
        super().__init__()
        angles = rope_angles(positions, head_dim)
        sign = torch.tensor([-1.0, 1.0], device="cpu").repeat(head_dim // 2)  # a pair (x, y) adds (-y, x) * sin
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin() * sign, persistent=False)

    def forward(self, tokens: int) -> RopeTable:
        return self.cos[:tokens], self.sin[:tokens]


def rotate(x: Tensor, table: RopeTable) -> Tensor:
    """Turn queries or keys x (B, heads, n, head_dim); computed in float32, returned in the dtype of x."""
    cos, sin = table
    swapped = x.view(*x.shape[:-1], -1, 2).flip(-1).flatten(-2)  # (x0, x1, x2, x3..) -> (x1, x0, x3, x2..)
    return (x * cos + swapped * sin).to(x.dtype)
