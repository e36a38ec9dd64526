"""Which forecast is compared with which observation, and the numbers, computed once more by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.builders import MS, stream_config

from vjepa_ros.forecast.prediction_error import PredictionError, PredictionErrors
from vjepa_ros.stream.actions import Steps
from vjepa_ros.stream.frame import Frame
from vjepa_ros.stream.future import Future
from vjepa_ros.stream.window import Window

SHAPE = (2, 3, 4)  # rows, columns, channels
NO_IMAGE = np.zeros((3, 1, 1), np.float32)
NO_STEPS = Steps(np.zeros((1, 1)), (None,), 0, True)


def window(number: int, places: range | list[int], epoch: int = 0) -> Window:
    """A window of the frames at these places of a long recording."""
    frames = tuple(Frame(1 + place * 50 * MS, "camera", NO_IMAGE) for place in places)
    return Window(epoch, number, frames, (1,), NO_STEPS, NO_STEPS, late=0, future=Future.none(1))


def latents(seed: int, *leading: int, dtype: type = np.float32) -> NDArray[Any]:
    return np.random.default_rng(seed).normal(size=(*leading, *SHAPE)).astype(dtype)


class Stretch:
    """Windows of 16 frames one after another, each with forecasts and an observation of its own."""

    def __init__(self, stride: int = 2, hop: int = 2, horizon: int = 1, dtype: type = np.float32) -> None:
        self.hop, self.horizon, self.dtype = hop, horizon, dtype
        self.errors = PredictionErrors(stream_config(stride=stride, hop=hop, horizon=horizon))

    def forecasts(self, number: int) -> NDArray[Any]:
        return latents(1000 + number, self.horizon, dtype=self.dtype)

    def observed(self, number: int) -> NDArray[Any]:
        return latents(number, dtype=self.dtype)

    def add(self, number: int, first: int | None = None, epoch: int = 0) -> PredictionError | None:
        first = number * self.hop if first is None else first
        return self.errors.add(
            window(number, range(first, first + 16), epoch), self.forecasts(number), self.observed(number)
        )

    def expected(self, number: int, ahead: int, by: int) -> PredictionError:
        """What forecast ``ahead`` of window ``by`` costs at window ``number``."""
        observed = self.observed(number).astype(np.float64)
        wrong = np.mean(np.abs(self.forecasts(by)[ahead - 1].astype(np.float64) - observed))
        stayed = np.mean(np.abs(self.observed(by).astype(np.float64) - observed))
        stamp_ns = 1 + (number * self.hop + 15) * 50 * MS
        return PredictionError(stamp_ns, ahead, pytest.approx(wrong, rel=1e-6), pytest.approx(stayed, rel=1e-6))


@pytest.mark.parametrize(
    ("stride", "hop", "horizon", "ahead"),
    [
        (2, 2, 1, 1),
        (2, 2, 4, 1),  # the nearest forecast of a step counts
        (2, 4, 4, 2),  # two steps on with every window: only every second forecast is ever observed as the newest
        (2, 6, 4, 3),
        (1, 1, 3, 1),  # frame_repeat: a step is a frame
        (1, 3, 3, 3),
        (4, 4, 2, 1),
    ],
)
def test_the_nearest_forecast_of_the_newest_step_is_compared(stride: int, hop: int, horizon: int, ahead: int) -> None:
    stretch = Stretch(stride, hop, horizon)
    assert stretch.add(0) is None
    assert stretch.errors.summary is None
    found = [stretch.add(number) for number in range(1, 8)]
    want = [stretch.expected(number, ahead, by=number - 1) for number in range(1, 8)]
    assert found == want
    summary = stretch.errors.summary
    assert summary is not None
    assert (summary.count, summary.last) == (7, found[-1])
    assert summary.mean_error == pytest.approx(np.mean([each.error for each in found if each]))
    assert summary.mean_no_change == pytest.approx(np.mean([each.no_change for each in found if each]))
    assert len({each.error for each in found if each}) == 7, "each forecast has an error of its own"


def test_what_no_forecast_reaches_has_no_error() -> None:
    stretch = Stretch(hop=6, horizon=2)  # the next window ends three steps on
    assert [stretch.add(number) for number in range(5)] == [None] * 5


def test_a_window_that_was_left_out_is_bridged_by_a_further_forecast() -> None:
    stretch = Stretch(horizon=3)
    stretch.add(0)
    assert stretch.add(3) == stretch.expected(3, 3, by=0)
    assert stretch.add(5) == stretch.expected(5, 2, by=3)
    assert stretch.add(6) == stretch.expected(6, 1, by=5)
    assert stretch.add(10) is None
    assert stretch.errors.summary is not None and stretch.errors.summary.count == 3


def test_another_epoch_has_forecasts_of_its_own() -> None:
    """After a jump of time the same stamps and numbers come again."""
    stretch = Stretch(horizon=2)
    stretch.add(0)
    assert stretch.add(1, epoch=1) is None
    assert stretch.add(2, epoch=1) == stretch.expected(2, 1, by=1)


@pytest.mark.parametrize("frames_lost", [1, 30])
def test_across_a_gap_nothing_is_compared(frames_lost: int) -> None:
    """A window begins anew after a gap; its number goes on."""
    stretch = Stretch(horizon=3)
    stretch.add(0)
    stretch.add(1)
    begin = 18 + frames_lost
    assert stretch.add(2, first=begin) is None
    assert stretch.add(3, first=begin + 2) is not None
    assert stretch.errors.summary is not None and stretch.errors.summary.count == 2


def test_a_camera_slower_than_the_frame_rate_does_not_mislead() -> None:
    """A frame that serves four ticks is the newest of two windows; a forecast of the earlier is not the later one's."""
    stretch = Stretch()
    ticks = [(tick + 2) // 4 for tick in range(40)]
    stretch.errors.add(window(0, ticks[0:16]), stretch.forecasts(0), stretch.observed(0))
    # Window 1, whose newest frame is that of window 0 again, was left out; window 2 looks back to a tick of that frame.
    last = window(2, ticks[4:20])
    assert last.frames[15 - 2].stamp_ns == 1 + ticks[15] * 50 * MS == 1 + ticks[17] * 50 * MS
    assert stretch.errors.add(last, stretch.forecasts(2), stretch.observed(2)) is None


@pytest.mark.parametrize("horizon", [1, 3, 50])
def test_what_is_kept_does_not_grow(horizon: int) -> None:
    stretch = Stretch(horizon=horizon)
    for number in range(60):
        stretch.add(number)
    kept = stretch.errors._kept
    assert len(kept) <= min(horizon, 7)
    assert sum(each.forecasts.nbytes for each in kept.values()) <= 7 * 7 * latents(0).nbytes
    assert all(each.forecasts.base is None for each in kept.values()), "a view would keep the whole array"


def test_half_floats_are_compared_as_the_numbers_they_are() -> None:
    stretch = Stretch(dtype=np.float16)
    stretch.add(0)
    assert stretch.add(1) == stretch.expected(1, 1, by=0)


def test_what_is_not_finite_gives_no_number() -> None:
    stretch = Stretch()
    stretch.add(0)
    broken = np.full(SHAPE, np.nan, np.float32)
    assert stretch.errors.add(window(1, range(2, 18)), stretch.forecasts(1), broken) is None
    assert stretch.errors.summary is None
    assert stretch.add(2) is None, "it was compared with what was broken"
    assert stretch.add(3) == stretch.expected(3, 1, by=2)


def test_a_window_of_one_step_overlaps_no_other() -> None:
    errors = PredictionErrors(stream_config(num_frames=2, horizon=3))
    for number in range(3):
        assert errors.add(window(number, range(2 * number, 2 * number + 2)), latents(0, 3), latents(1)) is None
