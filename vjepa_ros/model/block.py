"""The transformer block that the encoder and the predictor share: pre-norm attention, then pre-norm MLP."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from vjepa_ros.model.attention import Attention
from vjepa_ros.model.rope import RopeTable

LAYER_NORM_EPS = 1e-6
"""The eps of every LayerNorm inside the model, as the released weights were trained with (torch's default is 1e-5)."""


class Mlp(nn.Module):
    """Linear, exact (erf) GELU, linear; (..., dim) -> (..., dim)."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return out


class Block(nn.Module):
    """One layer; ``forward(x (B, n, dim), rope, mask)`` -> (B, n, dim)."""

    def __init__(self, dim: int, heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.attn = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        # Rounded, not cut: the giant's 1408 * 48/11 is 6144 in the released weights, whatever a float makes of 48/11.
        self.mlp = Mlp(dim, round(dim * mlp_ratio))

    def forward(self, x: Tensor, rope: RopeTable, mask: Tensor | None = None) -> Tensor:
        x = x + self.attn(self.norm1(x), rope, mask)
        x = x + self.mlp(self.norm2(x))
        return x


def layer_normalize(latents: Tensor) -> Tensor:
    """Layer norm over the last axis without affine parameters, eps 1e-5; what stands before and after the predictor."""
    return F.layer_norm(latents, latents.shape[-1:], eps=1e-5)
