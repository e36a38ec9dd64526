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
from vjepa_ros.fleet.lerobot_stats import Stats
from vjepa_ros.images.preprocess import IMAGENET_MEAN, IMAGENET_STD
from vjepa_ros.stream.window import Window
from vjepa_ros.units import S_TO_NS

_EVERY = 4  # pixel of a row, and row of a picture, is counted
CODEC, KEY_EVERY = "libx264", 2
OPTIONS = {"crf": "23", "preset": "veryfast", "bf": "0", "g": str(KEY_EVERY)}
"""No frame is shown before one that was decoded earlier, and every second one stands alone: episodes can be cut out."""


def picture(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of a frame as the encoder has it, (3, H, W) float32."""
    pixels = image * IMAGENET_STD[:, None, None] + IMAGENET_MEAN[:, None, None]
    return np.ascontiguousarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8).transpose(1, 2, 0))


class FrameWriter:
    """Writes a video; without any window there is none.

    Args:
        path: the mp4 file to make.
        config: how windows follow each other.

    Attributes:
        episodes: once it is closed, of each stretch without a gap how many ``rows`` it has, and statistics of its
            ``picture``, as lists.
        frame_px: height and width.

    Raises:
        OSError: by every method, where the disk is full or fails; it names the file.
    """

    def __init__(self, path: Path, config: NodeConfig) -> None:
        self._path = path
        stream = config.stream
        self._hop, self._frames = stream.hop, stream.num_frames
        self._period_s, self._max_gap_s = stream.frame_rate_hz and 1 / stream.frame_rate_hz, stream.max_gap_s
        self._levels = np.zeros((3, 256), np.int64)
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
            self._end()
            self.episodes.append({"rows": 0})
        self.episodes[-1]["rows"] += 1
        self._before = window
        at = window.step_stamps_ns[-1]
        frame = next((frame for frame in reversed(window.frames) if frame.stamp_ns == at), window.frames[-1])
        rgb = picture(frame.image)
        self.frame_px = (rgb.shape[0], rgb.shape[1])
        for channel, counts in enumerate(self._levels):
            counts += np.bincount(rgb[::_EVERY, ::_EVERY, channel].reshape(-1), minlength=256)
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
        if shared > 0:
            return window.frames[shared - 1].stamp_ns == before.frames[-1].stamp_ns
        # No frame tells whether the camera paused in between; only the time does.
        period_s = self._period_s or before.period_ns / S_TO_NS or self._max_gap_s
        apart_s = (window.frames[-1].stamp_ns - before.frames[-1].stamp_ns) / S_TO_NS
        return apart_s < self._hop * period_s + self._max_gap_s

    def _end(self) -> None:
        if self.episodes:
            self.episodes[-1]["picture"] = Stats.of_levels(self._levels, self.episodes[-1]["rows"]).told()
        self._levels[:] = 0

    def _open(self, height: int, width: int) -> None:
        self._file = self._path.open("wb")
        self._container = av.open(self._file, "w", format="mp4")
        self._stream = self._container.add_stream(CODEC, rate=1, options=OPTIONS)
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = "yuv444p" if height % 2 or width % 2 else "yuv420p"

    def close(self) -> None:
        """Write what is left."""
        self._end()
        if self._container is not None:
            with files.naming(self._path):
                self._container.mux(self._stream.encode())
                self._container.close()
                self._file.close()

    def abort(self) -> None:
        """Leave it as it is: it will be removed. What was closed stays whole."""
        if self._file is not None and not self._file.closed:
            self._file.close()
