"""Draws docs/pictures.png, the pictures that the node publishes: ``python -m docs.draw_pictures``.

A row for each of a few windows of a simulated episode, by the model that comes with the package: the camera's image as
the encoder sees it, ``~/latent_image`` and ``~/error_image``, made by the node's own code.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

import vjepa_ros
from vjepa_ros.config.node import resolve
from vjepa_ros.forecast.forecaster import Forecaster, load_model
from vjepa_ros.forecast.outcome import Outcomes
from vjepa_ros.images.preprocess import pixels
from vjepa_ros.pictures.colours import Colours, Picture, side_by_side
from vjepa_ros.pictures.heat import Heat
from vjepa_ros.simulation.plan import Plan, World
from vjepa_ros.simulation.recording import record

PICTURE = Path(__file__).with_name("pictures.png")
SETTINGS = {"preset": "tiny", "device": "cpu", "threads": 1}
WORLD = World(seed=3, frames=24, size=64)
SHOWN = (2, 4, 6)  # of its windows
_HEIGHT, _GAP = 160, 8  # px


def rows() -> Iterator[tuple[Picture, Picture, Picture]]:
    """(camera, latent image, error image) of every window but the first, of which nothing was forecast."""
    config = resolve(SETTINGS)
    forecaster, colours, heat = Forecaster(load_model(config), config), Colours(), Heat()
    outcomes = Outcomes(config, {"info_id": ""}, ("", ""), lambda *_: None)
    with tempfile.TemporaryDirectory() as folder:
        bag = Path(folder) / "bag"
        record(Plan(out=bag, episodes=1, world=WORLD))
        windows = list(vjepa_ros.read_windows(bag, settings=SETTINGS))
    for window in windows:
        outcome = outcomes.of(window, forecaster(window), 0.0)
        assert outcome is not None
        latents = side_by_side(colours(np.concatenate([outcome.forecast.observed()[None], outcome.forecasts])))
        outcomes.error(outcome)
        compared = outcomes.errors.compared
        frame = pixels(window.frames[-1].image)
        if compared is not None:
            yield frame, latents, heat(frame, compared.by_place)


def picture() -> Picture:
    """(height, width, 3) red, green, blue."""
    found = list(rows())
    return np.concatenate([_row(*found[number]) for number in SHOWN])


def _row(frame: Picture, latents: Picture, error: Picture) -> Picture:
    tiles = [_tile(frame, cv2.INTER_CUBIC), _tile(latents, cv2.INTER_NEAREST), _tile(error, cv2.INTER_CUBIC)]
    return np.concatenate([np.pad(tile, ((0, _GAP), (0, _GAP), (0, 0)), constant_values=255) for tile in tiles], axis=1)


def _tile(image: Picture, interpolation: int) -> Picture:
    width = image.shape[1] * _HEIGHT // image.shape[0]
    return np.asarray(cv2.resize(image, (width, _HEIGHT), interpolation=interpolation), np.uint8)


def main() -> None:
    """Write it."""
    cv2.imwrite(str(PICTURE), cv2.cvtColor(picture(), cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    main()
