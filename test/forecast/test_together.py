"""Windows of several cameras in one call of the model: each gives what it gives alone, whatever the others see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.builders import model_window
from support.forecasters import config

import vjepa_ros
from vjepa_ros.forecast.forecaster import Forecaster, WindowForecast, together
from vjepa_ros.stream.window import Window

ROUNDING = 2e-5  # float32, layer-normalised latents


def shifted(window: Window, frames: int) -> Window:
    """The window that begins with the frames which come last here, and goes on with others: they overlap."""
    newer = model_window(50).frames
    shift_ns = window.frames[frames].stamp_ns - window.frames[0].stamp_ns
    later = tuple(replace(frame, stamp_ns=frame.stamp_ns + shift_ns) for frame in newer[-frames:])
    return replace(window, number=window.number + 1, frames=(*window.frames[frames:], *later))


def assert_alike(one: WindowForecast, other: WindowForecast, tolerance: float) -> None:
    assert one.context is not None and other.context is not None and one.finite and other.finite
    for ours, alone in ((one.predicted, other.predicted), (one.context, other.context)):
        np.testing.assert_allclose(ours, alone, rtol=0, atol=tolerance, strict=True)
    np.testing.assert_allclose(one.observed(), other.observed(), rtol=0, atol=tolerance, strict=True)


@pytest.mark.parametrize("encoding", ["clip", "tubelet"])
@pytest.mark.parametrize(("steps", "horizon"), [("forecast", 1), ("all", 1), ("forecast", 3), ("all", 3)])
def test_each_window_gives_what_it_gives_alone(encoding: str, steps: str, horizon: int) -> None:
    values = {"encoding": encoding, "latents__steps": steps, "latents__horizon": horizon}
    settings = config(**values, latents__publish_context=True)
    model = vjepa_ros.load("tiny_random", encoding=encoding)
    cameras = [Forecaster(model, settings) for _ in range(3)]
    windows = [model_window(seed, seed, seed, ahead=horizon - 1) for seed in range(3)]
    found = together(list(zip(cameras, windows, strict=True)))
    for camera, window, forecast in zip(cameras, windows, found, strict=True):
        assert_alike(forecast, Forecaster(model, settings)(window), ROUNDING)
        assert camera.last is not None and camera.last.window is window
        assert forecast.stages_ms == found[0].stages_ms
    assert np.abs(found[0].predicted - found[1].predicted).max() > 0.01, "else nothing is told apart"


def test_what_one_camera_sees_changes_no_bit_of_the_others() -> None:
    settings, model = config(latents__publish_context=True), vjepa_ros.load("tiny_random")

    def of(others: Sequence[int]) -> WindowForecast:
        windows = [model_window(0), *(model_window(seed, seed, seed) for seed in others)]
        return together([(Forecaster(model, settings), window) for window in windows])[0]

    assert_alike(of([1, 2]), of([8, 9]), 0.0)
    broken = together(
        [(Forecaster(model, settings), model_window(seed, nan_frame=nan)) for seed, nan in ((0, None), (1, 3))]
    )
    assert [forecast.finite for forecast in broken] == [True, False]
    assert_alike(broken[0], Forecaster(model, settings)(model_window(0)), ROUNDING)


def test_units_that_are_kept_are_of_each_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two windows that overlap four frames are new: two tubelets of each camera, two at a time."""
    model = vjepa_ros.load("tiny_random", encoding="tubelet")
    settings = config(encoding="tubelet", latents__publish_context=True)
    left, right = Forecaster(model, settings), Forecaster(model, settings)
    first = [model_window(1), model_window(2)]
    together([(left, first[0]), (right, first[1])])
    second = [shifted(window, 4) for window in first]
    sizes: list[tuple[int, ...]] = []
    encode = model.encode

    def counted(clip: torch.Tensor) -> torch.Tensor:
        sizes.append(tuple(clip.shape[:3]))
        return encode(clip)

    monkeypatch.setattr(model, "encode", counted)
    found = together([(left, second[0]), (right, second[1])])
    assert sizes == [(2, 3, 2)] * 2
    for forecast, window in zip(found, second, strict=True):
        assert_alike(forecast, Forecaster(model, settings)(window), ROUNDING)
