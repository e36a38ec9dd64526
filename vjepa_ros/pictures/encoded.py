"""Pictures as files: small ones without loss, larger ones as photographs. Pixels in, bytes out."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_QUALITY = 88  # of a JPEG


def lossless(picture: NDArray[np.uint8]) -> bytes:
    """(h, w, 3) RGB as a PNG."""
    return _encoded(picture, ".png", [])


def photograph(picture: NDArray[np.uint8]) -> bytes:
    """(h, w, 3) RGB as a JPEG."""
    return _encoded(picture, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])


def _encoded(picture: NDArray[np.uint8], suffix: str, options: list[int]) -> bytes:
    is_done, file = cv2.imencode(suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    assert is_done, "OpenCV writes these forms"
    return bytes(file.tobytes())
