"""What is done to actions and states before the model sees them; :mod:`vjepa_ros.engine.normalizing` does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from vjepa_ros.config.checks import require
from vjepa_ros.errors import brief

LEAST_STD = 1e-6
"""A value that never changed in training has a standard deviation of zero or of rounding errors: divided by it, the
least noise would be larger than anything that the model knows."""


@dataclass(frozen=True)
class Normalization:
    """(x - mean) / std, per dimension.

    Attributes:
        mean, std: one number per dimension.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @cached_property
    def changes_nothing(self) -> bool:
        """Whether values stay what they are."""
        return not any(self.mean) and all(std == 1 for std in self.std)


@dataclass(frozen=True)
class Normalizations:
    """Those of actions and states.

    Attributes:
        actions, states: (A,) and (S,).
    """

    actions: Normalization
    states: Normalization

    @classmethod
    def of(cls, values: Mapping[str, Any], action_dim: int, state_dim: int) -> Normalizations:
        """What the parameters ``actions.mean``, ``actions.std``, ``states.mean`` and ``states.std`` say.

        Raises:
            ConfigError: where they do not fit; it names the parameter.
        """
        return cls(_of("actions", values, action_dim), _of("states", values, state_dim))


def _of(prefix: str, values: Mapping[str, Any], dim: int) -> Normalization:
    """Without the parameters, or with empty ones, nothing is done."""
    mean = tuple(map(float, values.get(f"{prefix}.mean") or ())) or (0.0,) * dim
    std = tuple(map(float, values.get(f"{prefix}.std") or ())) or (1.0,) * dim
    for name, numbers in (("mean", mean), ("std", std)):
        require(len(numbers) == dim, f"{prefix}.{name}", f"has {len(numbers)} numbers for {dim} dimensions")
    require(
        all(number >= LEAST_STD for number in std),
        f"{prefix}.std", f"must be positive, and at least {LEAST_STD:g}, not {brief(list(std))}: where a value never "
        "changes, say 1",
    )  # fmt: skip
    return Normalization(mean, std)
