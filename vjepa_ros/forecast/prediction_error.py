"""How far forecasts were from what was then observed, next to what expecting no change would have cost.

Windows and arrays in, numbers out; it knows no ROS, no threads, no clock and no model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.config.stream import StreamConfig
from vjepa_ros.stream.window import Window


@dataclass(frozen=True)
class PredictionError:
    """One forecast against what was observed: mean absolute differences over tokens and channels.

    Attributes:
        stamp_ns: of the newest frame of the window that observed it.
        ahead: h, how many steps ahead it was forecast.
        error: of the forecast.
        no_change: of expecting that the newest step observed when it was forecast would stay as it was.
    """

    stamp_ns: int
    ahead: int
    error: float
    no_change: float


@dataclass(frozen=True)
class Summary:
    """The errors so far.

    Attributes:
        count: how many there are.
        mean_error, mean_no_change: over all of them, however many steps ahead each was forecast.
        last: the newest one.
    """

    count: int
    mean_error: float
    mean_no_change: float
    last: PredictionError


@dataclass(frozen=True)
class Compared:
    """A step as it was forecast, and as it was then observed.

    Attributes:
        stamp_ns: of the newest frame of the window that observed it.
        forecast, observed: (H', W', D).
    """

    stamp_ns: int
    forecast: NDArray[Any]
    observed: NDArray[Any]

    @property
    def by_place(self) -> NDArray[np.float32]:
        """(H', W'): the mean absolute difference over the channels, in float32."""
        difference = self.forecast.astype(np.float32) - self.observed.astype(np.float32)
        return np.asarray(np.abs(difference).mean(axis=-1), np.float32)


@dataclass(frozen=True)
class _Kept:
    stamp_ns: int  # of the window's newest frame
    forecasts: NDArray[Any]  # (h, H', W', D)
    observed: NDArray[Any]  # (H', W', D)


class PredictionErrors:
    """Keeps forecasts until what they are about has been observed.

    A forecast h belongs to the window that ends h steps after its own: of the same epoch, with as many hops between
    them, and with the newest frame of the one at that place in the other, so that no gap lies between. Windows that do
    not overlap are never compared. Of several forecasts of the same step the nearest one counts.

    Args:
        config: how windows follow each other; its horizon is how many forecasts each window has.

    Attributes:
        summary: None before the first error; replaced as a whole, so that other threads may read it.
        compared: what the last :meth:`add` has compared; None where it has not.
    """

    def __init__(self, config: StreamConfig) -> None:
        self._stride, self._hop, self._num_frames = config.stride, config.hop, config.num_frames
        self._compared = config.compared_steps
        self._furthest = max(self._compared, default=0)
        self._epoch = -1
        self._kept: dict[int, _Kept] = {}  # by the window's number; the last few
        self._count = 0
        self._sums = np.zeros(2)  # of the errors, and of those of no change
        self.summary: Summary | None = None
        self.compared: Compared | None = None

    def add(self, window: Window, forecasts: NDArray[Any], observed: NDArray[Any]) -> PredictionError | None:
        """Compare what a window observes with what was forecast, and keep what it forecasts itself.

        Args:
            window: the window; later ones of the same epoch have higher numbers.
            forecasts: (H, H', W', D), forecasts 1 to H.
            observed: (H', W', D), the encoder's latents of the window's newest step.

        Returns:
            The error of the nearest forecast of that step; None where there was none, or a value is not finite.
        """
        if window.epoch != self._epoch:
            self._epoch = window.epoch
            self._kept = {}
        self.compared = None
        found = self._compare(window, observed)
        oldest = window.number - self._furthest * self._stride // self._hop
        self._kept = {number: kept for number, kept in self._kept.items() if number > oldest}
        # Copies, because a view would keep all of the array that it is a part of.
        self._kept[window.number] = _Kept(
            window.frames[-1].stamp_ns, forecasts[: self._furthest].copy(), observed.copy()
        )
        return found

    def _compare(self, window: Window, observed: NDArray[Any]) -> PredictionError | None:
        for ahead in self._compared:
            frames = ahead * self._stride
            kept = self._kept.get(window.number - frames // self._hop)
            if kept is None or kept.stamp_ns != window.frames[self._num_frames - 1 - frames].stamp_ns:
                continue
            forecast = kept.forecasts[ahead - 1]
            error = mean_difference(forecast, observed)
            no_change = mean_difference(kept.observed, observed)
            if not np.isfinite([error, no_change]).all():
                return None
            self.compared = Compared(window.stamp_ns, forecast, observed)
            return self._count_in(PredictionError(window.stamp_ns, ahead, error, no_change))
        return None

    def _count_in(self, found: PredictionError) -> PredictionError:
        self._count += 1
        self._sums += (found.error, found.no_change)
        mean_error, mean_no_change = (self._sums / self._count).tolist()
        self.summary = Summary(self._count, mean_error, mean_no_change, found)
        return found


def mean_difference(one: NDArray[Any], other: NDArray[Any]) -> float:
    """The mean absolute difference of two arrays of the same shape, in float32, averaged in float64."""
    return float(np.abs(one.astype(np.float32) - other.astype(np.float32)).mean(dtype=np.float64))
