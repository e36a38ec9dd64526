"""What is done to actions and states before the model sees them. Numbers in, numbers out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vjepa_ros.config.checks import require
from vjepa_ros.geometry import Vector


@dataclass(frozen=True)
class Normalization:
    """What is done to actions or states before the model sees them: (x - mean) / std, per dimension.

    Attributes:
        mean, std: one number per dimension.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def apply(self, values: Vector) -> Vector:
        """(..., dims) as read -> (..., dims) as the model sees them."""
        normalized: Vector = (values - self.mean) / self.std
        return normalized

    def undo(self, values: Vector) -> Vector:
        """(..., dims) as the model sees them -> (..., dims) as read."""
        read: Vector = values * self.std + self.mean
        return read


def normalization(prefix: str, values: Mapping[str, Any], dim: int) -> Normalization:
    """What the parameters say of ``actions`` or ``states``; without them, or with empty ones, nothing is done.

    Raises:
        ConfigError: where they do not fit; it names the parameter.
    """
    mean = tuple(map(float, values.get(f"{prefix}.mean") or ())) or (0.0,) * dim
    std = tuple(map(float, values.get(f"{prefix}.std") or ())) or (1.0,) * dim
    for name, numbers in (("mean", mean), ("std", std)):
        require(len(numbers) == dim, f"{prefix}.{name}", f"has {len(numbers)} numbers for {dim} dimensions")
    require(all(number > 0 for number in std), f"{prefix}.std", f"must be positive, not {list(std)}")
    return Normalization(mean, std)
