"""No forecast is made from more steps than the predictor was trained with, however long the window is."""

from __future__ import annotations

import pytest
import torch
from support.builders import model_window

import vjepa_ros
from vjepa_ros.config.node import NodeConfig, resolve
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.forecast.forecaster import Forecaster
from vjepa_ros.forecast.info import latent_info
from vjepa_ros.model.blocks import layer_normalize

JOINTS = [f"joint{number}" for number in range(7)]
MOST = 3  # of 8 steps
TOKENS = 16  # of a step


@pytest.fixture(scope="module")
def wm() -> WorldModel:
    return vjepa_ros.load("tiny_random", context_steps=MOST)


def config(**values: object) -> NodeConfig:
    return resolve({"joint_names": JOINTS, "context_steps": MOST, **values})


def test_the_forecast_of_a_window_is_made_from_its_newest_steps(wm: WorldModel) -> None:
    window = model_window()
    forecaster = Forecaster(wm, config())
    clip = torch.stack([torch.from_numpy(frame.image) for frame in window.frames], dim=1)[None]
    context = wm.encode(clip)[:, -MOST * TOKENS :]
    actions, states = (signal.values[None, -MOST:] for signal in (window.actions, window.states))
    expected = wm.predict(context, actions, states)
    got = torch.from_numpy(forecaster(window).predicted)
    torch.testing.assert_close(got.reshape(1, TOKENS, -1), expected[:, -TOKENS:], rtol=0, atol=0)
    everything = Forecaster(wm, config(**{"latents.steps": "all", "latents.publish_context": True}))(window)
    torch.testing.assert_close(torch.from_numpy(everything.predicted).reshape(1, -1, 128), expected, rtol=0, atol=0)
    assert everything.context is not None and everything.context.shape == (8, 4, 4, 128), "the window stays whole"


@pytest.mark.parametrize(("step", "counts"), [(0, False), (4, False), (5, True), (7, True)])
def test_what_lies_before_them_changes_nothing(wm: WorldModel, step: int, counts: bool) -> None:
    window, other = model_window(), model_window()
    other.actions.values[step] += 1.0
    other.states.values[step] -= 1.0
    forecaster = Forecaster(wm, config())
    assert (forecaster(window).predicted == forecaster(other).predicted).all() != counts


@pytest.mark.parametrize("observed", [1, 2, 3, 5, 8])
def test_every_step_of_a_rollout_is_made_from_the_newest_steps(wm: WorldModel, observed: int) -> None:
    """Written out with predict: a joint target is the next state."""
    generator = torch.Generator().manual_seed(observed)
    horizon = 4
    context = layer_normalize(torch.randn(1, observed * TOKENS, 128, generator=generator))
    actions, states, future = (
        torch.randn(1, steps, 7, generator=generator) for steps in (observed - 1, observed, horizon)
    )
    rolled = wm.rollout(context, actions, states, future)
    for step in range(horizon):
        now = torch.cat([actions, future[:, : step + 1]], dim=1)
        forecast = wm.predict(context[:, -MOST * TOKENS :], now[:, -MOST:], states[:, -MOST:])[:, -TOKENS:]
        torch.testing.assert_close(rolled[:, step], forecast, rtol=0, atol=1e-5)
        context = torch.cat([context, forecast], dim=1)
        states = torch.cat([states, future[:, step : step + 1]], dim=1)


def test_predict_itself_takes_as_many_as_the_grid_has(wm: WorldModel) -> None:
    context, joints = torch.randn(1, 8 * TOKENS, 128), torch.randn(1, 8, 7)
    assert wm.predict(context, joints, joints).shape == context.shape
    assert wm.grid.steps == 8


@pytest.mark.parametrize(("values", "most"), [({"context_steps": 3}, 3), ({}, 8), ({"context_steps": 20}, 8)])
def test_it_is_at_most_the_window(values: dict[str, int], most: int) -> None:
    resolved = resolve({"joint_names": JOINTS, "latents.steps": "all", **values})
    assert resolved.model.most_context == most
    wm = vjepa_ros.load("tiny_random", encoder_depth=1, predictor_depth=1, **values)
    info = latent_info(resolved, wm)
    assert (info["context_steps"], info["steps"], info["grid"][0]) == (most, most, 8)
