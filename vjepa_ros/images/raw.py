"""How the encodings of uncompressed images become RGB: all that sensor_msgs names for colour and grey, but nv24.

It takes the plain fields of an image message, wherever they came from, and knows no ROS. Meanings, rounding and the
order of steps are cv_bridge's, wherever it converts the same encoding to ``rgb8``. OpenCV has no conversion of nv24.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vjepa_ros.errors import InputError, quoted

_MOSAIC_MIN_PX = 3  # OpenCV makes smaller ones black, and says nothing


@dataclass(frozen=True)
class _Layout:
    """Where the pixels of an encoding lie, and OpenCV's conversion to RGB (None: they are RGB)."""

    channels: int
    conversion: int | None
    value_bytes: int = 1
    pairs: bool = False  # two neighbours in a row share their colour: the width must be even
    chroma_rows: bool = False  # below the rows of brightness lie half as many of colour: the height must be even
    mosaic: bool = False


def _layouts() -> dict[str, _Layout]:
    layouts: dict[str, _Layout] = {}
    for bits, value_bytes in ((8, 1), (16, 2)):
        layouts |= {
            f"rgb{bits}": _Layout(3, None, value_bytes),
            f"bgr{bits}": _Layout(3, cv2.COLOR_BGR2RGB, value_bytes),
            f"rgba{bits}": _Layout(4, cv2.COLOR_RGBA2RGB, value_bytes),
            f"bgra{bits}": _Layout(4, cv2.COLOR_BGRA2RGB, value_bytes),
            f"mono{bits}": _Layout(1, cv2.COLOR_GRAY2RGB, value_bytes),
            # sensor_msgs spells the first two rows of the mosaic from its corner; OpenCV's two letters are the second
            # and third pixel of the second row.
            f"bayer_rggb{bits}": _Layout(1, cv2.COLOR_BayerBG2RGB, value_bytes, mosaic=True),
            f"bayer_bggr{bits}": _Layout(1, cv2.COLOR_BayerRG2RGB, value_bytes, mosaic=True),
            f"bayer_gbrg{bits}": _Layout(1, cv2.COLOR_BayerGR2RGB, value_bytes, mosaic=True),
            f"bayer_grbg{bits}": _Layout(1, cv2.COLOR_BayerGB2RGB, value_bytes, mosaic=True),
        }
    # OpenCV's types say nothing about colour; its own order is blue first.
    layouts |= {"8UC1": layouts["mono8"], "8UC3": layouts["bgr8"], "8UC4": layouts["bgra8"]}
    # ITU-R BT.601, brightness 16..235. yuv422 and yuv422_yuy2 are the older names.
    uyvy = _Layout(2, cv2.COLOR_YUV2RGB_UYVY, pairs=True)
    yuyv = _Layout(2, cv2.COLOR_YUV2RGB_YUY2, pairs=True)
    layouts |= {"uyvy": uyvy, "yuv422": uyvy, "yuyv": yuyv, "yuv422_yuy2": yuyv}
    layouts["nv12"] = _Layout(1, cv2.COLOR_YUV2RGB_NV12, pairs=True, chroma_rows=True)
    layouts["nv21"] = _Layout(1, cv2.COLOR_YUV2RGB_NV21, pairs=True, chroma_rows=True)
    return layouts


_LAYOUTS = _layouts()
ENCODINGS: tuple[str, ...] = tuple(_LAYOUTS)

_DEPTHS = ("16UC1", "16SC1", "32SC1", "32FC1", "64FC1")  # how depth cameras and others send measured values


def decode_raw(encoding: str, height: int, width: int, step: int, is_bigendian: bool, data: Any) -> NDArray[np.uint8]:
    """RGB pixels of an uncompressed image.

    Of 16 bits, the value v becomes round(v / 257), so that 65535 is 255. Alpha is dropped. Bayer mosaics are
    interpolated bilinearly.

    Args:
        encoding: name as in sensor_msgs/image_encodings.hpp.
        height, width: in px.
        step: bytes of a row, padding included.
        is_bigendian: byte order of 16-bit values.
        data: buffer of at least ``step * height`` bytes, for ``nv12`` and ``nv21`` half as many more.

    Returns:
        (height, width, 3) uint8 RGB; for ``rgb8`` a view of ``data``.

    Raises:
        InputError: ``unknown_encoding``, ``depth_image``, ``empty_image`` or ``bad_layout``.
    """
    layout = _LAYOUTS.get(encoding)
    if layout is None:
        raise _refusal(encoding)
    if height == 0 or width == 0:
        raise InputError("empty_image", f"{width}x{height} px")
    _check_sides(encoding, layout, height, width)
    row_bytes = width * layout.channels * layout.value_bytes
    data_rows = height * 3 // 2 if layout.chroma_rows else height
    buffer = np.frombuffer(data, np.uint8)
    if step < row_bytes or buffer.size < step * data_rows:
        raise InputError(
            "bad_layout",
            f"{width}x{height} px of {encoding} are {data_rows} rows of at least {row_bytes} bytes, which does not fit "
            f"step {step} and {buffer.size} bytes of data: the camera driver fills in the message wrongly",
        )
    rows = buffer[: step * data_rows].reshape(data_rows, step)[:, :row_bytes]  # any padding ends here
    values = rows if layout.value_bytes == 1 else _wide(rows, is_bigendian)
    pixels: NDArray[Any] = values
    if layout.channels > 1:
        pixels = values.reshape(data_rows, width, layout.channels)
    if layout.conversion is not None:
        pixels = cv2.cvtColor(pixels, layout.conversion)
    if layout.value_bytes == 2:
        pixels = cv2.convertScaleAbs(pixels, alpha=255 / 65535)
    return np.asarray(pixels, np.uint8)


def _check_sides(encoding: str, layout: _Layout, height: int, width: int) -> None:
    """Refuse sides that the encoding cannot have."""
    if (layout.pairs and width % 2) or (layout.chroma_rows and height % 2):
        sides = "width and height" if layout.chroma_rows else "width"
        raise InputError("bad_layout", f"{width}x{height} px of {encoding}, whose {sides} must be even")
    if layout.mosaic and min(height, width) < _MOSAIC_MIN_PX:
        raise InputError(
            "bad_layout", f"{width}x{height} px of {encoding}, which needs at least {_MOSAIC_MIN_PX} px a side"
        )


def _wide(rows: NDArray[np.uint8], is_bigendian: bool) -> NDArray[np.uint16]:
    """(h, n) uint16 in this machine's byte order of (h, 2n) bytes."""
    values = np.ascontiguousarray(rows).view(">u2" if is_bigendian else "<u2")
    # Aligned: a message may begin at any byte of what it was received in.
    return np.require(values, np.uint16, ["C_CONTIGUOUS", "ALIGNED"])


def _refusal(encoding: str) -> InputError:
    if encoding in _DEPTHS:
        advice = "that holds measured values, as of a depth camera: subscribe to the camera's colour image"
        if encoding == "16UC1":
            advice += "; if it is a grey image of 16 bits, the driver should call it mono16"
        return InputError("depth_image", f"{encoding!r}: {advice}")
    known = ", ".join(ENCODINGS)
    return InputError(
        "unknown_encoding", f"{quoted(encoding)}: have the driver or image_proc send rgb8; known are {known}"
    )
