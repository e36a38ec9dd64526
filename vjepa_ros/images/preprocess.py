"""One camera image to the encoder's input: view, crop, resize, normalise. Numpy and OpenCV; no torch, no ROS, no time.

The user's view comes first: region of interest, then quarter turns, then flip. Then the mode, for a target of height x
width px (square in every released model):

* ``square`` (the public AC example): the largest centred crop of the target's aspect, resized to the target.
* ``droid`` (what the released AC model was trained on): the whole image if its aspect is 0.75 to 1.35 times the
  target's, else a centred crop to that limit; squeezed to the target.
* ``eval`` (the encoders' evaluation): resized until it covers 256/224 of the target, then a centred crop.

A target that is not square is not known from any release: the image's aspect is then taken relative to the target's.
All work on 0..255 floats, bilinear without antialiasing (pixel centres aligned, not corners), then ImageNet's mean and
standard deviation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vjepa_ros.config.checks import require
from vjepa_ros.config.model import PREPROCESSINGS, Preprocessing
from vjepa_ros.config.view import ViewConfig
from vjepa_ros.errors import InputError, ShapeError

IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32) * 255  # grey levels, RGB
IMAGENET_STD = np.array([0.229, 0.224, 0.225], np.float32) * 255
DROID_ASPECTS = (0.75, 1.35)  # width / height, relative to the target's

# Of the image that eval resizes, 48 MB of floats: aspects of 47 and more at 256 x 256 px are refused. Where that is
# less than four times what the encoder takes in, four times.
_MAX_EVAL_PX = 4_000_000

_TALL = 6  # times as high as the result: then it pays to look for the rows that are read

_CLOCKWISE = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
_FLIP_AXES = {"horizontal": 1, "vertical": 0}


class Preprocess:
    """Callable: (h, w, 3) uint8 RGB -> (3, H, W) float32, ImageNet-normalised, C-contiguous. One thread at a time.

    Args:
        mode: ``square``, ``droid`` or ``eval``.
        image_size: the target (H, W) in px.
        view: what of the image to look at and how to turn it; None for all of it, as it is.

    Raises:
        ConfigError: for an unknown mode or a size below 1 px.
    """

    def __init__(self, mode: Preprocessing, image_size: tuple[int, int], view: ViewConfig | None = None) -> None:
        require(mode in PREPROCESSINGS, "preprocessing", f"{mode!r} is not one of {', '.join(PREPROCESSINGS)}")
        require(min(image_size) >= 1, "image_size", f"must be at least 1 px a side, not {image_size}")
        self.mode = mode
        self.image_size = image_size
        self.view = view
        # Kept from image to image: the system clears memory that it gives out anew, which takes longer than the resize.
        self._pixels: NDArray[np.float32] = np.empty((0, 0, 3), np.float32)

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Preprocess one image.

        Raises:
            ShapeError: for anything but a non-empty (h, w, 3) uint8 array.
            InputError: ``roi_outside``: the region of interest does not lie inside of the image; ``unusable_image``: a
                strip so long and thin that ``eval`` would fill the memory with it.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
            raise ShapeError(f"an image must be (h, w, 3) uint8 and not empty, not {image.shape} {image.dtype}")
        if self.view is not None:
            image = _look(image, self.view)
        if self.mode == "eval":
            whole = self._resize(image, self._eval_size(*image.shape[:2]))
            pixels = _centre_crop(whole, self.image_size, round)
        else:
            pixels = self._resize(_centre_crop(image, self._crop_size(*image.shape[:2]), math.floor), self.image_size)
        out = np.empty((3, *self.image_size), np.float32)
        for channel in range(3):  # straight into place: a transposed copy of the whole would be another pass
            np.subtract(pixels[..., channel], IMAGENET_MEAN[channel], out=out[channel])
        out /= IMAGENET_STD[:, None, None]
        return out

    def _crop_size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) in px of what ``square`` and ``droid`` keep of an image."""
        target_height, target_width = self.image_size
        target = target_width / target_height
        narrowest, widest = (1.0, 1.0) if self.mode == "square" else DROID_ASPECTS
        if width / height < narrowest * target:
            return max(1, round(width / (narrowest * target))), width
        if width / height > widest * target:
            return height, max(1, round(height * widest * target))
        return height, width

    def _eval_size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) in px to which ``eval`` resizes an image: the side that is short for the target fits."""
        cover_height, cover_width = (side * 256 // 224 for side in self.image_size)
        if width * self.image_size[0] < height * self.image_size[1]:
            size = max(int(cover_width * height / width), cover_height), cover_width
        else:
            size = cover_height, max(int(cover_height * width / height), cover_width)
        if size[0] * size[1] > max(_MAX_EVAL_PX, 4 * cover_height * cover_width):
            raise InputError("unusable_image", f"{width}x{height} px would be resized to {size[1]}x{size[0]} px")
        return size

    def _resize(self, image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.float32]:
        """Bilinear, in float32: on uint8 OpenCV would round to whole grey levels. Good until the next call."""
        if self._pixels.shape != image.shape:
            self._pixels = np.empty((0, 0, 3), np.float32)  # a large one goes before its successor comes
            self._pixels = np.empty(image.shape, np.float32)
        if image.shape[0] >= _TALL * size[0]:
            # Each row of the result is made of two of the image: of a large one the others are never looked at, and
            # memory that nobody writes to is not taken either.
            rows = _rows_read(image.shape[0], size[0])
            self._pixels[rows] = image[rows]
        else:
            np.copyto(self._pixels, image)
        if image.shape[:2] == size:
            return self._pixels
        resized = cv2.resize(self._pixels, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
        return resized.astype(np.float32, copy=False)


def pixels(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """What the encoder sees, for people: (3, H, W) float32 as :class:`Preprocess` gives it -> (H, W, 3) uint8 RGB."""
    levels = image.transpose(1, 2, 0) * IMAGENET_STD + IMAGENET_MEAN
    return np.asarray(levels.round().clip(0, 255), np.uint8)


def _rows_read(height: int, target_height: int) -> NDArray[np.intp]:
    """The rows that a bilinear resize to ``target_height`` rows reads, and one on each side of them for rounding."""
    centres = (np.arange(target_height) + 0.5) * (height / target_height) - 0.5
    first = np.floor(centres).astype(np.intp)
    rows: NDArray[np.intp] = np.unique(np.clip(first[:, None] + np.arange(-1, 3), 0, height - 1))
    return rows


def _look(image: NDArray[np.uint8], view: ViewConfig) -> NDArray[np.uint8]:
    """The view of an image; uint8 and by OpenCV, which turns a picture ten times as fast as numpy."""
    if view.roi:
        x, y, width, height = view.roi
        if y + height > image.shape[0] or x + width > image.shape[1]:
            raise InputError(
                "roi_outside",
                f"the image has {image.shape[1]}x{image.shape[0]} px, but view.roi {list(view.roi)} reaches to "
                f"{x + width}x{y + height}: set view.roi for this resolution, or the camera to another",
            )
        image = image[y : y + height, x : x + width]
    if view.rotation_deg:
        image = np.asarray(cv2.rotate(image, _CLOCKWISE[view.rotation_deg]), np.uint8)
    if view.flip != "none":
        image = np.asarray(cv2.flip(image, _FLIP_AXES[view.flip]), np.uint8)
    return image


def _centre_crop(image: NDArray[Any], size: tuple[int, int], whole_px: Callable[[float], int]) -> NDArray[Any]:
    """A view of the middle. ``whole_px`` settles half a pixel: the public code rounds in ``eval``, else it cuts."""
    top, left = whole_px((image.shape[0] - size[0]) / 2), whole_px((image.shape[1] - size[1]) / 2)
    return image[top : top + size[0], left : left + size[1]]
