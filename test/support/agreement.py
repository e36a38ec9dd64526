"""Whether an output is the reference's, up to rounding. Tensors in, a verdict out; it does not know what was computed.

Outputs have values of about one. float32 is compared with the reference's float32, and so is bfloat16: there, what
bfloat16 (autocast) costs the reference itself sets the limit.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

TOLERANCE = 1e-5
"""What float32 may differ by, on average and for the worst value."""
FOLDED_TOLERANCE = 5e-5
"""What the worst value may differ by in ``frame_repeat``, where this package sums the kernel over time before it is
used and so adds in another order. On small random models single values differed by up to 4e-5, of 1.6e4; there the
public code was 2e-5 from its own result in float64, as ours was, and on average ours was nearer."""
CHAINED_TOLERANCE = 5e-5
"""What the worst value of a rollout may differ by, where each step's rounding goes into the steps after it."""

HALF_MEAN, HALF_MAXIMUM = 1.2, 2.0
"""bfloat16: how much larger than the reference's own error ours may be. Rounding is random: over 72 small models
modules all in bfloat16, LayerNorms and sums too, had up to 1.19 times the mean error, and up to 1.6 times the largest.
Packed ones have less: docs/performance.md has their figures."""


@dataclass(frozen=True)
class Agreement:
    """How far an output is from the reference's, and how far it may be.

    Attributes:
        maximum, mean: of the absolute differences.
        maximum_allowed, mean_allowed: what they may be.
    """

    maximum: float
    mean: float
    maximum_allowed: float
    mean_allowed: float

    @property
    def holds(self) -> bool:
        """False also where a value is not a number."""
        return self.maximum <= self.maximum_allowed and self.mean <= self.mean_allowed


def differences(output: Tensor, exact: Tensor) -> tuple[float, float]:
    """(maximum, mean) of the absolute differences, in float32."""
    assert output.shape == exact.shape, f"{tuple(output.shape)} is no output to compare with {tuple(exact.shape)}"
    difference = (output.float() - exact.float()).abs()
    return difference.max().item(), difference.mean().item()


def agreement(output: Tensor, exact: Tensor, own: Tensor | None = None, worst: float = TOLERANCE) -> Agreement:
    """Compare an output with the reference's.

    Args:
        output: ours.
        exact: the reference's in float32, of the same shape.
        own: the reference's in bfloat16, where ours is in bfloat16.
        worst: how far a single value may be off in float32.
    """
    maximum, mean = differences(output, exact)
    if own is None:
        return Agreement(maximum, mean, worst, TOLERANCE)
    own_maximum, own_mean = differences(own, exact)
    return Agreement(maximum, mean, HALF_MAXIMUM * own_maximum, HALF_MEAN * own_mean)
