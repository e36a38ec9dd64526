"""Rollouts, energies and goals as users call them, on the small preset."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

import vjepa_ros
from vjepa_ros.config.view import ViewConfig
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import ConfigError, ShapeError
from vjepa_ros.model.blocks import layer_normalize
from vjepa_ros.model.state_model import StateModel

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def wm() -> WorldModel:
    return vjepa_ros.load("tiny_random")  # joint targets; 8 steps of 16 tokens


def observed(wm: WorldModel, steps: int, candidates: int = 2, horizon: int = 3) -> tuple[Tensor, ...]:
    """Context, actions, states and future actions of random numbers."""
    generator = torch.Generator().manual_seed(0)
    config = wm.config

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    context = layer_normalize(draw(1, steps * wm.grid.tokens_per_step, config.encoder_dim))
    future = draw(candidates, horizon, config.action_dim)
    return context, draw(1, steps - 1, config.action_dim), draw(1, steps, config.state_dim), future


@pytest.mark.parametrize("steps", [1, 3, 8])
def test_one_step_ahead_is_the_last_step_of_predict(wm, steps):
    context, actions, states, future = observed(wm, steps, horizon=1)
    latents = wm.rollout(context, actions, states, future)
    assert latents.shape == (2, 1, 16, 128)
    for index in range(2):
        predicted = wm.predict(context, torch.cat([actions, future[index : index + 1]], dim=1), states)
        torch.testing.assert_close(latents[index], predicted[:, -16:], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_each_forecast_is_predicted_from_those_before_it(dtype):
    """Written out with predict: a joint target is the next state."""
    wm = vjepa_ros.load("tiny_random", dtype=dtype)
    context, actions, states, future = observed(wm, 2, candidates=1)
    rolled = wm.rollout(context, actions, states, future)
    for step in range(3):
        now = torch.cat([actions, future[:, : step + 1]], dim=1)
        forecast = wm.predict(context, now, states)[:, -16:]
        torch.testing.assert_close(rolled[:, step], forecast, rtol=0, atol=TOLERANCE)
        context = torch.cat([context, forecast], dim=1)
        states = torch.cat([states, future[:, step : step + 1]], dim=1)
    assert rolled.dtype == torch.float32


def test_actions_further_ahead_change_nothing_before_them(wm):
    context, actions, states, future = observed(wm, 2)
    before = wm.rollout(context, actions, states, future)
    future[:, 1] *= -1
    after = wm.rollout(context, actions, states, future)
    torch.testing.assert_close(after[:, 0], before[:, 0], rtol=0, atol=TOLERANCE)
    assert (after[:, 1:] - before[:, 1:]).abs().amax((-1, -2)).min() > 1e-3


def test_beyond_the_grid_the_oldest_steps_are_dropped(wm):
    context, actions, states, future = observed(wm, 8, candidates=1)
    whole = wm.rollout(context, actions, states, future)[:, 1]
    later = torch.cat([context, wm.rollout(context, actions, states, future[:, :1])[0]], dim=1)[:, 16:]
    actions_later = torch.cat([actions, future[:, :1]], dim=1)[:, 1:]
    states_later = torch.cat([states, future[:, :1]], dim=1)[:, 1:]
    restarted = wm.rollout(later, actions_later, states_later, future[:, 1:2])[:, 0]
    torch.testing.assert_close(whole, restarted, rtol=0, atol=TOLERANCE)


def test_another_state_model_gives_other_forecasts_after_the_first(wm):
    inputs = observed(wm, 2)
    target, delta = (wm.rollout(*inputs, state_model=StateModel(change, 7, 7)) for change in ("target", "delta"))
    assert torch.equal(target, wm.rollout(*inputs))
    assert torch.equal(target[:, 0], delta[:, 0])
    assert (target[:, 1] - delta[:, 1]).abs().max() > 1e-3


def test_numpy_and_other_dtypes_do(wm):
    context, actions, states, future = observed(wm, 2)
    arrays = actions.numpy(), states.double().numpy(), future.numpy()
    for array in arrays:
        array.flags.writeable = False
    assert torch.equal(wm.rollout(context, *arrays), wm.rollout(context, actions, states, future))


@pytest.mark.parametrize(
    "index, shape, said",
    [
        (0, (2, 32, 128), r"actions of shape \(1, 1, 7\) where \(2, 1, 7\)"),  # of two windows
        (0, (1, 31, 128), r"\(1, 31, 128\) do not fit the grid \(8, 4, 4\)"),
        (0, (1, 144, 128), r"\(1, 144, 128\) do not fit the grid \(8, 4, 4\)"),
        (0, (1, 32, 64), r"context of shape \(1, 32, 64\) where \(1, 32, 128\)"),
        (1, (1, 2, 7), r"actions of shape \(1, 2, 7\) where \(1, 1, 7\) .* the first future one"),
        (1, (2, 1, 7), r"actions of shape \(2, 1, 7\) where \(1, 1, 7\)"),
        (2, (1, 1, 7), r"states of shape \(1, 1, 7\) where \(1, 2, 7\)"),
        (2, (1, 2, 6), r"states of shape \(1, 2, 6\) where \(1, 2, 7\)"),
        (3, (2, 7), r"future_actions of shape \(2, 7\) where \(K, H, 7\)"),
        (3, (2, 3, 6), r"future_actions of shape \(2, 3, 6\) where \(K, H, 7\)"),
        (3, (0, 3, 7), r"future_actions of shape \(0, 3, 7\) where \(K, H, 7\)"),
        (3, (2, 0, 7), r"future_actions of shape \(2, 0, 7\) where \(K, H, 7\)"),
    ],
)
def test_other_shapes_are_refused(wm, index, shape, said):
    inputs = list(observed(wm, 2))
    inputs[index] = torch.zeros(shape)
    with pytest.raises(ShapeError, match=said):
        wm.rollout(*inputs)


def test_a_model_whose_actions_say_nothing_about_its_states_can_predict_but_not_roll_out():
    wm = vjepa_ros.load("tiny_random", state_dim=5)
    context, actions, states, future = observed(wm, 2)
    wm.predict(context, future[:1, :2], states)
    with pytest.raises(ConfigError, match="state_dim: 5 state dimensions cannot be advanced by 7"):
        wm.rollout(context, actions, states, future)
    with pytest.raises(ConfigError, match="state_dim: is 5, but 7 in the state model"):
        wm.rollout(context, actions, states, future, state_model=StateModel("target", 7, 7))


def test_energy_is_the_mean_absolute_difference(wm):
    generator = torch.Generator().manual_seed(0)
    latents, goal = (torch.randn(*shape, generator=generator) for shape in ((5, 3, 16, 128), (16, 128)))
    ours = wm.energy(latents, goal)
    expected = np.abs(latents.numpy().astype(float) - goal.numpy()).reshape(5, 3, -1).mean(-1)
    np.testing.assert_allclose(ours.numpy(), expected, rtol=0, atol=1e-6)
    assert torch.equal(wm.energy(latents, goal[None]), ours)
    assert wm.energy(goal, goal) == 0 and wm.energy(goal, goal).shape == ()
    for wrong, right in ((latents[..., :64], goal), (latents[:, :, :8], goal), (latents[0, 0, 0], goal)):
        with pytest.raises(ShapeError, match=r"latents of shape .* where \(\.\.\., 16, 128\)"):
            wm.energy(wrong, right)
    for wrong in (latents[0], goal[:, :64], goal[:1]):
        with pytest.raises(ShapeError, match=r"a goal of shape .* where \(16, 128\) or \(1, 16, 128\)"):
            wm.energy(latents, wrong)


@pytest.mark.parametrize("encoding, frames", [("clip", 16), ("tubelet", 2), ("frame_repeat", 1), ("frame", 1)])
def test_a_goal_is_an_image_in_which_nothing_moves(encoding, frames):
    wm = vjepa_ros.load("tiny_random", encoding=encoding, encoder_family="vjepa2_1" if encoding == "frame" else None)
    image = np.random.default_rng(0).integers(0, 256, (90, 50, 3), np.uint8)
    goal = wm.encode_goal(image)
    repeated = wm.encode(wm.preprocess(np.stack([image] * frames)))
    assert goal.shape == (1, 16, 128)
    torch.testing.assert_close(goal, repeated[:, -16:], rtol=0, atol=TOLERANCE)
    view = ViewConfig((0, 0, 40, 40), 90, "none")
    turned = np.ascontiguousarray(np.rot90(image[:40, :40], axes=(1, 0)))
    torch.testing.assert_close(wm.encode_goal(image, view), wm.encode_goal(turned), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("shape, dtype", [((1, 64, 64, 3), np.uint8), ((64, 64), np.uint8), ((64, 64, 3), np.float32)])
def test_other_goal_images_are_refused(wm, shape, dtype):
    with pytest.raises(ShapeError):
        wm.encode_goal(np.zeros(shape, dtype))
