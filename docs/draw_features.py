"""Draws docs/features.png, what the encoder's latents say of the sample bag: ``python -m docs.draw_features``.

A column for each of a few moments: the frame, how alike its patches are to one patch of the first frame, and the
principal components of the latents as colours.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import vjepa_ros
from examples.picture import principal_colours

PICTURE = Path(__file__).with_name("features.png")
BAG = Path(__file__).parents[1] / "examples" / "data" / "panda_pick"
PRESET = "tiny"
MOMENTS = 6
PATCH = (1, 2)  # row and column: the hand, in the first of the moments
_TILE, _GAP = 160, 6  # px
_RED = (255, 0, 0)

Latents = NDArray[np.float32]
Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Seen:
    """What is drawn.

    Attributes:
        frames: (n, h, w, 3) uint8, red, green, blue: the newest frame of each moment as the encoder gets it.
        latents: (n, H', W', D), those of each window's last step, as ``~/context_latents`` has them.
    """

    frames: Picture
    latents: Latents


def seen() -> Seen:
    """A few moments of the sample bag, evenly spread, through the encoder."""
    wm = vjepa_ros.load(PRESET, device="cpu", dtype="float32")
    windows = list(vjepa_ros.read_windows(BAG, settings={"preset": PRESET}))
    chosen = [windows[index] for index in np.linspace(0, len(windows) - 1, MOMENTS).round().astype(int)]
    latents = [wm.grid.unflatten(wm.encode(window.clip))[0, -1].numpy() for window in chosen]
    mean = np.array([0.485, 0.456, 0.406]) * 255
    std = np.array([0.229, 0.224, 0.225]) * 255
    frames = [window.clip[0, :, -1].transpose(1, 2, 0) * std + mean for window in chosen]
    return Seen(np.stack(frames).round().clip(0, 255).astype(np.uint8), np.stack(latents))


def similarity(latents: Latents, patch: tuple[int, int]) -> Latents:
    """How alike all patches are to one of the first moment.

    Args:
        latents: (n, H', W', D).
        patch: its row and column.

    Returns:
        (n, H', W') cosines, after what all patches have in common is taken off.
    """
    own = latents - latents.mean(axis=(0, 1, 2))
    own /= np.linalg.norm(own, axis=-1, keepdims=True)
    return np.asarray(own @ own[0][patch], np.float32)


def picture(found: Seen) -> Picture:
    """(rows, columns, 3) red, green, blue."""
    alike = similarity(found.latents, PATCH)
    heat = cv2.applyColorMap(((alike + 1) * 127.5).round().clip(0, 255).astype(np.uint8).reshape(-1, 1), cv2.COLORMAP_VIRIDIS)
    heat = cv2.cvtColor(heat, cv2.COLOR_BGR2RGB).reshape(*alike.shape, 3)
    colours = principal_colours(found.latents)
    rows = []
    for kind, images in enumerate((found.frames, heat, colours)):
        tiles = [_tile(image, cv2.INTER_LINEAR if kind == 0 else cv2.INTER_NEAREST) for image in images]
        if kind < 2:
            _mark(tiles[0], alike.shape[1:])
        rows.append(np.concatenate([_framed(tile) for tile in tiles], axis=1))
    return np.concatenate(rows)


def _tile(image: Picture, interpolation: int) -> Picture:
    return np.asarray(cv2.resize(image, (_TILE, _TILE), interpolation=interpolation), np.uint8)


def _framed(tile: Picture) -> Picture:
    return np.pad(tile, ((0, _GAP), (0, _GAP), (0, 0)), constant_values=255)


def _mark(tile: Picture, grid: tuple[int, ...]) -> None:
    """A red square around the patch."""
    height, width = _TILE // grid[0], _TILE // grid[1]
    top, left = PATCH[0] * height, PATCH[1] * width
    cv2.rectangle(tile, (left, top), (left + width - 1, top + height - 1), _RED, 2)


def main() -> None:
    """Write it."""
    drawn = picture(seen())
    cv2.imwrite(str(PICTURE), cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    main()
