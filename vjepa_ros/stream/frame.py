"""One camera image, ready for the encoder, with its sensor stamp. It knows neither ROS nor the model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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
