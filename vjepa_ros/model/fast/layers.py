"""The transformer block for inference: RoPE on halves, keys and values that others may keep, fused sums.

A block is made of a plain one and takes its weights. The rows of the q and k weights are put in another order once,
each head's even channels before its odd ones: then the two members of every pair that RoPE turns lie half a head apart,
and turning them takes whole slices. Scores do not change, since q and k are put in the same order.

The residual stream, what each layer adds to, is float32 whatever dtype the layers have: without rounding it after every
layer bfloat16 lost 4 to 9 % less, for no time that could be measured.

It knows neither grids nor causality: what attends to what is given.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vjepa_ros.devices import release_memory
from vjepa_ros.model.block import Block
from vjepa_ros.model.fast.kernels import Kernels, Linear, take
from vjepa_ros.model.rope import Rope

# Older versions of torch do not know; their compiler then stops in front of what it cannot read, and goes on behind it.
_is_compiling: Callable[[], bool] = getattr(torch.compiler, "is_compiling", lambda: False)


class HalvesRope:
    """A model's RoPE tables for channels in halves; q's are multiplied by the scale of attention too.

    Args:
        rope: the tables for channels in pairs.
        head_dim: channels of a head.
    """

    def __init__(self, rope: Rope, head_dim: int) -> None:
        scale = torch.tensor([head_dim**-0.5, 1.0], device=rope.cos.device)[:, None, None]  # of q and of k
        tables = []
        for table in (rope.cos, rope.sin):  # (n, head_dim), the sign of the sine in it
            even, odd = table[:, 0::2] * scale, table[:, 1::2] * scale  # (2, n, head_dim/2) each
            tables += [even[:, None, None].contiguous(), odd[:, None, None].contiguous()]
        self._cos, self._sin = (tables[0], tables[1]), (tables[2], tables[3])  # (2, 1, 1, n, head_dim/2) each

    def turn(self, qk: Tensor, first: int) -> Tensor:
        """Turn queries and keys.

        Args:
            qk: (2, B, heads, n, head_dim), any strides: q and k, even channels before odd ones.
            first: the row of the table that their first one has.

        Returns:
            The same shape and dtype, contiguous; computed in float32.
        """
        rows, half = slice(first, first + qk.shape[3]), qk.shape[-1] // 2
        wide = qk.float()
        parts = wide[..., :half], wide[..., half:]
        tables = [(self._cos[index][..., rows, :], self._sin[index][..., rows, :]) for index in (0, 1)]
        if _is_compiling():  # it fuses all of it, but cannot read what is written into slices
            halves = [parts[i] * cos + parts[1 - i] * sin for i, (cos, sin) in enumerate(tables)]
            return torch.cat(halves, dim=-1).to(qk.dtype)
        turned = torch.empty(qk.shape, dtype=torch.float32, device=qk.device)
        for i, (cos, sin) in enumerate(tables):
            torch.mul(parts[i], cos, out=turned[..., i * half : (i + 1) * half]).addcmul_(parts[1 - i], sin)
        return turned.to(qk.dtype)


class FastBlock:
    """One layer.

    Args:
        block: a plain one, with its weights; they are taken out of it.
        kernels: what to compute with.
    """

    def __init__(self, block: Block, kernels: Kernels) -> None:
        dim, self._heads = block.attn.proj.in_features, block.attn.heads
        head_dim = dim // self._heads
        channels = torch.cat([torch.arange(0, head_dim, 2), torch.arange(1, head_dim, 2)])
        rows = (torch.arange(0, 2 * dim, head_dim)[:, None] + channels).flatten()  # of q's and k's heads
        order = torch.cat([rows, torch.arange(2 * dim, 3 * dim)])
        dtype = block.attn.proj.weight.dtype
        self._norm1, self._norm2 = FastNorm(block.norm1, dtype), FastNorm(block.norm2, dtype)
        self._qkv = take(block.attn.qkv, kernels, order)
        self._proj = take(block.attn.proj, kernels)
        self._fc1, self._fc2 = take(block.mlp.fc1, kernels), take(block.mlp.fc2, kernels)

    def project(self, x: Tensor, rope: HalvesRope, first: int) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of x (B, n, dim) float32, whose first row has the table's row ``first``.

        Returns:
            Three of (B, heads, n, head_dim): q scaled and turned, k turned, v.
        """
        qkv = self._qkv(self._norm1(x)).view(*x.shape[:2], 3, self._heads, -1).permute(2, 0, 3, 1, 4)
        query, key = rope.turn(qkv[:2], first).unbind(0)
        return query, key, qkv[2]

    def finish(self, x: Tensor, mixed: Tensor) -> Tensor:
        """x (B, n, dim) float32 after this layer, given what attention has mixed for it, (B, n, dim)."""
        x = _plus(x, self._proj, mixed)
        return _plus(x, self._fc2, self._fc1(self._norm2(x), gelu=True))


def _plus(x: Tensor, linear: Linear, value: Tensor) -> Tensor:
    """x + linear(value), float32."""
    return linear(value, add=x) if value.dtype == x.dtype else x + linear(value)


def fast_blocks(blocks: nn.ModuleList, kernels: Kernels) -> list[FastBlock]:
    """A fast block for each plain one, which loses its weights."""
    made = []
    for block in blocks:
        assert isinstance(block, Block)
        made.append(FastBlock(block, kernels))
        # What was freed lies between what is kept: the system gets it back only if asked to.
        release_memory()
    return made


class FastNorm:
    """A LayerNorm of float32 values, with float32 weights as the reference has them under autocast.

    Args:
        norm: a plain one.
        dtype: of what it gives.
    """

    def __init__(self, norm: nn.LayerNorm, dtype: torch.dtype) -> None:
        self._shape, self._eps, self._dtype = list(norm.normalized_shape), norm.eps, dtype
        self._weight, self._bias = norm.weight.detach().float(), norm.bias.detach().float()

    def __call__(self, x: Tensor) -> Tensor:
        """(..., dim) -> (..., dim)"""
        return F.layer_norm(x, self._shape, self._weight, self._bias, self._eps).to(self._dtype)
