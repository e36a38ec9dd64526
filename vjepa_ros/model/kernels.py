"""The one door to what is fast on one machine and missing on another: linear layers and attention.

torch's public operators serve everywhere. Where a CPU has oneDNN, linear layers with weights that were packed for it
once take less time; the operators for that are private to torch, so they are tried before they are used. Tensors in,
tensors out; it knows no layers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from vjepa_ros.devices import INSTRUCTIONS, cpu_flags

MOST_SCORES = 2**26
"""That are there at once, 134 MB in bfloat16: more than a head has of 8,000 tokens."""
_SCORES_IN_CACHE = 1_200_000  # 2.4 MB in bfloat16; a third or twice as many took up to 5 % longer
_PROBE_TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 0.05}  # of values of about one


class LinearKernel(Protocol):
    """x (..., in) -> (..., out): the product with the weights, plus bias, then what is asked for."""

    def __call__(self, x: Tensor, *, gelu: bool = False, add: Tensor | None = None) -> Tensor:
        """Linear layer; then exact (erf) GELU, or a sum with ``add`` (..., out)."""


def linear(x: Tensor, weight: Tensor, bias: Tensor | None, *, gelu: bool, add: Tensor | None) -> Tensor:
    """A linear layer of torch's public operators, differentiable; see :class:`LinearKernel`."""
    y = F.linear(x, weight, bias)
    if gelu:
        y = F.gelu(y)
    return y if add is None else add + y


class PublicLinear:
    """A linear layer of torch's public operators."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self._weight, self._bias = weight, bias

    def __call__(self, x: Tensor, *, gelu: bool = False, add: Tensor | None = None) -> Tensor:
        return linear(x, self._weight, self._bias, gelu=gelu, add=add)


class PackedLinear:
    """A linear layer of oneDNN on a CPU, weights in the order of its loops; the sum on the way out, and GELU there or
    after it.

    Args:
        weight, bias: (out, in) and (out,).
        gelu_inside: whether oneDNN computes GELU.
    """

    def __init__(self, weight: Tensor, bias: Tensor, *, gelu_inside: bool = True) -> None:
        operators = torch.ops.mkldnn
        # By their full names: to find out which one is meant, torch would look at every number of the bias.
        self._linear, self._linear_add = operators._linear_pointwise.default, operators._linear_pointwise.binary
        self._gelu = torch.ops.aten.gelu_.default  # in place: what it is given is new
        self._weight = operators._reorder_linear_weight(weight.contiguous(), None)
        self._bias = bias
        self._gelu_inside = gelu_inside

    def __call__(self, x: Tensor, *, gelu: bool = False, add: Tensor | None = None) -> Tensor:
        y: Tensor
        if add is not None and not gelu:
            y = self._linear_add(x, add, self._weight, self._bias, "add")
            return y
        after = "gelu" if gelu and self._gelu_inside else "none"
        y = self._linear(x, self._weight, self._bias, after, [], "none")
        if gelu and not self._gelu_inside:
            y = self._gelu(y)
        return y if add is None else add + y


Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(q, k, v), each (B, heads, n, head_dim) -> (B, n, heads, head_dim): full attention."""


def attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention by torch's fused operator, which scales q; differentiable."""
    return F.scaled_dot_product_attention(query, key, value).transpose(1, 2)


def fused_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention by torch's fused operator, of a q that is scaled already."""
    return F.scaled_dot_product_attention(query, key, value, scale=1.0).transpose(1, 2)


def attention_by_products(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention as two batched products with a softmax between, of a q that is scaled already.

    So many heads go at a time that scores stay in the cache; of long windows only some queries of one, so that nothing
    quadratic is ever there as a whole. Scores and weights are rounded to the inputs' dtype, which
    torch's fused operator keeps in float32.
    """
    batch, heads, rows, channels = query.shape
    q, k, v = (part.reshape(batch * heads, -1, channels) for part in (query, key, value))
    mixed = torch.empty_like(q)
    together = max(1, _SCORES_IN_CACHE // (rows * key.shape[2]))
    queries = min(rows, max(1, MOST_SCORES // key.shape[2]))
    for start in range(0, batch * heads, together):
        some = slice(start, start + together)
        for first in range(0, rows, queries):
            part = slice(first, first + queries)
            scores = torch.bmm(q[some, part], k[some].transpose(1, 2))  # (heads, n, m)
            weights = torch.softmax(scores, dim=-1)
            if queries == rows:
                torch.bmm(weights, v[some], out=mixed[some])
            else:
                mixed[some, part] = torch.bmm(weights, v[some])
    return mixed.view(query.shape).transpose(1, 2)


class AttendShared(Protocol):
    """Full attention of B sequences to keys that all of them share and, behind those, to their own."""

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, shared_key: Tensor, shared_value: Tensor) -> Tensor:
        """q, k, v (B, heads, n, head_dim), q scaled, and of all (1, heads, s, head_dim) -> as :data:`Attend`."""


def joined_attention(query: Tensor, key: Tensor, value: Tensor, shared_key: Tensor, shared_value: Tensor) -> Tensor:
    """Attention to what is shared and to what is not, apart, and joined by the logarithms of their sums; on a CPU.

    With l and m the log-sum-exp of a query's scores in both parts, what it sees is a mean of both outputs, the first
    with the weight exp(l) / (exp(l) + exp(m)) = sigmoid(l - m). So nothing shared is copied, and the queries of all
    sequences meet it in one operator. The means are taken in float32.
    """
    batch, heads, rows, channels = query.shape
    attend = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default
    together = query.transpose(0, 1).reshape(1, heads, batch * rows, channels)
    of_shared, shared_sum = attend(together, shared_key, shared_value, scale=1.0)
    of_own, own_sum = attend(query, key, value, scale=1.0)  # (B, heads, n, head_dim), (B, heads, n) float32
    weight = torch.sigmoid(shared_sum.view(heads, batch, rows).transpose(0, 1) - own_sum)
    of_shared = of_shared.view(heads, batch, rows, channels).permute(1, 2, 0, 3)
    mixed = torch.lerp(of_own.transpose(1, 2).float(), of_shared.float(), weight.transpose(1, 2)[..., None])
    return mixed.to(query.dtype)


@dataclass(frozen=True)
class Kernels:
    """What packed modules on one device and in one dtype compute with; made for inference, not for gradients.

    Attributes:
        linear: weight (out, in) and bias (out,) to a linear layer.
        attend: attention, of a q that is scaled already.
        attend_shared: attention to what sequences share; None where copies of it, behind each other, do.
        name: in words, for the log.
    """

    linear: Callable[[Tensor, Tensor], LinearKernel]
    attend: Attend
    attend_shared: AttendShared | None
    name: str


def choose_kernels(device: torch.device, dtype: torch.dtype) -> Kernels:
    """What is fast on a device, once it has shown that it works there.

    The choice depends on the machine and on torch's version alone, not on a measurement: the same machine computes the
    same bits every time.
    """
    flags = cpu_flags()
    gelu_inside = dtype != torch.float32 or gelu_is_faster_inside(flags)
    packed = partial(PackedLinear, gelu_inside=gelu_inside)
    is_packed = device.type == "cpu" and dtype in _PROBE_TOLERANCE and _works(packed, dtype)
    by_products = device.type == "cpu" and dtype == torch.bfloat16 and products_are_faster(flags)
    # In bfloat16 the two parts would be rounded once more, and copies took no longer.
    is_joined = device.type == "cpu" and dtype == torch.float32 and _joined_works()
    packed_name = f"weights packed for oneDNN, GELU {'inside' if gelu_inside else 'apart'}"
    names = (packed_name if is_packed else "torch's linear layers",
             "attention by batched products" if by_products else "torch's fused attention")  # fmt: skip
    return Kernels(
        packed if is_packed else PublicLinear,
        attention_by_products if by_products else fused_attention,
        joined_attention if is_joined else None,
        ", ".join(names),
    )


def products_are_faster(flags: Collection[str]) -> bool:
    """Whether attention in bfloat16 takes less time as two products than by torch's fused operator.

    Without instructions for bfloat16 products are imitated. With AMX the fused operator takes less time.
    docs/performance.md has the figures of each kind.

    Args:
        flags: of the CPU, see :func:`vjepa_ros.devices.cpu_flags`.
    """
    return "amx_bf16" not in flags and not INSTRUCTIONS[torch.bfloat16].isdisjoint(flags)


def gelu_is_faster_inside(flags: Collection[str]) -> bool:
    """Whether oneDNN's own GELU, in float32, takes less time than torch's after it: not with AVX2 alone.

    With AVX-512 it does; what is neither was not measured, and has oneDNN's. docs/performance.md has the figures.

    Args:
        flags: of the CPU, see :func:`vjepa_ros.devices.cpu_flags`.
    """
    return "avx2" not in flags or "avx512f" in flags


def _joined_works() -> bool:
    """Whether this torch has the private operator, and whether it computes what the public one does."""
    generator = torch.Generator(device="cpu").manual_seed(0)
    shapes = (2, 3, 5, 16), (2, 3, 7, 16), (2, 3, 7, 16), (1, 3, 9, 16), (1, 3, 9, 16)
    query, key, value, *shared = (torch.randn(shape, generator=generator) for shape in shapes)
    try:
        joined = joined_attention(query, key, value, *shared)
    except (AttributeError, RuntimeError, TypeError):
        return False
    seen = (torch.cat([of_all.expand(2, -1, -1, -1), own], 2) for of_all, own in zip(shared, (key, value), strict=True))
    return float((joined - fused_attention(query, *seen)).abs().max()) <= _PROBE_TOLERANCE[torch.float32]


def _works(linear: Callable[[Tensor, Tensor], LinearKernel], dtype: torch.dtype) -> bool:
    """Whether this torch has the private operators, and whether they compute what the public ones do."""
    generator = torch.Generator(device="cpu").manual_seed(0)
    weight, x = (torch.randn(shape, generator=generator).to(dtype) for shape in ((64, 48), (32, 48)))
    weight, bias = weight / 7, torch.linspace(-1, 1, 64).to(dtype)
    add = torch.linspace(-1, 1, 32 * 64).view(32, 64).to(dtype)
    public = PublicLinear(weight, bias)
    try:
        packed = linear(weight, bias)
        pairs = [
            (packed(x), public(x)),
            (packed(x, gelu=True), public(x, gelu=True)),
            (packed(x, add=add), public(x, add=add)),
        ]
    except (AttributeError, RuntimeError, TypeError):  # no oneDNN, no such operator, or one with other arguments
        return False
    return all(float((a.float() - b.float()).abs().max()) <= _PROBE_TOLERANCE[dtype] for a, b in pairs)
