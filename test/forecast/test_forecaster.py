"""What is published of a window, held against the model's own outputs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.builders import model_window
from support.forecasters import config

import vjepa_ros
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import ConfigError, EngineError
from vjepa_ros.forecast.forecaster import Forecaster, load_model
from vjepa_ros.stream.window import Window


def own_outputs(model: WorldModel, window: Window) -> tuple[torch.Tensor, torch.Tensor]:
    """The model's context and predictions for a window, both (8, 4, 4, 128), straight from the frames."""
    clip = torch.stack([torch.from_numpy(frame.image) for frame in window.frames], dim=1)[None]
    context = model.encode(clip)
    predictions = model.predict(
        context, torch.tensor(window.actions.values[None]), torch.tensor(window.states.values[None])
    )
    return context.reshape(8, 4, 4, 128), predictions.reshape(8, 4, 4, 128)


def test_the_forecast_is_the_last_step_of_the_prediction(model: WorldModel, window: Window) -> None:
    forecast = Forecaster(model, config())(window)
    _, predictions = own_outputs(model, window)
    np.testing.assert_array_equal(forecast.predicted, predictions[-1:].numpy(), strict=True)
    assert forecast.predicted.shape == (1, 4, 4, 128)
    assert forecast.predicted.dtype == np.float32
    assert forecast.context is None
    assert forecast.finite
    np.testing.assert_allclose(forecast.predicted.mean(axis=-1), 0, atol=1e-6)  # layer-normalised
    np.testing.assert_allclose(forecast.predicted.var(axis=-1), 1, atol=1e-3)


def test_all_steps_and_the_context_where_they_are_asked_for(model: WorldModel, window: Window) -> None:
    forecast = Forecaster(model, config(latents__steps="all", latents__publish_context=True))(window)
    context, predictions = own_outputs(model, window)
    np.testing.assert_array_equal(forecast.predicted, predictions.numpy(), strict=True)
    assert forecast.context is not None
    np.testing.assert_array_equal(forecast.context, context.numpy(), strict=True)


def test_half_floats_are_the_same_numbers_rounded(model: WorldModel, window: Window) -> None:
    forecast = Forecaster(model, config(latents__dtype="16FC1", latents__publish_context=True))(window)
    context, predictions = own_outputs(model, window)
    np.testing.assert_array_equal(forecast.predicted, predictions[-1:].numpy().astype(np.float16), strict=True)
    assert forecast.context is not None
    np.testing.assert_array_equal(forecast.context, context.numpy().astype(np.float16), strict=True)


@pytest.mark.parametrize("part", ["frames", "actions", "states"])
def test_the_forecast_depends_on_all_that_the_window_holds(model: WorldModel, window: Window, part: str) -> None:
    forecaster = Forecaster(model, config())
    other = model_window(**{part: 1})
    assert np.abs(forecaster(other).predicted - forecaster(window).predicted).max() > 1e-4


def test_what_is_not_finite_is_noticed(window: Window) -> None:
    broken = vjepa_ros.load("tiny_random", encoder_depth=1, predictor_depth=1, fast=False)
    with torch.no_grad():
        next(broken.predictor.parameters()).fill_(float("nan"))
    forecast = Forecaster(broken, config(latents__publish_context=True))(window)
    assert not forecast.finite
    assert forecast.context is not None
    assert np.isfinite(forecast.context).all(), "the encoder is whole: only the prediction is not finite"


def test_a_context_that_is_not_finite_is_noticed_too(model: WorldModel, monkeypatch: pytest.MonkeyPatch) -> None:
    good = Forecaster(model, config(latents__publish_context=True))
    window = model_window()
    assert good(window).finite
    with monkeypatch.context() as patched:
        patched.setattr(model, "predict", lambda context, actions, states: torch.zeros_like(context))
        broken_window = model_window(nan_frame=3)
        forecast = good(broken_window)
        assert np.isfinite(forecast.predicted).all()
        assert not forecast.finite
        assert Forecaster(model, config())(broken_window).finite, "what is not published need not be finite"


def test_a_failing_model_is_an_engine_error(model: WorldModel, window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(clip: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(model, "encoder", out_of_memory)
    with pytest.raises(EngineError, match="out of memory"):
        Forecaster(model, config())(window)


# -- normalisation

NUMBERS = [0.5, -1.0, 2.0, 0.25, 3.0, -2.0, 1.5]


@pytest.mark.parametrize("part", ["actions", "states"])
def test_normalisation_reaches_the_model(model: WorldModel, window: Window, part: str) -> None:
    """(x - mean) / std per dimension, of this part and not of the other."""
    std = [abs(number) + 0.5 for number in NUMBERS]
    settings = config(**{f"{part}__mean": NUMBERS, f"{part}__std": std})
    forecast = Forecaster(load_model(settings), settings)(window)
    steps = getattr(window, part)
    by_hand = replace(window, **{part: replace(steps, values=(steps.values - NUMBERS) / std)})
    _, predictions = own_outputs(model, by_hand)
    np.testing.assert_array_equal(forecast.predicted, predictions[-1:].numpy(), strict=True)
    assert np.abs(forecast.predicted - Forecaster(model, config())(window).predicted).max() > 1e-4


# -- further ahead


def by_hand(model: WorldModel, window: Window, horizon: int) -> torch.Tensor:
    """(H, 4, 4, 128): each forecast from the last 8 steps; an action, a joint target, is the next state."""
    context = own_outputs(model, window)[0].reshape(1, -1, 128)
    actions = torch.tensor(np.concatenate([window.actions.values, window.future.values])[None])
    states = torch.tensor(window.states.values[None])
    forecasts = []
    for step in range(horizon):
        forecasts.append(model.predict(context, actions[:, step : step + 8], states)[:, -16:])
        context = torch.cat([context[:, 16:], forecasts[-1]], dim=1)
        states = torch.cat([states[:, 1:], actions[:, step + 7 : step + 8]], dim=1)
    return torch.cat(forecasts).reshape(horizon, 4, 4, 128)


def test_each_forecast_is_predicted_from_those_before_it(model: WorldModel) -> None:
    window = model_window(ahead=2)
    forecast = Forecaster(model, config(latents__horizon=3))(window)
    assert forecast.predicted.shape == (3, 4, 4, 128)
    np.testing.assert_allclose(forecast.predicted, by_hand(model, window, 3).numpy(), rtol=0, atol=1e-5)
    nearest = Forecaster(model, config())(model_window()).predicted
    np.testing.assert_allclose(forecast.predicted[:1], nearest, rtol=0, atol=1e-5)
    assert np.abs(np.diff(forecast.predicted, axis=0)).max() > 1e-3


def test_with_all_steps_the_further_forecasts_come_after_the_last_output(model: WorldModel) -> None:
    window = model_window(ahead=2)
    every = Forecaster(model, config(latents__horizon=3, latents__steps="all", latents__publish_context=True))(window)
    assert every.predicted.shape == (8 + 2, 4, 4, 128)
    _, outputs = own_outputs(model, window)
    np.testing.assert_array_equal(every.predicted[:7], outputs[:7].numpy())
    forecasts = Forecaster(model, config(latents__horizon=3))(window)
    np.testing.assert_array_equal(every.predicted[-3:], forecasts.predicted)


def test_future_actions_change_the_forecasts_after_them_and_no_earlier_one(model: WorldModel) -> None:
    forecaster, window = Forecaster(model, config(latents__horizon=3)), model_window(ahead=2)
    values = window.future.values.copy()
    values[1] += 1
    other = replace(window, future=replace(window.future, values=values))
    before, after = forecaster(window).predicted, forecaster(other).predicted
    np.testing.assert_array_equal(after[:2], before[:2])
    assert np.abs(after[2] - before[2]).max() > 1e-3


def test_normalisation_reaches_the_future_actions_and_the_state_model(model: WorldModel) -> None:
    """The next state is the action as it was read, normalised like states."""
    std = [abs(number) + 0.5 for number in NUMBERS]
    norms = {"actions__mean": NUMBERS, "actions__std": std, "states__mean": NUMBERS[::-1], "states__std": std[::-1]}
    window = model_window(ahead=2)
    settings = config(**norms, latents__horizon=3)
    forecasts = Forecaster(load_model(settings), settings)(window)
    actions = np.concatenate([window.actions.values, window.future.values])
    states = np.concatenate([window.states.values, actions[7:9]])
    actions, states = (actions - NUMBERS) / std, (states - NUMBERS[::-1]) / std[::-1]
    context = own_outputs(model, window)[0].reshape(1, -1, 128)
    for step in range(3):
        inputs = (torch.tensor(values[None, step : step + 8]) for values in (actions, states))
        forecast = model.predict(context, *inputs)[:, -16:]
        np.testing.assert_allclose(forecasts.predicted[step].reshape(1, 16, 128), forecast, rtol=0, atol=1e-5)
        context = torch.cat([context[:, 16:], forecast], dim=1)


def test_what_is_observed_is_the_newest_step_of_the_context(model: WorldModel, window: Window) -> None:
    for name, dtype in (("32FC1", np.float32), ("16FC1", np.float16)):
        forecast = Forecaster(model, config(latents__dtype=name))(window)
        context, _ = own_outputs(model, window)
        np.testing.assert_array_equal(forecast.observed(), context[-1].numpy().astype(dtype), strict=True)


def test_loading_tries_as_many_forecasts_as_there_will_be(monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(self: WorldModel, *inputs: torch.Tensor, **_: object) -> torch.Tensor:
        raise EngineError(f"no memory for {inputs[-1].shape[1]} steps")

    monkeypatch.setattr(WorldModel, "rollout", out_of_memory)
    assert load_model(config(device="cpu")).trained is False
    with pytest.raises(ConfigError, match="device: no memory for 5 steps"):
        load_model(config(device="cpu", latents__horizon=5))
