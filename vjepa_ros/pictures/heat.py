"""Where in a picture a forecast was wrong: errors of tokens as heat over the camera's image. Numbers in, pixels out."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vjepa_ros.pictures.colours import Picture

_HIGH = 98  # percentile of the errors that is the hottest
_COOLS = 0.98  # of the scale, from window to window: it falls to half in 34
_ORANGE = 204  # of 255: beyond that the colour map turns pale, which a light image is too
_MOST = 0.85  # of what is hottest, the share of heat in the picture: the image stays to be seen


class Heat:
    """Errors over images, on a scale that is kept from window to window: it rises at once, and falls slowly.

    On a scale of each window's own, noise would look like a mistake wherever no forecast was wrong.

    Attributes:
        top: the error that is hottest; 0 before the first.
    """

    def __init__(self, top: float = 0.0) -> None:
        self.top = top

    def __call__(self, image: Picture, errors: NDArray[Any]) -> Picture:
        """An image in grey, and over it the heat.

        Args:
            image: (h, w, 3) RGB, what the encoder saw.
            errors: (H', W') of its tokens, finite and not negative.

        Returns:
            (h, w, 3) RGB: grey where nothing was wrong, from violet to orange where much was.
        """
        self.top = max(hottest(errors), _COOLS * self.top)
        height, width = image.shape[:2]
        shares = np.clip(errors.astype(np.float32) / max(self.top, 1e-12), 0, 1)
        shares = cv2.resize(shares, (width, height), interpolation=cv2.INTER_LINEAR)  # (h, w)
        levels = np.asarray((shares * _ORANGE).round(), np.uint8)
        heat = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None]
        weights = _MOST * np.square(shares)[..., None]
        return np.asarray((grey * (1 - weights) + heat * weights).round(), np.uint8)


def hottest(errors: NDArray[Any]) -> float:
    """The error that is hottest in one window by itself: a percentile, so that a single token does not decide."""
    return float(np.percentile(errors, _HIGH))
