"""Decodes images by cv_bridge, where it is installed and works: the last try with an encoding that ours does not know.

cv_bridge is a compiled module: built for another numpy it may take the whole process down. The one on PyPI is an old
port to plain Python with silent errors. So a child process tries it first, which finds it where this one would, but for
the working folder: a file that lies there is no part of ROS. It is also silently wrong on rows whose
padding is not a whole number of pixels, and fails on big-endian images under numpy 2: it gets neither of them.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from functools import cache
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vjepa_ros.errors import InputError, quoted

_TRIAL_TIMEOUT_S = 20.0
# Run with the places to import from as its arguments; its last line says where it has found cv_bridge.
_TRIAL = """
import sys
sys.path[:] = sys.argv[1:]
from types import SimpleNamespace
import cv_bridge
from cv_bridge import CvBridge
from cv_bridge.boost import cv_bridge_boost
if cv_bridge_boost.__file__.endswith(".py"):
    raise ImportError("it is not the one of ROS 2")
image = SimpleNamespace(encoding="bgr8", height=1, width=1, step=3, is_bigendian=0, data=bytearray([1, 2, 3]))
assert CvBridge().imgmsg_to_cv2(image, "rgb8").tolist() == [[[3, 2, 1]]]
print()
print(cv_bridge.__file__)
"""
# What cv_bridge raises on messages that it cannot use; CvBridgeError is a TypeError.
_FAILURES = (TypeError, ValueError, RuntimeError, LookupError, cv2.error)


def decode(message: Any) -> NDArray[np.uint8]:
    """RGB pixels of a sensor_msgs/Image by cv_bridge. The first call takes a second, which the trial needs.

    Returns:
        (height, width, 3) uint8 RGB.

    Raises:
        InputError: ``unknown_encoding`` or ``bad_layout``.
    """
    bridge, problem = _bridge()
    if bridge is None:
        raise InputError("unknown_encoding", problem)
    try:
        dtype, channels = bridge.encoding_to_dtype_with_channels(message.encoding)
        pixels = bridge.imgmsg_to_cv2(_repacked(message, np.dtype(dtype).itemsize, channels), "rgb8")
    except _FAILURES as error:
        raise InputError("unknown_encoding", f"cv_bridge: {quoted(str(error), 300)}") from error
    if pixels.shape != (message.height, message.width, 3) or pixels.dtype != np.uint8:
        raise InputError("unknown_encoding", f"cv_bridge gives {pixels.shape} {pixels.dtype}")
    return np.asarray(pixels, np.uint8)


def _repacked(message: Any, value_bytes: int, channels: int) -> SimpleNamespace:
    """The message without padding, in this machine's byte order."""
    row_bytes = message.width * channels * value_bytes
    buffer = np.frombuffer(message.data, np.uint8)
    if message.height == 0 or not 0 < row_bytes <= message.step or buffer.size < message.step * message.height:
        raise InputError(
            "bad_layout", f"for cv_bridge, {message.width}x{message.height} px of {quoted(message.encoding)} do not "
            f"fit step {message.step} and {buffer.size} bytes of data",
        )  # fmt: skip
    rows = buffer[: message.step * message.height].reshape(message.height, message.step)[:, :row_bytes]
    if bool(message.is_bigendian) != (sys.byteorder == "big"):
        rows = rows.reshape(message.height, -1, value_bytes)[..., ::-1]
    return SimpleNamespace(
        encoding=message.encoding, height=message.height, width=message.width, step=row_bytes,
        is_bigendian=int(sys.byteorder == "big"), data=bytearray(rows.tobytes()),
    )  # fmt: skip


@cache
def _bridge() -> tuple[Any, str]:
    """(a CvBridge that works, "") or (None, why not)."""
    try:
        here = os.getcwd()
    except OSError:  # the folder is gone
        here = ""
    # `python -c` has the working folder as "", `python -m` by its name; a sourced ROS has none but full names.
    places = [place for place in sys.path if os.path.isabs(place) and os.path.realpath(place) != os.path.realpath(here)]
    try:
        # -I: nothing that the environment or the working folder says is imported, only what stands in `places`.
        trial = subprocess.run(
            [sys.executable, "-I", "-c", _TRIAL, *places],
            capture_output=True, text=True, timeout=_TRIAL_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, f"cv_bridge could not be tried: {error}"
    if trial.returncode != 0:
        last_line = (trial.stderr.strip().splitlines() or [f"exit status {trial.returncode}"])[-1]
        return None, f"cv_bridge cannot be used: {last_line}"
    tried, found = trial.stdout.splitlines()[-1], importlib.util.find_spec("cv_bridge")
    if found is None or found.origin != tried:
        return None, f"cv_bridge cannot be used: {found and found.origin} stands before {tried}"
    from cv_bridge import CvBridge

    return CvBridge(), ""
