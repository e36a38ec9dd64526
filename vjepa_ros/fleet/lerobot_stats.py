"""Statistics of the features of an episode, as LeRobotDatasets have them, and of all together. It knows no files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
_LOWER, _UPPER = ("min", "q01", "q10", "q50"), ("max", "q90", "q99")
_DIGITS = 6  # of a level, from 0 to 1
_WHITE = 255


@dataclass(frozen=True)
class Stats:
    """Of one feature.

    Attributes:
        values: ``min``, ``max``, ``mean``, ``std`` and :data:`QUANTILES`: arrays of the shape that a row has.
        count: rows.
    """

    values: Mapping[str, NDArray[np.float64]]
    count: int

    @classmethod
    def of(cls, rows: ArrayLike) -> Stats:
        """Of (n, d) rows; of (n,) as if they were (n, 1)."""
        values = np.asarray(rows, np.float64)
        values = values.reshape(len(values), -1)
        found = {"min": values.min(0), "max": values.max(0), "mean": values.mean(0), "std": values.std(0)}
        quantiles = np.quantile(values, list(QUANTILES.values()), axis=0)
        return cls({**found, **dict(zip(QUANTILES, quantiles, strict=True))}, len(values))

    @classmethod
    def of_levels(cls, counts: NDArray[np.int64], rows: int) -> Stats:
        """Of pictures: how often each of their channels, (3, 256), has each level; the values are (3,), from 0 to 1."""
        levels, pixels = np.arange(_WHITE + 1), counts.sum(1)
        mean = counts @ levels / pixels
        up_to = np.cumsum(counts, axis=1)
        found = {
            "min": np.argmax(counts > 0, axis=1), "max": _WHITE - np.argmax(counts[:, ::-1] > 0, axis=1),
            "mean": mean, "std": np.sqrt(np.maximum(counts @ levels**2 / pixels - mean**2, 0)),
            **{name: np.argmax(up_to >= share * pixels[:, None], axis=1) for name, share in QUANTILES.items()},
        }  # fmt: skip
        return cls({name: np.round(value / _WHITE, _DIGITS) for name, value in found.items()}, rows)

    @classmethod
    def of_picture(cls, told: Mapping[str, Any]) -> Stats:
        """What was told of pictures: their values are (3, 1, 1)."""
        values = {name: np.asarray(value, np.float64).reshape(3, 1, 1) for name, value in told.items()
                  if name != "count"}  # fmt: skip
        return cls(values, told["count"][0])

    def joined(self, other: Stats | None) -> Stats:
        """Of both together; quantiles as lerobot joins them, which are bounds: the lower one up to the median, then the
        upper one."""
        if other is None:
            return self
        both, count = (self, other), self.count + other.count
        shares = [one.count / count for one in both]
        mean = np.average([one.values["mean"] for one in both], axis=0, weights=shares)
        squares = [one.values["std"] ** 2 + (one.values["mean"] - mean) ** 2 for one in both]
        std = np.sqrt(np.average(squares, axis=0, weights=shares))
        lower = {name: np.minimum(self.values[name], other.values[name]) for name in _LOWER}
        upper = {name: np.maximum(self.values[name], other.values[name]) for name in _UPPER}
        return Stats({**lower, **upper, "mean": mean, "std": std}, count)

    def told(self) -> dict[str, Any]:
        """By the names that the format has, as lists."""
        return {**{name: array.tolist() for name, array in self.values.items()}, "count": [self.count]}
