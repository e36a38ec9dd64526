"""What the tests of forecasts share."""

from __future__ import annotations

import pytest
from support.builders import model_window

import vjepa_ros
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.stream.window import Window


@pytest.fixture(scope="module")
def model() -> WorldModel:
    """The tiny model with random weights; its grid is (8, 4, 4), its latents have 128 channels."""
    return vjepa_ros.load("tiny_random")


@pytest.fixture(scope="module")
def window() -> Window:
    return model_window()
