"""How compressed images, JPEG and PNG files, become RGB. It knows no ROS.

A file is read through before the decoder sees it (:mod:`~vjepa_ros.images.jpeg`, :mod:`~vjepa_ros.images.png`): what it
claims decides how much memory and time the decoder takes, and what it holds besides pixels is not for the decoder.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vjepa_ros.config.limits import IMAGES, ImageLimits
from vjepa_ros.errors import InputError, quoted
from vjepa_ros.images import jpeg, png
from vjepa_ros.images.codec_messages import caught
from vjepa_ros.images.sizes import damaged, require_bytes

_COLOR = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION  # the sensor's own rows, whatever EXIF says


def _ignore(_text: str) -> None:
    pass


def decode_compressed(
    format_: str, data: Any, limits: ImageLimits = IMAGES, tell: Callable[[str], None] = _ignore
) -> NDArray[np.uint8]:
    """RGB pixels of a JPEG or PNG image. Alpha is dropped, grey is spread to three channels.

    Args:
        format_: the message's format, as image_transport writes it: ``"rgb8; jpeg compressed bgr8"`` or ``"jpeg"``.
        data: buffer with the file.
        limits: what it may cost.
        tell: told in words where the decoder found damage that it could paint over.

    Returns:
        (height, width, 3) uint8 RGB.

    Raises:
        InputError: ``empty_image``, ``depth_image``, ``too_many_bits``, ``image_too_large`` or ``undecodable_image``.
    """
    if "compressedDepth" in format_:
        raise InputError("depth_image", f"{quoted(format_)}: subscribe to the camera's colour image")
    file = np.frombuffer(data, np.uint8).data
    if not file:
        raise InputError("empty_image", "no data")
    require_bytes(len(file), limits.max_file_bytes, "images.max_file_bytes")
    pixels = _decoded(_checked(format_, file, limits), format_, tell)
    # image_transport names the channel order that it compressed; written as "compressed rgb8", red and blue are swapped
    # in the file and the decoder's BGR is already RGB.
    already_rgb = "compressed rgb" in format_
    return np.asarray(pixels if already_rgb else cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)


def _checked(format_: str, file: memoryview, limits: ImageLimits) -> bytearray | memoryview:
    """What of a file the decoder gets."""
    try:
        if file[: len(png.SIGNATURE)] == png.SIGNATURE:
            return png.checked(file, limits)
        if file[: len(jpeg.SIGNATURE)] == jpeg.SIGNATURE:
            return jpeg.checked(file, limits)
    except InputError as error:
        raise InputError(error.reason, f"{len(file)} bytes of {quoted(format_)}: {error.detail}") from error
    raise damaged(
        f"{len(file)} bytes of {quoted(format_)} are neither JPEG nor PNG: have the camera's image_transport send one "
        "of these"
    )


def _decoded(file: bytearray | memoryview, format_: str, tell: Callable[[str], None]) -> NDArray[Any]:
    """(height, width, 3) uint8, blue first."""
    said: list[str] = []
    try:
        with caught(said):
            pixels = cv2.imdecode(np.frombuffer(file, np.uint8), _COLOR)
    except (cv2.error, MemoryError) as error:
        raise damaged(f"{quoted(format_)}: {quoted(str(error), 300)}") from error
    if pixels is None:
        raise damaged(f"{len(file)} bytes of {quoted(format_)} are damaged: {quoted(said[0] if said else '', 200)}")
    if said:
        tell(f"{len(file)} bytes of {quoted(format_)} are damaged, the picture is used: {quoted(said[0], 200)}")
    return np.asarray(pixels)
