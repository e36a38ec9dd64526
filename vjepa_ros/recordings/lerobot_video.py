"""Frames out of a video of a LeRobotDataset, at times that rise: decoded in order, two of them held at a time.

The file is opened here and handed to FFmpeg as bytes, as an mp4 and nothing else, so that it can name neither other
files nor addresses. It knows PyAV, and not what an episode is.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from vjepa_ros import documents
from vjepa_ros.errors import quoted
from vjepa_ros.recordings.storage import Unreadable, reason

CODECS = ("h264", "hevc", "av1", "vp9")
MOST_PIXELS = 2**25
"""Of a frame; the decoder holds some 16 of them."""

_ERRORS = (av.error.FFmpegError, ValueError, OSError, MemoryError, OverflowError)
_WHITELIST = "h264,hevc,libdav1d,av1,vp9,libvpx-vp9"


class Video:
    """An mp4 file.

    Args:
        path: the file.

    Attributes:
        damaged: packets, and frames that hang on them, that could not be decoded.
        repeats: whether more came of it than is in it.
        asked_s: the last time that was asked for.

    Raises:
        Unreadable: for a file that is no such video.
    """

    def __init__(self, path: Path) -> None:
        self.damaged = 0
        self.repeats = False
        try:
            self._file = documents.open_regular(path)
        except documents.Unreadable as error:
            raise Unreadable(str(error)) from error
        try:
            self._container = av.open(
                self._file, "r", format="mp4", metadata_errors="ignore", options={"codec_whitelist": _WHITELIST}
            )
            try:
                self._stream = self._one()
            except BaseException:
                self._container.close()
                raise
        except _ERRORS as error:
            self._file.close()
            raise Unreadable(f"cannot be read as a video: {_said(error)}") from error
        except BaseException:
            self._file.close()
            raise
        self._left = (
            path.stat().st_size
        )  # no more can come of a file than is in it, unless its pieces stand in each other
        self._rgb = VideoReformatter()
        self._frames = self._decoded()
        self._held: tuple[float, Any] | None = next(self._frames, None)
        self._next = next(self._frames, None)

    def _one(self) -> Any:
        streams = self._container.streams.video
        if len(streams) != 1:
            raise Unreadable(f"has {len(streams)} pictures side by side, and one is what is read")
        stream = streams[0]
        context = stream.codec_context
        codec = "" if context is None else context.codec.canonical_name
        if context is None or codec not in CODECS:
            raise Unreadable(f"is {quoted(codec)}, and {', '.join(CODECS)} are what is read")
        if not 0 < context.width * context.height <= MOST_PIXELS:
            shown = f"{context.width:,}x{context.height:,} px"
            raise Unreadable(f"has {shown}, and at most {MOST_PIXELS:,} px are decoded")
        context.options = {"max_pixels": str(MOST_PIXELS)}  # it may also change on the way
        return stream

    def close(self) -> None:
        """Close it."""
        self._frames.close()
        self._container.close()
        self._file.close()

    def _decoded(self) -> Generator[tuple[float, Any], None, None]:
        """(time in s, frame) in order; behind what is damaged, from the next frame that hangs on no other."""
        whole, newest_s = True, -math.inf
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except _ERRORS:
                self.damaged += 1
                return
            if packet is None:
                return
            self._left -= max(packet.size, 1)
            if self._left < -1:  # the last one is empty
                self.repeats = True
                return
            try:
                frames = packet.decode()
            except _ERRORS:
                self.damaged += 1
                whole = False
                continue
            for frame in frames:
                whole = (whole or bool(frame.key_frame)) and not frame.is_corrupt
                if not whole or frame.pts is None or frame.time_base is None:
                    self.damaged += 1
                    continue
                at_s = float(frame.pts * frame.time_base)
                if at_s > newest_s:
                    newest_s = at_s
                    yield at_s, frame

    def frame(self, time_s: float, within_s: float, from_s: float, to_s: float) -> NDArray[np.uint8] | None:
        """The frame that is nearest to a time.

        Args:
            time_s: not before ``asked_s``.
            within_s: how far off it may be.
            from_s, to_s: where it must lie: from the first to before the second, give or take ``within_s``.

        Returns:
            (height, width, 3) uint8 RGB; None where there is no such frame, or it is too large.
        """
        self.asked_s = time_s
        while self._held is not None and self._next is not None:
            held_s, next_s = self._held[0], self._next[0]
            if held_s >= time_s - within_s and abs(held_s - time_s) < abs(next_s - time_s):
                break
            self._held, self._next = self._next, next(self._frames, None)
        if self._held is None:
            return None
        at_s, frame = self._held
        if abs(at_s - time_s) > within_s or not from_s - within_s <= at_s <= to_s - within_s:
            return None
        if frame.width * frame.height > MOST_PIXELS:
            return None
        try:
            rgb = self._rgb.reformat(frame, format="rgb24").to_ndarray()
        except _ERRORS:
            self.damaged += 1
            return None
        return np.ascontiguousarray(rgb, np.uint8)


def _said(error: BaseException) -> str:
    text = getattr(error, "strerror", None)
    return str(text) if text else reason(error) if isinstance(error, Exception) else type(error).__name__
