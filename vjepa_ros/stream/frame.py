"""One camera image with its sensor stamp, and how the encodings that cameras send become RGB.

It takes the plain fields of an image message, wherever they came from, and knows neither ROS nor the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vjepa_ros.errors import InputError

_COLOR = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION  # the sensor's own rows, whatever EXIF says

# Markers of a JPEG file. They cannot occur inside a scan's data; after the start of the last scan the end must come.
_JPEG_START, _JPEG_SCAN, _JPEG_END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"

# encoding -> (channels, conversion to RGB or None)
_RAW_8_BIT: dict[str, tuple[int, int | None]] = {
    "rgb8": (3, None),
    "bgr8": (3, cv2.COLOR_BGR2RGB),
    "mono8": (1, cv2.COLOR_GRAY2RGB),
}


@dataclass(frozen=True)
class Frame:
    """One preprocessed camera image.

    Attributes:
        stamp_ns: the sensor stamp, on the clock of the joints.
        frame_id: the camera's coordinate frame.
        image: (3, H, W) float32, as the encoder wants it.
        offset_ns: what was added to the message's stamp.
    """

    stamp_ns: int
    frame_id: str
    image: NDArray[np.float32]
    offset_ns: int = 0

    @property
    def header_ns(self) -> int:
        """The stamp in the message."""
        return self.stamp_ns - self.offset_ns


def clip_of(frames: Sequence[Frame]) -> NDArray[np.float32]:
    """Frames as one video, (1, 3, n, H, W) float32."""
    return np.stack([frame.image for frame in frames], axis=1)[None]


def decode_raw(encoding: str, height: int, width: int, step: int, data: Any) -> NDArray[np.uint8]:
    """RGB pixels of an uncompressed image.

    Args:
        encoding: name as in sensor_msgs/image_encodings.h.
        height, width: in px.
        step: bytes of a row, padding included.
        data: buffer of at least ``step * height`` bytes.

    Returns:
        (height, width, 3) uint8 RGB; for ``rgb8`` a view of ``data``.

    Raises:
        InputError: ``unknown_encoding``, ``empty_image`` or ``bad_layout``.
    """
    if encoding not in _RAW_8_BIT:
        raise InputError("unknown_encoding", f"{encoding!r}; known are {', '.join(_RAW_8_BIT)}")
    channels, conversion = _RAW_8_BIT[encoding]
    if height == 0 or width == 0:
        raise InputError("empty_image", f"{width}x{height} px")
    row_bytes = width * channels
    buffer = np.frombuffer(data, np.uint8)
    if step < row_bytes or buffer.size < step * height:
        raise InputError(
            "bad_layout", f"{width}x{height} px of {encoding} do not fit step {step} and {buffer.size} bytes of data"
        )
    rows = buffer[: step * height].reshape(height, step)[:, :row_bytes]  # any padding ends here
    pixels = rows.reshape(height, width, channels)
    return pixels if conversion is None else np.asarray(cv2.cvtColor(pixels, conversion), np.uint8)


def decode_compressed(format_: str, data: Any) -> NDArray[np.uint8]:
    """RGB pixels of a JPEG or PNG image.

    Args:
        format_: the message's format, as image_transport writes it: ``"rgb8; jpeg compressed bgr8"`` or ``"jpeg"``.
        data: buffer with the file.

    Returns:
        (height, width, 3) uint8 RGB.

    Raises:
        InputError: ``empty_image`` or ``undecodable_image``.
    """
    buffer = np.frombuffer(data, np.uint8)
    if buffer.size == 0:
        raise InputError("empty_image", "no data")
    file = buffer.tobytes()
    if file.startswith(_JPEG_START) and file.rfind(_JPEG_END) < file.rfind(_JPEG_SCAN):
        # OpenCV 4.6 (Ubuntu 24.04's) fills what is missing with grey and says nothing.
        raise InputError("undecodable_image", f"{len(file)} bytes of {format_!r}: cut off before its end")
    try:
        pixels = cv2.imdecode(buffer, _COLOR)
    except cv2.error as error:
        raise InputError("undecodable_image", f"{format_!r}: {error.err}") from error
    if pixels is None:
        raise InputError("undecodable_image", f"{buffer.size} bytes of {format_!r}")
    # image_transport names the channel order that it compressed; written as "compressed rgb8", red and blue are swapped
    # in the file and the decoder's BGR is already RGB.
    already_rgb = "compressed rgb" in format_
    return np.asarray(pixels if already_rgb else cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)
