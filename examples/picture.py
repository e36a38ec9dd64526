"""Draws camera frames above and predicted latents below, the latents as colours of their first principal components.

What is taken off the latents before, such as each position's mean, the caller decides and the title says.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from vjepa_ros.pictures.colours import principal_colours

TILE_PX = 192
GAP_PX = 8
TITLE_PX = 40
LABEL_PX = 24
INK = (32, 32, 32)


@dataclass(frozen=True)
class Tile:
    """One column of the picture.

    Attributes:
        jpeg: the newest camera frame of a window.
        forecast: (H', W', D) floats, what is shown of the forecast of that window.
        frame_label, forecast_label: what stands below the two.
    """

    jpeg: bytes
    forecast: NDArray[Any]
    frame_label: str
    forecast_label: str


def draw(path: Path, title: str, tiles: list[Tile]) -> None:
    """Write the picture as a PNG."""
    colours = principal_colours(np.stack([tile.forecast for tile in tiles]))  # (tiles, H', W', 3)
    width = GAP_PX + len(tiles) * (TILE_PX + GAP_PX)
    picture = Image.new("RGB", (width, TITLE_PX + 2 * (TILE_PX + LABEL_PX) + GAP_PX), "white")
    pen = ImageDraw.Draw(picture)
    pen.text((GAP_PX, 10), title, INK, ImageFont.load_default(20))
    for index, tile in enumerate(tiles):
        left = GAP_PX + index * (TILE_PX + GAP_PX)
        camera = Image.open(io.BytesIO(tile.jpeg)).convert("RGB").resize((TILE_PX, TILE_PX))
        latent = Image.fromarray(colours[index]).resize((TILE_PX, TILE_PX), Image.Resampling.NEAREST)
        for row, (pixels, label) in enumerate(((camera, tile.frame_label), (latent, tile.forecast_label))):
            top = TITLE_PX + row * (TILE_PX + LABEL_PX)
            picture.paste(pixels, (left, top))
            pen.text((left, top + TILE_PX + 4), label, INK, ImageFont.load_default(13))
    picture.save(path)
