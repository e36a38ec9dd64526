"""What is published of a window, held against the model's own outputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support.builders import MS, model_window

import vjepa_ros
from vjepa_ros.config.node import NodeConfig, resolve
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import ConfigError, EngineError
from vjepa_ros.forecast.forecaster import Forecaster, load_model
from vjepa_ros.stream.actions import Steps
from vjepa_ros.stream.frame import Frame
from vjepa_ros.stream.future import Future
from vjepa_ros.stream.window import Window

JOINTS = [f"joint{number}" for number in range(7)]


@pytest.fixture(scope="module")
def model() -> WorldModel:
    """The tiny model with random weights; its grid is (8, 4, 4), its latents have 128 channels."""
    return vjepa_ros.load("tiny")


@pytest.fixture(scope="module")
def window() -> Window:
    return model_window()


def config(**values: object) -> NodeConfig:
    return resolve({"joint_names": JOINTS, **{name.replace("__", "."): value for name, value in values.items()}})


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
    broken = vjepa_ros.load("tiny", encoder_depth=1, predictor_depth=1, fast=False)
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


# -- each tubelet or frame alone: encoded once, when it enters

SIDE_PX = 32
SMALL = {"image_size": [SIDE_PX, SIDE_PX], "encoder_depth": 1, "predictor_depth": 1}


class Encodings:
    """Counts what a model encodes, one entry per call: the frames in it."""

    def __init__(self, encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.config = config(**{**SMALL, "encoding": encoding, "latents__publish_context": True})
        self.model = vjepa_ros.load("tiny", encoding=encoding, **SMALL)
        self.calls: list[int] = []
        encode = self.model.encode

        def counted(clip: torch.Tensor) -> torch.Tensor:
            self.calls.append(clip.shape[2])
            return encode(clip)

        monkeypatch.setattr(self.model, "encode", counted)

    def forecaster(self) -> Forecaster:
        return Forecaster(self.model, self.config)

    def taken(self) -> list[int]:
        """The calls since this was asked last."""
        calls, self.calls[:] = list(self.calls), []
        return calls


@pytest.fixture(params=["tubelet", "frame_repeat"])
def encodings(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Encodings]:
    yield Encodings(request.param, monkeypatch)


def moving_window(model: WorldModel, first: int, epoch: int = 0, places: list[int] | None = None) -> Window:
    """A window of a long recording: frames ``first`` to ``first + 15``, or those at these places."""
    places = list(range(first, first + 16)) if places is None else places

    def image(place: int) -> NDArray[np.float32]:
        return np.random.default_rng(place).normal(size=(3, SIDE_PX, SIDE_PX)).astype(np.float32)

    shots = {place: Frame(place * 50 * MS, "camera", image(place)) for place in places}
    steps = model.config.steps
    joints = Steps(np.random.default_rng(1000 + first).normal(size=(steps, 7)), (0,) * steps, missing=0, usable=True)
    frames = tuple(shots[place] for place in places)
    return Window(
        epoch,
        first,
        frames,
        tuple(frame.stamp_ns for frame in frames[:: 16 // steps]),
        joints,
        joints,
        late=0,
        future=Future.none(7),
    )


@pytest.mark.parametrize("hop", [2, 4])
def test_what_is_encoded_alone_is_encoded_once_and_gives_the_same_bits(encodings: Encodings, hop: int) -> None:
    model = encodings.model
    size = model.config.stride
    kept = encodings.forecaster()
    for number in range(4):
        window = moving_window(model, number * hop)
        forecast = kept(window)
        entered = 16 if number == 0 else hop
        assert encodings.taken() == [size] * (entered // size)
        anew = encodings.forecaster()(window)
        assert encodings.taken() == [size] * (16 // size)
        np.testing.assert_array_equal(forecast.predicted, anew.predicted, strict=True)
        np.testing.assert_array_equal(forecast.context, anew.context, strict=True)


def test_each_unit_is_encoded_as_if_it_were_all_there_is(encodings: Encodings) -> None:
    model, window = encodings.model, moving_window(encodings.model, 0)
    size, tokens = model.config.stride, model.grid.rows * model.grid.cols
    context = encodings.forecaster()(window).context
    assert context is not None
    for step in range(model.config.steps):
        frames = window.frames[step * size : (step + 1) * size]
        clip = torch.from_numpy(np.stack([frame.image for frame in frames], axis=1)[None])
        alone = model.encode(clip)
        assert alone.shape == (1, tokens, 128)
        np.testing.assert_array_equal(context[step].reshape(tokens, 128), alone[0].numpy())


def test_another_epoch_reuses_nothing(encodings: Encodings) -> None:
    """After a jump of time the same stamp may be another picture."""
    size, forecaster = encodings.model.config.stride, encodings.forecaster()
    for epoch in (0, 1):
        forecaster(moving_window(encodings.model, 0, epoch))
        assert encodings.taken() == [size] * (16 // size)
    forecaster(moving_window(encodings.model, 0, 1))
    assert encodings.taken() == []


def test_what_stands_twice_in_a_window_is_encoded_once(encodings: Encodings) -> None:
    """A camera four times slower than the frame rate: each frame serves four ticks."""
    size, forecaster = encodings.model.config.stride, encodings.forecaster()
    window = moving_window(encodings.model, 0, places=[place // 4 for place in range(16)])
    forecaster(window)
    assert encodings.taken() == [size] * 4


def test_clip_encodes_every_window_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    encodings = Encodings("clip", monkeypatch)
    forecaster = encodings.forecaster()
    for number in range(2):
        forecaster(moving_window(encodings.model, 2 * number))
        assert encodings.taken() == [16]


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
