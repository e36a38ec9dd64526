"""How compressed images, JPEG and PNG files, become RGB. It knows no ROS.

A file's header is read before anything is decoded: what it claims decides how much memory the decoder takes.
"""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vjepa_ros.errors import InputError, quoted

MAX_PIXELS = 64_000_000  # per image; decoded they take three bytes each

_COLOR = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION  # the sensor's own rows, whatever EXIF says

# Markers of a JPEG file. They cannot occur inside a scan's data; after the start of the last scan the end must come.
_JPEG_SCAN, _JPEG_END = b"\xff\xda", b"\xff\xd9"
_PNG_BITS_AT = 24  # the first chunk of a PNG has a fixed place


def decode_compressed(format_: str, data: Any) -> NDArray[np.uint8]:
    """RGB pixels of a JPEG or PNG image. Alpha is dropped, grey is spread to three channels.

    Args:
        format_: the message's format, as image_transport writes it: ``"rgb8; jpeg compressed bgr8"`` or ``"jpeg"``.
        data: buffer with the file.

    Returns:
        (height, width, 3) uint8 RGB.

    Raises:
        InputError: ``empty_image``, ``depth_image``, ``too_many_bits``, ``image_too_large`` or ``undecodable_image``.
    """
    if "compressedDepth" in format_:
        raise InputError("depth_image", f"{quoted(format_)}: subscribe to the camera's colour image")
    buffer = np.frombuffer(data, np.uint8)
    if buffer.size == 0:
        raise InputError("empty_image", "no data")
    _check_file(format_, buffer.tobytes())
    try:
        pixels = cv2.imdecode(buffer, _COLOR)
    except cv2.error as error:
        raise InputError("undecodable_image", f"{quoted(format_)}: {error.err}") from error
    if pixels is None:
        raise InputError("undecodable_image", f"{buffer.size} bytes of {quoted(format_)} are damaged")
    # image_transport names the channel order that it compressed; written as "compressed rgb8", red and blue are swapped
    # in the file and the decoder's BGR is already RGB.
    already_rgb = "compressed rgb" in format_
    return np.asarray(pixels if already_rgb else cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)


def _check_file(format_: str, file: bytes) -> None:
    """Refuse what must not reach the decoder: other formats, too many pixels, 16 bits, damage, a cut-off end."""
    try:
        with Image.open(io.BytesIO(file), formats=("JPEG", "PNG")) as header:  # reads no pixels
            width, height = header.size
            is_png = header.format == "PNG"
            if is_png:
                header.verify()  # by checksums: OpenCV 4.11 reserves gigabytes for a chunk of damaged length
    except Image.DecompressionBombError as error:
        raise InputError("image_too_large", f"{error}; at most {MAX_PIXELS} px are decoded") from error
    except (OSError, ValueError, SyntaxError) as error:  # what Pillow raises on headers that make no sense
        raise InputError(
            "undecodable_image",
            f"{len(file)} bytes of {quoted(format_)} are neither JPEG nor PNG, or damaged: have the camera's "
            "image_transport send one of these",
        ) from error
    if width * height > MAX_PIXELS:
        raise InputError(
            "image_too_large", f"{width}x{height} px, but at most {MAX_PIXELS} px are decoded: lower the resolution"
        )
    if is_png and file[_PNG_BITS_AT] == 16:
        raise InputError(
            "too_many_bits",
            f"a PNG of 16 bits in {quoted(format_)}: if it holds depth, subscribe to the camera's colour image, else "
            "have the driver send 8 bits, or the raw image",
        )
    # OpenCV 4.6 (Ubuntu 24.04's) fills what is missing of a JPEG with grey and says nothing.
    if not is_png and file.rfind(_JPEG_END) < file.rfind(_JPEG_SCAN):
        raise InputError(
            "undecodable_image",
            f"{len(file)} bytes of {quoted(format_)} without the end marker of a JPEG (FF D9): cut off on the way, "
            "look for lost packets; or the camera, often a UVC one that sends MJPEG, leaves the marker out: have its "
            "driver decode and send raw images, or add the marker",
        )
