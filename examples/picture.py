"""Draws camera frames above and predicted latents below, the latents as colours of their first principal components."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

TILE_PX = 192
GAP_PX = 8
TITLE_PX = 40
LABEL_PX = 24
INK = (32, 32, 32)


def principal_colours(latents: NDArray[Any]) -> NDArray[np.uint8]:
    """The first three principal components over all tokens as RGB.

    Args:
        latents: (..., D) floats.

    Returns:
        (..., 3) uint8; each component spans its 2nd to 98th percentile.
    """
    tokens = latents.reshape(-1, latents.shape[-1]).astype(np.float64)
    centred = tokens - tokens.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    components = centred @ axes[:3].T  # (tokens, 3)
    low, high = np.percentile(components, [2, 98], axis=0)
    scaled = np.clip((components - low) / np.maximum(high - low, 1e-12), 0, 1)
    colours: NDArray[np.uint8] = (scaled * 255).astype(np.uint8)
    return colours.reshape(*latents.shape[:-1], 3)


def draw(
    path: Path, jpegs: list[bytes], forecasts: NDArray[Any], seconds: list[float], title: str
) -> None:  # fmt: skip
    """Write the picture.

    Args:
        path: the PNG to write.
        jpegs: the newest camera frame of each window.
        forecasts: (windows, H', W', D) floats, the forecast of each.
        seconds: time of each newest frame since the first, in s.
        title: the line above everything.
    """
    colours = principal_colours(forecasts)
    number = len(jpegs)
    width = GAP_PX + number * (TILE_PX + GAP_PX)
    picture = Image.new("RGB", (width, TITLE_PX + 2 * (TILE_PX + LABEL_PX) + GAP_PX), "white")
    pen = ImageDraw.Draw(picture)
    pen.text((GAP_PX, 10), title, INK, ImageFont.load_default(20))
    for index, jpeg in enumerate(jpegs):
        left = GAP_PX + index * (TILE_PX + GAP_PX)
        camera = Image.open(io.BytesIO(jpeg)).convert("RGB").resize((TILE_PX, TILE_PX))
        latent = Image.fromarray(colours[index]).resize((TILE_PX, TILE_PX), Image.Resampling.NEAREST)
        for row, (tile, label) in enumerate(((camera, "frame at"), (latent, "forecast after"))):
            top = TITLE_PX + row * (TILE_PX + LABEL_PX)
            picture.paste(tile, (left, top))
            pen.text((left, top + TILE_PX + 4), f"{label} {seconds[index]:.2f} s", INK, ImageFont.load_default(13))
    picture.save(path)
