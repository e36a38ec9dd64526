"""From camera images as messages to the encoder's input, within what one of them may cost. It knows no stamps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vjepa_ros.config.limits import ImageLimits
from vjepa_ros.errors import InputError, ShapeError
from vjepa_ros.images.compressed import decode_compressed
from vjepa_ros.images.preprocess import Preprocess
from vjepa_ros.images.raw import decode_raw
from vjepa_ros.images.sizes import require_bytes, require_pixels
from vjepa_ros.images.video import Video

Decode = Callable[[Any], NDArray[np.uint8]]
"""A message with an image -> (height, width, 3) RGB; raises InputError."""


class Pictures:
    """Decodes and preprocesses.

    Args:
        preprocess: turns RGB pixels into the encoder's input.
        limits: what one image may cost.
        fallback: decodes raw images of unknown encodings; without one they are refused.
    """

    def __init__(self, preprocess: Preprocess, limits: ImageLimits, fallback: Decode | None) -> None:
        self._preprocess, self._limits, self._fallback = preprocess, limits, fallback

    def raw(self, message: Any) -> NDArray[np.uint8]:
        """A sensor_msgs/Image decoded.

        Raises:
            InputError: where it cannot be.
        """
        m = message
        require_pixels(m.width, m.height, self._limits)
        require_bytes(len(m.data), self._limits.max_bytes, "images.max_bytes")
        try:
            return decode_raw(m.encoding, m.height, m.width, m.step, bool(m.is_bigendian), m.data)
        except InputError as error:
            if error.reason != "unknown_encoding" or self._fallback is None:
                raise
            ours = error.detail
        try:
            return self._fallback(message)
        except InputError as error:
            raise InputError(error.reason, f"{ours}; {error.detail}") from error

    def compressed(self, message: Any, tell: Callable[[str], None] = lambda _detail: None) -> NDArray[np.uint8]:
        """A sensor_msgs/CompressedImage decoded; ``tell`` hears of one that is damaged and used all the same.

        Raises:
            InputError: where it cannot be.
        """
        return decode_compressed(message.format, message.data, self._limits, tell)

    def video(self) -> Video[Any]:
        """A decoder for one stream of video; of the packets' labels it gives back what it is given."""
        return Video(self._limits)

    def prepared(self, decode: Decode, message: Any) -> NDArray[np.float32]:
        """The encoder's input of an image, (3, H, W).

        Raises:
            InputError: where it cannot be used.
        """
        size = "an image"
        try:
            pixels = decode(message)
            size = f"{pixels.shape[1]}x{pixels.shape[0]} px"
            return self._preprocess(pixels)
        except (ShapeError, cv2.error) as error:  # OpenCV's own refusals, want of memory among them
            raise InputError("unusable_image", f"{size}: {error}") from error
