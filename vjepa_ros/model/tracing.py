"""Modules as exporters read them: of plain operators only, with nothing that depends on the device.

It knows no exporter, and no format.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from vjepa_ros.model.blocks import Attention, layer_normalize


def plain_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention as two products with a softmax between, (B, heads, n, head_dim) each -> (B, n, heads, head_dim).

    torch's fused operator would be exported with its scale computed from shapes at run time, in the tensors' dtype.
    """
    scale = int(query.shape[-1]) ** -0.5  # a tracer's shapes are tensors
    weights = torch.softmax((query * scale) @ key.transpose(-2, -1), dim=-1)
    return (weights @ value).transpose(1, 2)


@contextmanager
def plainly(module: nn.Module) -> Iterator[None]:
    """Have a module that is not packed compute by plain operators, until the block ends."""
    attentions = [part for part in module.modules() if isinstance(part, Attention)]
    before = [part.attend for part in attentions]
    try:
        for part in attentions:
            part.attend = plain_attention
        yield
    finally:
        for part, attend in zip(attentions, before, strict=True):
            part.attend = attend


class Whole(nn.Module):
    """An encoder or a predictor with the layer norm behind it; float32 in and out, whatever its weights are in."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part
        self._dtype = next(part.parameters()).dtype

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """The part's own output, and that layer-normalised; (B, T'*H'*W', D) float32 each."""
        own = self.part(*(value.to(self._dtype) for value in inputs)).float()
        return own, layer_normalize(own)
