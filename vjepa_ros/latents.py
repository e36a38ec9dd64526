"""The latent grid and its wire layout: latents as an image message, and what a window's information says.

One row per token (step-major, then rows, then columns), one column per channel. Numpy only: it reads and fills any
object with the fields of a sensor_msgs/Image and knows neither ROS nor the model.

>>> from types import SimpleNamespace
>>> import numpy as np
>>> from vjepa_ros import latents
>>> image = SimpleNamespace(header=SimpleNamespace(stamp=SimpleNamespace()), data=b"")
>>> forecast = latents.Latents(np.zeros((1, 4, 4, 128), np.float32), stamp_ns=1_500_000_000, frame_id="camera")
>>> message = latents.write(image, forecast)
>>> message.encoding, message.height, message.width, message.header.stamp.nanosec
('32FC1', 16, 128, 500000000)
>>> latents.read(message, (4, 4)).array.shape
(1, 4, 4, 128)
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.documents import Unreadable, from_json, to_json
from vjepa_ros.errors import InputError, ShapeError, brief, quoted
from vjepa_ros.units import S_TO_NS, is_stamp, set_stamp, stamp_to_ns

DTYPES: dict[str, np.dtype[Any]] = {"32FC1": np.dtype(np.float32), "16FC1": np.dtype(np.float16)}


@dataclass(frozen=True)
class Latents:
    """Latents on their grid.

    Attributes:
        array: (steps, H', W', D) float32 or float16; a view of the message it was read from.
        stamp_ns: stamp of the newest frame of the window.
        frame_id: the camera's coordinate frame.
    """

    array: NDArray[Any]
    stamp_ns: int
    frame_id: str


def read(message: Any, info: Mapping[str, Any] | tuple[int, int]) -> Latents:
    """The latents of a message, without copying.

    Args:
        message: a sensor_msgs/Image, or anything with its fields.
        info: the parsed ``latent_info`` (see :func:`read_info`), or the grid's (rows, columns).

    Raises:
        InputError: ``unknown_encoding`` for anything but 32FC1 and 16FC1, ``bad_layout`` where the size does not fit,
            ``bad_info`` where the grid is none, ``bad_stamp`` for a stamp with a second or more of nanoseconds.
    """
    rows, cols = _grid(info)
    if message.encoding not in DTYPES:
        raise InputError("unknown_encoding", f"{quoted(message.encoding)}; latents are {' or '.join(DTYPES)}")
    dtype = DTYPES[message.encoding].newbyteorder(">" if message.is_bigendian else "<")
    height, width = int(message.height), int(message.width)
    row_bytes = width * dtype.itemsize
    data = np.frombuffer(message.data, np.uint8)
    if message.step != row_bytes or not 0 < data.size == height * row_bytes or height % (rows * cols):
        raise InputError(
            "bad_layout", f"{height} x {width} {message.encoding} with step {message.step} on a grid of {rows} x {cols}"
        )
    stamp = message.header.stamp
    if not 0 <= stamp.nanosec < S_TO_NS:
        raise InputError("bad_stamp", f"{stamp.nanosec} ns is a second or more")
    return Latents(
        data.view(dtype).reshape(height // (rows * cols), rows, cols, width),
        stamp_to_ns(stamp),
        message.header.frame_id,
    )


def write(message: Any, latents: Latents) -> Any:
    """Fill a message with latents.

    Args:
        message: an empty sensor_msgs/Image, or anything with its fields; ``data`` an ``array.array`` of bytes, as in
            rclpy, or any attribute that takes bytes.
        latents: what to write; a C-contiguous array is copied once.

    Returns:
        The message.

    Raises:
        ShapeError: if the array is not (steps, H', W', D) of float32 or float16.
        InputError: ``bad_stamp`` for one that does not fit into a message: beyond 32 bits of seconds.
    """
    array = np.asarray(latents.array)
    encoding = next((name for name, dtype in DTYPES.items() if dtype == array.dtype), None)
    if array.ndim != 4 or encoding is None:
        raise ShapeError(f"latents must be (steps, H', W', D) float32 or float16, not {array.shape} {array.dtype}")
    if not is_stamp(latents.stamp_ns):
        raise InputError("bad_stamp", f"{brief(latents.stamp_ns)} ns do not fit into the 32 bits of a stamp's seconds")
    rows = np.ascontiguousarray(array).reshape(-1, array.shape[-1])  # (steps*H'*W', D)
    set_stamp(message.header.stamp, latents.stamp_ns)
    message.header.frame_id = latents.frame_id
    message.height, message.width = rows.shape
    message.encoding = encoding
    message.is_bigendian = int(sys.byteorder == "big")
    message.step = rows.shape[1] * rows.itemsize
    if hasattr(message.data, "frombytes"):
        del message.data[:]
        message.data.frombytes(rows.data.cast("B"))  # assigning numpy would convert byte by byte: 1,000 times slower
    else:
        message.data = rows.tobytes()
    return message


def _grid(info: Mapping[str, Any] | tuple[int, int]) -> tuple[int, int]:
    """Rows and columns, of the parsed ``latent_info`` or as they are."""
    grid = info.get("grid") if isinstance(info, Mapping) else info
    numbers = list(grid)[-2:] if isinstance(grid, (list, tuple)) and len(grid) in (2, 3) else []
    if len(numbers) != 2 or not all(isinstance(number, int) and number >= 1 for number in numbers):
        raise InputError("bad_info", f"{brief(grid)} is not the grid's rows and columns")
    return numbers[0], numbers[1]


def read_info(message: Any) -> dict[str, Any]:
    """The parsed ``~/latent_info``: a std_msgs/String, or anything with ``data``.

    Raises:
        InputError: ``bad_info`` for what is not an object of JSON.
    """
    info = _parsed(message.data)
    if not isinstance(info, dict):
        raise InputError("bad_info", f"{brief(info)} is not an object of JSON")
    return info


def window_values(values: Mapping[str, Any]) -> dict[str, str]:
    """What belongs to a window as the keys and values of a diagnostic_msgs/DiagnosticStatus: every value in JSON."""
    return {key: to_json(value) for key, value in values.items()}


def read_window_info(message: Any) -> dict[str, Any]:
    """The parsed ``~/window_info``: a diagnostic_msgs/DiagnosticArray, or anything with its fields.

    Raises:
        InputError: ``bad_info`` for a value that is not JSON.
    """
    return {pair.key: _parsed(pair.value) for status in message.status for pair in status.values}


def _parsed(text: str) -> Any:
    try:
        return from_json(text)
    except Unreadable as error:
        raise InputError("bad_info", f"a text of {len(text):,} characters {error}") from error
