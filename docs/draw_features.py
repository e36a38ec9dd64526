"""Draws docs/features.png, what the encoder's latents say of the sample bag: ``python -m docs.draw_features``.

A column for each of a few moments: the frame, how alike its patches are to one patch of the first frame, and the
principal components of the latents as colours. Of these, what each place usually looks like is taken off first, since
the camera stands still: what is left is what has changed there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import vjepa_ros
from vjepa_ros.images.preprocess import pixels
from vjepa_ros.pictures.colours import principal_colours

PICTURE = Path(__file__).with_name("features.png")
BAG = Path(__file__).parents[1] / "examples" / "data" / "panda_pick"
PRESET = "tiny"
MOMENTS = 6
PATCH = (2, 1)  # row and column: the table, in the first of the moments
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
        changed: the same, less each place's mean over all windows of the bag.
    """

    frames: Picture
    latents: Latents
    changed: Latents


def seen() -> Seen:
    """A few moments of the sample bag, evenly spread, through the encoder."""
    wm = vjepa_ros.load(PRESET, device="cpu", dtype="float32")
    windows = list(vjepa_ros.read_windows(BAG, settings={"preset": PRESET}))
    every = np.stack([wm.grid.unflatten(wm.encode(window.clip))[0, -1].numpy() for window in windows])
    chosen = np.linspace(0, len(windows) - 1, MOMENTS).round().astype(int)
    frames = np.stack([pixels(windows[index].frames[-1].image) for index in chosen])
    return Seen(frames, every[chosen], (every - every.mean(axis=0))[chosen])


def similarity(latents: Latents, patch: tuple[int, int]) -> Latents:
    """How alike all patches are to one of the first moment.

    Args:
        latents: (n, H', W', D).
        patch: its row and column.

    Returns:
        (n, H', W') cosines, after what all patches have in common is taken off.
    """
    own = latents - latents.mean(axis=(0, 1, 2))
    directions = own / np.linalg.norm(own, axis=-1, keepdims=True)
    return np.asarray(directions @ directions[0][patch], np.float32)


def picture(found: Seen) -> Picture:
    """(rows, columns, 3) red, green, blue."""
    alike = similarity(found.latents, PATCH)
    levels = ((alike + 1) * 127.5).round().clip(0, 255).astype(np.uint8)
    heat = [cv2.cvtColor(cv2.applyColorMap(one, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB) for one in levels]
    colours = principal_colours(found.changed)
    seen_tiles = [_tile(frame, cv2.INTER_LINEAR) for frame in found.frames]
    heat_tiles = [
        np.asarray(cv2.addWeighted(frame, 0.35, _tile(one, cv2.INTER_NEAREST), 0.65, 0.0), np.uint8)
        for frame, one in zip(seen_tiles, heat, strict=True)
    ]
    colour_tiles = [_tile(one, cv2.INTER_NEAREST) for one in colours]
    for tiles in (seen_tiles, heat_tiles):
        tiles[0] = _marked(tiles[0], alike.shape[1:])
    rows = (seen_tiles, heat_tiles, colour_tiles)
    return np.concatenate([np.concatenate([_framed(tile) for tile in tiles], axis=1) for tiles in rows])


def _tile(image: Picture, interpolation: int) -> Picture:
    return np.asarray(cv2.resize(image, (_TILE, _TILE), interpolation=interpolation), np.uint8)


def _framed(tile: Picture) -> Picture:
    return np.pad(tile, ((0, _GAP), (0, _GAP), (0, 0)), constant_values=255)


def _marked(tile: Picture, grid: tuple[int, ...]) -> Picture:
    """The same with a red square around the patch."""
    height, width = _TILE // grid[0], _TILE // grid[1]
    top, left = PATCH[0] * height, PATCH[1] * width
    marked = tile.copy()
    cv2.rectangle(marked, (left, top), (left + width - 1, top + height - 1), _RED, 2)
    return marked


def main() -> None:
    """Write it."""
    drawn = picture(seen())
    cv2.imwrite(str(PICTURE), cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    main()
