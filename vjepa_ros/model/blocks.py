"""The transformer block that encoder and predictor share: pre-norm attention, then pre-norm MLP, and what they are of.

These are ordinary modules, to be trained with torch's autograd. ``pack`` makes them faster for inference, once and for
good: linear layers give their weights to kernels that keep them in an order of their own, and each head's channels of q
and k are put in another order (:func:`vjepa_ros.model.rope.in_halves`). A packed module can neither be trained, nor
saved, nor moved.

The residual stream, what each layer adds to, is float32 whatever dtype the layers have, and so are LayerNorms: without
rounding it after every layer bfloat16 lost 4 to 9 % less, for no time that could be measured.

It knows neither grids nor causality: what attends to what is given.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vjepa_ros.devices import release_memory
from vjepa_ros.model.kernels import Attend, Kernels, LinearKernel, attention, linear
from vjepa_ros.model.key_values import BySteps
from vjepa_ros.model.rope import Rope, in_halves

LAYER_NORM_EPS = 1e-6
"""The eps of every LayerNorm inside the model, as the released weights were trained with (torch's default is 1e-5)."""


class Linear(nn.Linear):
    """A linear layer, with what comes after it; ``forward(x (..., in))`` -> (..., out) in the weights' dtype."""

    _kernel: LinearKernel | None = None
    _dtype: torch.dtype

    def forward(self, x: Tensor, *, gelu: bool = False, add: Tensor | None = None) -> Tensor:
        """The layer; then exact (erf) GELU, or a sum with ``add`` (..., out), in the wider dtype of both.

        Args:
            x: float32, or in the weights' dtype.
        """
        if self._kernel is None:
            x = x.to(self.weight.dtype) if x.dtype == torch.float32 else x
            return linear(x, self.weight, self.bias, gelu=gelu, add=add)
        x = x.to(self._dtype)
        if add is not None and add.dtype != x.dtype:  # a kernel adds what has its own dtype
            return add + self._kernel(x, gelu=gelu)
        return self._kernel(x, gelu=gelu, add=add)

    def pack(self, kernels: Kernels, order: Tensor | None = None) -> None:
        """Give the weights to a kernel, so that nothing is in memory twice.

        Args:
            kernels: what to make of them.
            order: of the rows; as they are where there is none.
        """
        weight, bias = self.weight.detach(), self.bias.detach()
        self.register_parameter("weight", None)
        self.register_parameter("bias", None)
        self._dtype = weight.dtype
        if order is not None:
            weight, bias = weight[order], bias[order]
        self._kernel = kernels.linear(weight, bias)


class Norm(nn.LayerNorm):
    """LayerNorm in float32, as the reference has it under autocast: (..., dim) -> (..., dim) float32."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim, eps=LAYER_NORM_EPS)

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x.float(), self.normalized_shape, self.weight.float(), self.bias.float(), self.eps)


class Attention(nn.Module):
    """Self-attention with rotary positions, all to all or by step."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = Linear(dim, 3 * dim)
        self.proj = Linear(dim, dim)
        self.attend: Attend = attention

    def forward(self, x: Tensor, rope: Rope, steps: BySteps | None, add: Tensor) -> Tensor:
        """What tokens see, plus ``add``.

        Args:
            x: (B, n, dim).
            rope: packed exactly where this is.
            steps: how tokens attend by step; None where all attend to all.
            add: (B, n, dim).
        """
        query, key, value = self.project(x, rope, 0 if steps is None else steps.first)
        mixed = self.attend(query, key, value) if steps is None else steps.attend(self.attend, query, key, value)
        out: Tensor = self.proj(mixed.flatten(2), add=add)  # (B, n, dim)
        return out

    def project(self, x: Tensor, rope: Rope, first: int) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of x (B, n, dim), whose first token has the place ``first``.

        Returns:
            Three of (B, heads, n, head_dim): q and k turned, v.
        """
        qkv: Tensor = self.qkv(x).unflatten(-1, (3, self.heads, -1))  # (B, n, 3, heads, head_dim)
        qkv = qkv.permute(2, 0, 3, 1, 4)  # (3, B, heads, n, head_dim)
        query, key = rope(qkv[:2], first).unbind(0)
        return query, key, qkv[2]

    def pack(self, kernels: Kernels) -> None:
        """Make it fast, for inference only."""
        dim = self.proj.in_features
        order = torch.cat([in_halves(2 * dim, dim // self.heads), torch.arange(2 * dim, 3 * dim)])  # of q and k alone
        self.qkv.pack(kernels, order)
        self.proj.pack(kernels)
        self.attend = kernels.attend


class Mlp(nn.Module):
    """Linear, exact (erf) GELU, linear, plus ``add``; (..., dim) -> (..., dim)."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = Linear(dim, hidden)
        self.fc2 = Linear(hidden, dim)

    def forward(self, x: Tensor, add: Tensor) -> Tensor:
        out: Tensor = self.fc2(self.fc1(x, gelu=True), add=add)
        return out


class Block(nn.Module):
    """One layer."""

    def __init__(self, dim: int, heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.norm1 = Norm(dim)
        self.attn = Attention(dim, heads)
        self.norm2 = Norm(dim)
        # Rounded, not cut: the giant's 1408 * 48/11 is 6144 in the released weights, whatever a float makes of 48/11.
        self.mlp = Mlp(dim, round(dim * mlp_ratio))

    def forward(self, x: Tensor, rope: Rope, steps: BySteps | None = None) -> Tensor:
        """x (B, n, dim) float32 after this layer; see :meth:`Attention.forward`."""
        x = self.attn(self.norm1(x), rope, steps, add=x)
        x = self.mlp(self.norm2(x), add=x)
        return x

    def keep(self, x: Tensor, rope: Rope, steps: BySteps) -> None:
        """Only keep the keys and values of x in ``steps.own``: all that a last layer is asked for at times."""
        assert steps.own is not None
        _, key, value = self.attn.project(self.norm1(x), rope, steps.first)
        steps.own.append(key, value)

    def pack(self, kernels: Kernels) -> None:
        """Make it fast, for inference only."""
        self.norm1.float()
        self.norm2.float()
        for part in (self.attn, self.mlp.fc1, self.mlp.fc2):
            part.pack(kernels)
            release_memory()  # what was freed lies between what is kept: the system gets it back only if asked to


def pack_blocks(blocks: nn.ModuleList, kernels: Kernels) -> None:
    """Pack one block after the other."""
    for block in blocks:
        assert isinstance(block, Block)
        block.pack(kernels)


def layer_normalize(latents: Tensor) -> Tensor:
    """Layer norm over the last axis without affine parameters, eps 1e-5; what stands before and after the predictor."""
    return F.layer_norm(latents, latents.shape[-1:], eps=1e-5)
