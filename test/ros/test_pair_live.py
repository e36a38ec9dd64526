"""The node with an encoder and a predictor in files of their own: what it publishes, says and refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from lifecycle_msgs.msg import Transition
from support import conversions
from support.harness import Predictor, Robot
from support.messages import MS, pixels
from support.pairs import trained_predictor, written_encoder, written_predictor

import vjepa_ros
from vjepa_ros import latents
from vjepa_ros.weights.values import part_hash

MEAN = [0.5 * index for index in range(7)]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The parameters that name them."""
    folder = tmp_path_factory.mktemp("weights")
    predictor = written_predictor(folder, **{"actions.mean": MEAN})
    preset = conversions.written_preset(folder)
    return {"preset": preset, "checkpoint": str(conversions.CHECKPOINT), "predictor_checkpoint": str(predictor)}


@pytest.fixture(scope="module")
def predictor(files: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Predictor]:
    process = Predictor(tmp_path_factory.mktemp("predictor") / "log.txt", {**files, "frame_rate": 4.0})
    yield process
    assert process.stop() == 0, process.log


def test_what_is_published_is_of_both_files(files: dict[str, str], predictor: Predictor, robot: Robot) -> None:
    robot.start()
    robot.send_frames(0, 17, period_ns=250 * MS)
    assert robot.spin(lambda: bool(robot.predicted and robot.windows)), predictor.log
    info, window = robot.info, robot.windows[0]
    assert info["predictor_hash"] == part_hash(trained_predictor()) and info["trained"]
    assert (info["checkpoint"], info["predictor_checkpoint"]) == (files["checkpoint"], files["predictor_checkpoint"])
    assert info["action_mean"] == MEAN
    wm = vjepa_ros.load(**files)
    assert (info["encoder_hash"], info["weights_hash"]) == (wm.encoder_hash, wm.weights_hash)
    context = wm.encode(wm.preprocess(np.stack([pixels(index) for index in range(16)])))
    actions, states = np.array(window["actions"])[None], np.array(window["states"])[None]
    expected = wm.grid.unflatten(wm.predict(context, actions, states))[0, -1].numpy()
    published = latents.read(robot.predicted[0], info).array
    np.testing.assert_allclose(published[0], expected, rtol=0, atol=1e-5)
    own = vjepa_ros.load(files["preset"], checkpoint=files["checkpoint"])
    other = own.grid.unflatten(own.predict(context, actions, states))[0, -1].numpy()
    assert np.abs(other - expected).max() > 1e-3
    assert f"{files['checkpoint']}: its own predictor is not used" in predictor.log


def test_another_encoder_does_not_configure(predictor: Predictor, robot: Robot, tmp_path: Path) -> None:
    other = written_encoder(tmp_path / "other.safetensors", scale=2.0)
    assert robot.set_parameters(checkpoint=str(other))[0][0]
    assert not robot.change_state(Transition.TRANSITION_CONFIGURE)
    said = f"but that of {other} is "
    assert robot.spin(lambda: said in predictor.log), predictor.log
    line = next(line for line in predictor.log.splitlines() if said in line)
    assert "predictor_checkpoint: " in line and "was trained with the encoder " in line
