"""Draws docs/simulation.png, scenes of the simulation: ``python -m docs.draw_simulation``."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from vjepa_ros.simulation import panda
from vjepa_ros.simulation.drawing import Painter, Picture
from vjepa_ros.simulation.plan import VARIATIONS
from vjepa_ros.simulation.scenes import scene

PICTURE = Path(__file__).with_name("simulation.png")
TIPS = np.array([[0.45, 0.0, 0.3], [0.55, 0.25, 0.08], [0.35, -0.3, 0.45], [0.6, -0.2, 0.1]])  # m
SIZE = 256  # px


def picture() -> Picture:
    """A row for each variation, a column for each place of the tip: (rows, columns, 3) red, green, blue."""
    columns = list(enumerate(panda.joints_for(TIPS)))
    rows = []
    for number, variation in enumerate(VARIATIONS):
        scenes = (scene(variation, np.random.default_rng([number, column])) for column, _ in columns)
        rows.append([Painter(one, SIZE).draw(joints) for one, (_, joints) in zip(scenes, columns, strict=True)])
    return np.concatenate([np.concatenate(row, axis=1) for row in rows])


def main() -> None:
    """Write it."""
    cv2.imwrite(str(PICTURE), cv2.cvtColor(picture(), cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    main()
