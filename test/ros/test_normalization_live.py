"""The README's way and the node's give the same latents, with a mean and a standard deviation that are not 0 and 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import conversions
from support.harness import Predictor, Robot
from support.messages import MS, T0_NS, pixels

import vjepa_ros
from vjepa_ros import latents

MEAN, STD = [0.5 * index for index in range(7)], [10.0 - index for index in range(7)]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A preset, and weights whose sidecar says what they want done to actions and states."""
    folder = tmp_path_factory.mktemp("weights")
    preset, out = conversions.written_preset(folder), folder / "weights.safetensors"
    settings = [f"actions.mean={MEAN}", f"actions.std={STD}", f"states.mean={MEAN[::-1]}", f"states.std={STD[::-1]}"]
    assert conversions.run(conversions.CHECKPOINT, out, "--preset", preset, "--set", *settings) == 0
    return preset, out


@pytest.fixture(scope="module")
def parameters(weights: tuple[str, Path]) -> dict[str, Any]:
    preset, file = weights
    return {"preset": preset, "checkpoint": str(file), "frame_rate": 4.0, "latents.horizon": 2}


def test_raw_values_give_what_the_node_publishes(weights: tuple[str, Path], predictor: Predictor, robot: Robot) -> None:
    robot.start()
    robot.send_frames(0, 17, period_ns=250 * MS)
    assert robot.spin(lambda: bool(robot.predicted and robot.windows)), predictor.log
    assert robot.windows[0]["frame_stamps"][0] == T0_NS
    window, published = robot.windows[0], latents.read(robot.predicted[0], robot.info)
    assert (robot.info["action_mean"], robot.info["state_std"]) == (MEAN, STD[::-1])
    preset, file = weights
    wm = vjepa_ros.load(preset, checkpoint=str(file))
    context = wm.encode(wm.preprocess(np.stack([pixels(index) for index in range(16)])))
    actions, states = np.array(window["actions"])[None], np.array(window["states"])[None]
    first = wm.grid.unflatten(wm.predict(context, actions, states))[0, -1].numpy()
    future = np.concatenate([actions[:, -1:], np.array(window["future_actions"])[None]], axis=1)
    both = wm.rollout(context, actions[:, :-1], states, future)[0].numpy().reshape(published.array.shape)
    np.testing.assert_allclose(published.array[0], first, rtol=0, atol=1e-5)
    np.testing.assert_allclose(published.array, both, rtol=0, atol=1e-5)
    # And it matters: the same values without the normalisation are another forecast.
    plain = vjepa_ros.load(preset, checkpoint=str(conversions.CHECKPOINT))
    other = plain.grid.unflatten(plain.predict(context, actions, states))[0, -1].numpy()
    assert np.abs(other - first).max() > 1e-3
