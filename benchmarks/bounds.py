"""The lower bound: the bare matrix products and attentions of a workload, each by the fastest kernel that was found.

It computes with random numbers of the right shapes and knows no models. It is a bound for the kernels that are tried
here, listed in :data:`PRODUCTS` and :data:`ATTENTIONS`; a better kernel would be below it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.shapes import Attention, Product, Shape
from benchmarks.timing import fastest, interleaved, medians

TRIAL_ROUNDS, TRIAL_S = 5, 1.0
"""How often each kernel is tried with a shape, and for how long at most."""

Kernel = Callable[[], Tensor]


def _linear(x: Tensor, weight: Tensor) -> Kernel:
    return partial(F.linear, x, weight)


def _transposed(x: Tensor, weight: Tensor) -> Kernel:
    return partial(torch.mm, x, weight.t().contiguous())


def _packed(x: Tensor, weight: Tensor) -> Kernel:
    """oneDNN with weights packed once. Private names of torch: where they are missing, this kernel is not tried."""
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, x.shape[0])
    return partial(torch.ops.mkldnn._linear_pointwise, x, packed, None, "none", [], "")


def _sdpa(query: Tensor, key: Tensor, value: Tensor) -> Kernel:
    return partial(F.scaled_dot_product_attention, query, key, value)


def _batched(query: Tensor, key: Tensor, value: Tensor) -> Kernel:
    """Two batched products and a softmax; the scores are rounded to the dtype."""
    q, k, v = (tensor.flatten(0, 1) for tensor in (query, key, value))
    scaled, turned = q * q.shape[-1] ** -0.5, k.transpose(1, 2)
    return lambda: torch.bmm(torch.softmax(torch.bmm(scaled, turned), dim=-1), v)


PRODUCTS: dict[str, Callable[[Tensor, Tensor], Kernel]] = {
    "linear": _linear, "mm": _transposed, "packed": _packed,
}  # fmt: skip
ATTENTIONS: dict[str, Callable[[Tensor, Tensor, Tensor], Kernel]] = {"sdpa": _sdpa, "bmm": _batched}

NOT_THERE = (RuntimeError, NotImplementedError, AttributeError, TypeError)
"""What torch raises for a kernel that this build, device or dtype does not have."""


class Bound:
    """The bare workload, ready to be run: ``bound()``.

    Args:
        shapes: of the products and attentions.
        device, dtype: where and in what.
        wait: waits for the device, see :func:`benchmarks.timing.interleaved`.

    Attributes:
        kernels: the name of the fastest kernel of each shape.
        missing: the names of those that torch does not have here.
    """

    def __init__(
        self, shapes: Sequence[Shape], device: torch.device, dtype: torch.dtype, wait: Callable[[], None]
    ) -> None:
        self._device, self._dtype, self._wait = device, dtype, wait
        self._generator = torch.Generator().manual_seed(0)
        self.kernels: dict[Shape, str] = {}
        self.missing: set[str] = set()
        self._workloads = [work for shape in dict.fromkeys(shapes) for work in self._chosen(shape, shapes.count(shape))]

    def __call__(self) -> None:
        """Run every product and attention once; each product with weights of its own, as in a model."""
        with torch.inference_mode():
            for work in self._workloads:
                work()

    def _chosen(self, shape: Shape, times: int) -> list[Kernel]:
        """The shape's work by its fastest kernel, as often as it is needed."""
        with torch.inference_mode():
            kernels = self._product(shape) if isinstance(shape, Product) else self._attention(shape)
            trials: dict[str, Kernel] = {}
            for name, make in kernels.items():
                try:
                    kernel = make()
                    kernel()  # warm, and there
                except NOT_THERE:
                    self.missing.add(name)
                    continue
                trials[name] = kernel
            timed = interleaved(trials, TRIAL_ROUNDS, TRIAL_S, self._wait)
            name = self.kernels[shape] = fastest(medians(timed))
            return [trials[name], *(kernels[name]() for _ in range(shape.count * times - 1))]

    def _product(self, shape: Product) -> dict[str, Callable[[], Kernel]]:
        x = self._random(shape.rows, shape.inner)

        # The weights are made one by one, when a kernel asks for them: of a shape only the chosen kernel's stay.
        def weighted(make: Callable[[Tensor, Tensor], Kernel]) -> Kernel:
            return make(x, self._random(shape.outer, shape.inner))

        return {name: partial(weighted, make) for name, make in PRODUCTS.items()}

    def _attention(self, shape: Attention) -> dict[str, Callable[[], Kernel]]:
        def tensor(rows: int) -> Tensor:
            return self._random(shape.sequences, shape.heads, rows, shape.head_dim)

        query, key, value = tensor(shape.queries), tensor(shape.keys), tensor(shape.keys)
        # Keys and values are activations: every layer's were just written, so one set stands for all.
        return {name: partial(make, query, key, value) for name, make in ATTENTIONS.items()}

    def _random(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self._generator).to(self._device, self._dtype)
