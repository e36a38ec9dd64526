"""Rotary position embedding over three axes, from tables that are built once.

Each axis (time, row, column, in this order) turns d = 2*((head_dim//3)//2) channels of a head; the rest stays as it is.
Along an axis the angles are position * omega_i with omega_i = 10000^(-i/(d/2)), i < d/2 (Su et al. 2021, "RoFormer",
per axis). Tensors in, tensors out: it does not know which tokens are patches and which are actions.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from vjepa_ros.model.grid import Grid

# Older versions of torch do not know; their compiler then stops in front of what it cannot read, and goes on behind it.
_is_compiling: Callable[[], bool] = getattr(torch.compiler, "is_compiling", lambda: False)

RopeTable = tuple[Tensor, Tensor]
"""(cos, sin), float32."""


def axis_channels(head_dim: int) -> int:
    """d, the channels of a head that one axis turns."""
    return 2 * ((head_dim // 3) // 2)


def token_positions(grid: Grid, condition_tokens: int = 0, col_scale: float = 1.0, row_scale: float = 1.0) -> Tensor:
    """The position (step, row, column) of every token, time-major; (T'*(C+H'*W'), 3) float32.

    Args:
        grid: the patches.
        condition_tokens: C, tokens in front of each step's patches. They sit at row 0 and column 0, where the angles
            are zero: so they are turned on the time axis only.
        col_scale, row_scale: factors on columns and rows.
    """
    step = torch.arange(grid.steps, device="cpu", dtype=torch.float32)
    row = torch.arange(grid.rows, device="cpu", dtype=torch.float32) * row_scale
    col = torch.arange(grid.cols, device="cpu", dtype=torch.float32) * col_scale
    patches = torch.cartesian_prod(step, row, col).view(grid.steps, grid.tokens_per_step, 3)
    conditions = torch.zeros(grid.steps, condition_tokens, 3, device="cpu")
    conditions[..., 0] = step[:, None]
    return torch.cat([conditions, patches], dim=1).flatten(0, 1)


def rope_angles(positions: Tensor, head_dim: int, in_pairs: bool = False) -> Tensor:
    """The angle of every channel, (n, 3) -> (n, head_dim) float32, in radians; zero for channels that stay.

    Args:
        positions: step, row and column of each token.
        head_dim: channels of a head.
        in_pairs: whether both channels of a pair have one angle, as in V-JEPA 2.1: a rotation.
    """
    channels = axis_channels(head_dim)
    omega = 1.0 / 10000 ** (torch.arange(channels // 2, device="cpu", dtype=torch.float32) / (channels / 2))
    angles = torch.zeros(len(positions), head_dim, device="cpu")
    for axis in range(3):
        turned = positions[:, axis, None] * omega  # (n, d/2)
        # An oddity of V-JEPA 2's weights that must stay: the channels are turned in pairs (x0, x1), (x2, x3)...,
        # but the angles are tiled [f0..fn, f0..fn] instead of [f0, f0, f1, f1..], so that the two members of a pair
        # turn by different frequencies and the "rotation" is none. The weights were trained with it.
        of_axis = turned.repeat_interleave(2, dim=1) if in_pairs else torch.cat([turned, turned], dim=1)
        angles[:, axis * channels : (axis + 1) * channels] = of_axis
    return angles


class Rope(nn.Module):
    """Turns the queries and keys of one model.

    The tables are float32 whatever dtype the weights have: bfloat16 cannot hold the angles. So cast parameters, never
    the whole module. They follow ``to(device)`` and are not part of a checkpoint.

    Attributes:
        cos, sin: (n, head_dim), of all the model's tokens; the sine with its sign. Once packed, of the channels in the
            order of :func:`in_halves` and with the scale of attention in those for q: (2, 2, 1, 1, n, head_dim/2), the
            halves, of q and of k.
    """

    cos: Tensor
    sin: Tensor

    def __init__(self, positions: Tensor, head_dim: int, in_pairs: bool = False) -> None:
        super().__init__()
        angles = rope_angles(positions, head_dim, in_pairs)
        sign = torch.tensor([-1.0, 1.0], device="cpu").repeat(head_dim // 2)  # a pair (x, y) adds (-y, x) * sin
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin() * sign, persistent=False)
        self._is_packed = False

    def forward(self, qk: Tensor, first: int = 0) -> Tensor:
        """Turn queries and keys.

        Args:
            qk: (2, B, heads, n, head_dim): q and k.
            first: the row of the table that their first one has.

        Returns:
            The same shape and dtype; computed in float32. Once packed, contiguous, and q scaled.
        """
        rows = slice(first, first + qk.shape[3])
        if self._is_packed:
            return rotate_halves(qk, (self.cos[..., rows, :], self.sin[..., rows, :]))
        return rotate(qk, (self.cos[rows], self.sin[rows]))

    def pack(self) -> None:
        """Make it fast for inference, and for channels in the order of :func:`in_halves`."""
        scale = torch.tensor([self.cos.shape[1] ** -0.5, 1.0], device=self.cos.device)[:, None, None, None, None]
        for name, table in (("cos", self.cos), ("sin", self.sin)):
            halves = torch.stack([table[:, 0::2], table[:, 1::2]])[:, None, None, None]  # (2, 1, 1, 1, n, head_dim/2)
            self.register_buffer(name, (halves * scale).contiguous(), persistent=False)
        self._is_packed = True


def rotate(x: Tensor, table: RopeTable) -> Tensor:
    """Turn queries or keys x (..., n, head_dim), by (n, head_dim) each; computed in float32, in the dtype of x."""
    cos, sin = table
    swapped = x.view(*x.shape[:-1], -1, 2).flip(-1).flatten(-2)  # (x0, x1, x2, x3..) -> (x1, x0, x3, x2..)
    return (x * cos + swapped * sin).to(x.dtype)


def rotate_halves(qk: Tensor, table: RopeTable) -> Tensor:
    """Turn q and k (2, B, heads, n, head_dim) whose channels are :func:`in_halves`, by packed tables; no gradients.

    The two members of every pair that is turned lie half a head apart, and turning them takes whole slices.
    """
    half = qk.shape[-1] // 2
    wide = qk.float()
    parts, tables = (wide[..., :half], wide[..., half:]), list(zip(*table, strict=True))
    if _is_compiling():  # it fuses all of it, but cannot read what is written into slices
        halves = [parts[i] * cos + parts[1 - i] * sin for i, (cos, sin) in enumerate(tables)]
        return torch.cat(halves, dim=-1).to(qk.dtype)
    turned = torch.empty(qk.shape, dtype=torch.float32, device=qk.device)
    for i, (cos, sin) in enumerate(tables):
        torch.mul(parts[i], cos, out=turned[..., i * half : (i + 1) * half]).addcmul_(parts[1 - i], sin)
    return turned.to(qk.dtype)


def in_halves(dim: int, head_dim: int) -> Tensor:
    """The order in which (dim) channels have each head's even ones before its odd ones.

    Where q and k are put in the same order, scores stay what they are.
    """
    channels = torch.cat([torch.arange(0, head_dim, 2), torch.arange(1, head_dim, 2)])
    return (torch.arange(0, dim, head_dim)[:, None] + channels).flatten()
