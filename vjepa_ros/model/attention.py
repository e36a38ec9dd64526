"""Multi-head self-attention with rotary positions. It knows neither grids nor causality: table and mask are given."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from vjepa_ros.model.rope import RopeTable, rotate


class Attention(nn.Module):
    """Self-attention; ``forward(x (B, n, dim), rope, mask)`` -> (B, n, dim).

    ``mask`` is boolean (n, n), true where row i may look at column j, or None for full attention.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, rope: RopeTable, mask: Tensor | None = None) -> Tensor:
        qkv: Tensor = self.qkv(x).unflatten(-1, (3, self.heads, -1))  # (B, n, 3, heads, head_dim)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # (B, heads, n, head_dim) each
        query, key = rotate(query, rope), rotate(key, rope)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        out: Tensor = self.proj(mixed.transpose(1, 2).flatten(2))  # (B, n, dim)
        return out
