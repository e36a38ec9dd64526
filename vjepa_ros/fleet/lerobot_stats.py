"""Statistics of the features of an episode, as LeRobotDatasets have them, and of all together. It knows no files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Stats:
    """Of one feature: arrays of the shape that a row of it has; of a picture (3, 1, 1), from 0 to 1.

    Attributes:
        low, high, mean, std: of each number.
        count: rows.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    count: int

    @classmethod
    def of(cls, rows: ArrayLike) -> Stats:
        """Of (n, d) rows."""
        values = np.asarray(rows, np.float64)
        return cls(values.min(0), values.max(0), values.mean(0), values.std(0), len(values))

    @classmethod
    def of_picture(cls, sums: Mapping[str, Any], count: int) -> Stats:
        """Of pictures whose levels were summed up: ``pixels``, and lists of three ``low``, ``high``, ``sum`` and
        ``squares``."""
        pixels, white = float(sums["pixels"]), 255.0
        low, high, total, squares = (
            np.asarray(sums[name], np.float64).reshape(3, 1, 1) for name in ("low", "high", "sum", "squares")
        )
        mean = total / pixels
        std = np.sqrt(np.maximum(squares / pixels - mean**2, 0))
        return cls(low / white, high / white, mean / white, std / white, count)

    def joined(self, other: Stats | None) -> Stats:
        """Of both together."""
        if other is None:
            return self
        count = self.count + other.count
        mean = (self.mean * self.count + other.mean * other.count) / count
        squares = sum(one.count * (one.std**2 + (one.mean - mean) ** 2) for one in (self, other)) / count
        return Stats(np.minimum(self.low, other.low), np.maximum(self.high, other.high), mean, np.sqrt(squares), count)

    def values(self) -> dict[str, Any]:
        """By the names that the format has, as lists."""
        arrays = {"min": self.low, "max": self.high, "mean": self.mean, "std": self.std}
        return {**{name: array.tolist() for name, array in arrays.items()}, "count": [self.count]}
