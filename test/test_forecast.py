"""What is published of a window, held against the model's own outputs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from builders import model_window

import vjepa_ros
from vjepa_ros.engine import WorldModel
from vjepa_ros.errors import EngineError
from vjepa_ros.forecast import Imagination
from vjepa_ros.node_config import NodeConfig, resolve
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
    imagined = Imagination(model, config())(window)
    _, predictions = own_outputs(model, window)
    np.testing.assert_array_equal(imagined.predicted, predictions[-1:].numpy(), strict=True)
    assert imagined.predicted.shape == (1, 4, 4, 128)
    assert imagined.predicted.dtype == np.float32
    assert imagined.context is None
    assert imagined.finite
    np.testing.assert_allclose(imagined.predicted.mean(axis=-1), 0, atol=1e-6)  # layer-normalised
    np.testing.assert_allclose(imagined.predicted.var(axis=-1), 1, atol=1e-3)


def test_all_steps_and_the_context_where_they_are_asked_for(model: WorldModel, window: Window) -> None:
    imagined = Imagination(model, config(latents__steps="all", latents__publish_context=True))(window)
    context, predictions = own_outputs(model, window)
    np.testing.assert_array_equal(imagined.predicted, predictions.numpy(), strict=True)
    assert imagined.context is not None
    np.testing.assert_array_equal(imagined.context, context.numpy(), strict=True)


def test_half_floats_are_the_same_numbers_rounded(model: WorldModel, window: Window) -> None:
    imagined = Imagination(model, config(latents__dtype="16FC1", latents__publish_context=True))(window)
    context, predictions = own_outputs(model, window)
    np.testing.assert_array_equal(imagined.predicted, predictions[-1:].numpy().astype(np.float16), strict=True)
    assert imagined.context is not None
    np.testing.assert_array_equal(imagined.context, context.numpy().astype(np.float16), strict=True)


@pytest.mark.parametrize("part", ["frames", "actions", "states"])
def test_the_forecast_depends_on_all_that_the_window_holds(model: WorldModel, window: Window, part: str) -> None:
    imagine = Imagination(model, config())
    other = model_window(**{part: 1})
    assert np.abs(imagine(other).predicted - imagine(window).predicted).max() > 1e-4


def test_what_is_not_finite_is_noticed(window: Window) -> None:
    broken = vjepa_ros.load("tiny", encoder_depth=1, predictor_depth=1)
    with torch.no_grad():
        next(broken.predictor.parameters()).fill_(float("nan"))
    imagined = Imagination(broken, config(latents__publish_context=True))(window)
    assert not imagined.finite
    assert imagined.context is not None
    assert np.isfinite(imagined.context).all(), "the encoder is whole: only the prediction is not finite"


def test_a_context_that_is_not_finite_is_noticed_too(model: WorldModel, monkeypatch: pytest.MonkeyPatch) -> None:
    good = Imagination(model, config(latents__publish_context=True))
    window = model_window()
    assert good(window).finite
    with monkeypatch.context() as patched:
        patched.setattr(model, "predict", lambda context, actions, states: torch.zeros_like(context))
        broken_window = model_window(nan_frame=3)
        imagined = good(broken_window)
        assert np.isfinite(imagined.predicted).all()
        assert not imagined.finite
        assert Imagination(model, config())(broken_window).finite, "what is not published need not be finite"


def test_a_failing_model_is_an_engine_error(model: WorldModel, window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(clip: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(model.encoder, "forward", out_of_memory)
    with pytest.raises(EngineError, match="out of memory"):
        Imagination(model, config())(window)
