"""The frames of a recording's windows as a video, one frame per window: that of its newest step, as the encoder saw it.

Which windows follow each other without a gap is counted on the way: those are the episodes of a dataset. It knows PyAV
and windows, and neither rates nor datasets: frame k stands at second k.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from vjepa_ros import files
from vjepa_ros.config.node import NodeConfig
from vjepa_ros.images.preprocess import IMAGENET_MEAN, IMAGENET_STD
from vjepa_ros.stream.window import Window

_EVERY = 4  # pixel of a row, and row of a picture, for the sums over its levels
CODEC, KEY_EVERY = "libx264", 2
OPTIONS = {"crf": "23", "preset": "veryfast", "bf": "0", "g": str(KEY_EVERY)}
"""No frame is shown before one that was decoded earlier, and every second one stands alone: episodes can be cut out."""


def picture(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of a frame as the encoder has it, (3, H, W) float32."""
    pixels = image * IMAGENET_STD[:, None, None] + IMAGENET_MEAN[:, None, None]
    return np.ascontiguousarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8).transpose(1, 2, 0))


def _sum_up(levels: NDArray[np.int64], sums: dict[str, Any]) -> None:
    """Add pixels, (n, 3), to the sums over a picture's levels."""
    new = {"low": levels.min(0), "high": levels.max(0), "sum": levels.sum(0), "squares": (levels**2).sum(0)}
    join = {"low": np.minimum, "high": np.maximum, "sum": np.add, "squares": np.add}
    sums |= {name: join[name](sums.get(name, value if name in ("low", "high") else 0), value).tolist()
             for name, value in new.items()}  # fmt: skip
    sums["pixels"] = sums.get("pixels", 0) + len(levels)


class FrameWriter:
    """Writes a video; without any window there is none.

    Args:
        path: the mp4 file to make.
        config: how windows follow each other.

    Attributes:
        episodes: of each stretch without a gap how many ``rows`` it has, and sums over the levels of its ``picture``.
        frame_px: height and width.

    Raises:
        OSError: by every method, where the disk is full or fails; it names the file.
    """

    def __init__(self, path: Path, config: NodeConfig) -> None:
        self._path = path
        self._hop, self._frames = config.stream.hop, config.stream.num_frames
        self._before: Window | None = None
        self._file: Any = None
        self._container: Any = None
        self._stream: Any = None
        self._count = 0
        self.episodes: list[dict[str, Any]] = []
        self.frame_px = (0, 0)

    def add(self, window: Window) -> None:
        """Take in a window."""
        if self._before is None or not self._follows(window, self._before):
            self.episodes.append({"rows": 0, "picture": {}})
        self.episodes[-1]["rows"] += 1
        self._before = window
        at = window.step_stamps_ns[-1]
        frame = next((frame for frame in reversed(window.frames) if frame.stamp_ns == at), window.frames[-1])
        rgb = picture(frame.image)
        self.frame_px = (rgb.shape[0], rgb.shape[1])
        _sum_up(rgb[::_EVERY, ::_EVERY].reshape(-1, 3).astype(np.int64), self.episodes[-1]["picture"])
        with files.naming(self._path):
            if self._container is None:
                self._open(*rgb.shape[:2])
            made = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            made.pts = self._count
            self._container.mux(self._stream.encode(made))
        self._count += 1

    def _follows(self, window: Window, before: Window) -> bool:
        if (window.epoch, window.number) != (before.epoch, before.number + 1):
            return False
        shared = self._frames - self._hop
        return shared <= 0 or window.frames[shared - 1].stamp_ns == before.frames[-1].stamp_ns

    def _open(self, height: int, width: int) -> None:
        self._file = self._path.open("wb")
        self._container = av.open(self._file, "w", format="mp4")
        self._stream = self._container.add_stream(CODEC, rate=1, options=OPTIONS)
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = "yuv444p" if height % 2 or width % 2 else "yuv420p"

    def close(self) -> None:
        """Write what is left."""
        if self._container is not None:
            with files.naming(self._path):
                self._container.mux(self._stream.encode())
                self._container.close()
                self._file.close()

    def abort(self) -> None:
        """Leave it as it is: it will be removed. What was closed stays whole."""
        if self._file is not None and not self._file.closed:
            self._file.close()
