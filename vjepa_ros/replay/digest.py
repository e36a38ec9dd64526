"""One hash for the same windows, actions or latents, wherever they were computed: SHA-256 over canonical bytes.

Live and offline use it, so that two runs can be compared by a line of hexadecimal digits. It knows plain values only.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Digest:
    """Hashes of a sequence of windows, in their order.

    - ``windows``: per window its epoch, the number of its frames and their stamps, the number of its steps and their
      stamps, all as little-endian int64, in nanoseconds.
    - ``actions``: per window its actions, then its states, then its future actions where the horizon is more than 1:
      the number of rows and columns as little-endian int64, then the values as little-endian float64, row by row.
    - ``latents``: per array the length of each axis as little-endian int64, then the values, little-endian, in the
      dtype that is published. Equal on one machine; other devices and numbers of threads may round differently.
    """

    def __init__(self) -> None:
        self._windows, self._actions, self._latents = (hashlib.sha256() for _ in range(3))

    def add_window(
        self,
        epoch: int,
        frame_stamps_ns: Sequence[int],
        step_stamps_ns: Sequence[int],
        actions: ArrayLike,
        states: ArrayLike,
        future_actions: ArrayLike = (),
    ) -> None:
        """Count in a window: its stamps, its (T', A) actions, (T', S) states and (H-1, A) future actions."""
        self._windows.update(_int64(epoch))
        for stamps_ns in (frame_stamps_ns, step_stamps_ns):
            self._windows.update(_int64(len(stamps_ns), *stamps_ns))
        for values in (actions, states, *([future_actions] if np.size(future_actions) else [])):
            array = np.ascontiguousarray(values, "<f8")
            self._actions.update(_int64(*array.shape) + array.tobytes())

    def add_latents(self, array: NDArray[Any]) -> None:
        """Count in the predicted latents of a window, (steps, H', W', D)."""
        little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        self._latents.update(_int64(*little.shape) + little.tobytes())

    def hexadecimal(self, *, latents: bool = True) -> dict[str, str]:
        """The hashes so far, 64 digits each; without that of the latents where there are none."""
        hashes = {"windows": self._windows.hexdigest(), "actions": self._actions.hexdigest()}
        return hashes | {"latents": self._latents.hexdigest()} if latents else hashes


def _int64(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}q", *numbers)
