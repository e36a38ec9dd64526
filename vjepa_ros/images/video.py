"""H.264 video, packet by packet, to RGB: every packet in its order, and no picture that lacks one it refers to.

PyAV decodes; where it is not installed a sentence says what to install. After a loss, and for who comes late, nothing
is decoded before the next keyframe. It knows no topics.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections import deque
from statistics import median
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.config.limits import ImageLimits
from vjepa_ros.errors import ConfigError, InputError, quoted
from vjepa_ros.images.h264 import Continuity, Headers, Picture
from vjepa_ros.images.sizes import damaged, require_bytes, require_pixels

LabelT = TypeVar("LabelT")

INSTALL = "install PyAV: pip install 'vjepa_ros[video]', or python3-av of the system"
_NAMES = ("h264", "libx264", "avc", "avc1")
_BEGINNING = "h264_"  # of encoders that use hardware: h264_nvenc, h264_vaapi
_INTERVALS, _LEAST, _LONGER = 31, 3, 2.5  # kept, needed to judge by, and what of their median is a gap
_MOST_WAITING = 64  # packets whose pictures have not come out


def is_h264(name: str) -> bool:
    """Whether a message's format or encoding is H.264, as ``h264``, ``libx264`` or ``h264;yuv420p;bgr8;bgr8`` is."""
    word = name.split(";")[0].strip().lower()
    return word in _NAMES or word.startswith(_BEGINNING)


def require_decoder(parameter: str) -> None:
    """Refuse a configuration that needs a decoder where there is none.

    Raises:
        ConfigError: naming the parameter.
    """
    if importlib.util.find_spec("av") is None:
        raise ConfigError(parameter, f"no decoder of video is installed: {INSTALL}")


class Video(Generic[LabelT]):
    """A stream of H.264.

    Args:
        limits: what one packet, and one picture, may cost.
    """

    def __init__(self, limits: ImageLimits) -> None:
        self._limits = limits
        self._headers, self._continuity = Headers(), Continuity()
        self._codec: Any = None
        self._labels: dict[int, LabelT] = {}  # by the number of the packet
        self._number = 0
        self._stamp_ns: int | None = None
        self._intervals_ns: deque[int] = deque(maxlen=_INTERVALS)
        self._pts: int | None = None

    def take(
        self, encoding: str, data: Any, label: LabelT, stamp_ns: int, pts: int | None = None
    ) -> list[tuple[LabelT, NDArray[np.uint8]]]:
        """Decode the next packet.

        Args:
            encoding: as the message names it.
            data: buffer with the packet.
            label: comes back with the packet's picture.
            stamp_ns: of the message.
            pts: the packet's number, where it has one.

        Returns:
            The pictures that have come out, (height, width, 3) uint8 RGB, each with its packet's label: as a rule that
            of this packet; earlier ones where pictures are coded in another order than they are shown.

        Raises:
            InputError: ``lost_packets`` where some before this one are missing, ``awaits_keyframe`` for those that then
                cannot be decoded; ``no_video_decoder``, ``undecodable_image``, ``image_too_large``, ``empty_image``.
        """
        if not is_h264(encoding):
            raise damaged(f"video of {quoted(encoding)}, not H.264: set the camera's encoder to one of H.264")
        packet = np.frombuffer(data, np.uint8).data
        if not packet:
            raise InputError("empty_image", "no data")
        require_bytes(len(packet), self._limits.max_file_bytes, "images.max_file_bytes")
        try:
            self._require_continuity(self._headers.read(packet), stamp_ns, pts)
            return self._decode(bytes(packet), label)
        except InputError:
            self._continuity.interrupt()
            raise

    def _require_continuity(self, picture: Picture | None, stamp_ns: int, pts: int | None) -> None:
        interval_ns = None if self._stamp_ns is None else stamp_ns - self._stamp_ns
        usual_ns = median(self._intervals_ns) if len(self._intervals_ns) >= _LEAST else None
        is_late = interval_ns is not None and usual_ns is not None and interval_ns > _LONGER * usual_ns
        is_back = interval_ns is not None and interval_ns < 0
        if interval_ns is not None and not is_late and not is_back:
            self._intervals_ns.append(interval_ns)
        before, last_pts, self._pts = self._continuity.waits, self._pts, pts
        if not is_back or picture is None or picture.sequence.in_order:  # else shown earlier than one that came before
            self._stamp_ns = stamp_ns
        if picture is None:
            raise InputError("awaits_keyframe", "a packet before the first keyframe")
        require_pixels(picture.sequence.width, picture.sequence.height, self._limits)
        counted = pts is not None and last_pts is not None and picture.sequence.in_order
        # A whole group of pictures that is missing leaves no gap in their numbers.
        lost = pts != (last_pts or 0) + 1 if counted else is_late or (is_back and picture.sequence.in_order)
        if lost and not picture.is_key:
            self._continuity.interrupt()
        if self._continuity.follows(picture):
            if picture.is_key and (lost or before):
                self._restart()
            return
        if before:
            raise InputError("awaits_keyframe", "it cannot be decoded before the next keyframe has come")
        raise InputError("lost_packets", "packets before it are missing: nothing is decoded before the next keyframe")

    def _restart(self) -> None:
        self._labels.clear()
        if self._codec is not None:
            self._codec.flush_buffers()

    def _decode(self, packet: bytes, label: LabelT) -> list[tuple[LabelT, NDArray[np.uint8]]]:
        av = _library()
        if self._codec is None:
            self._codec = av.CodecContext.create("h264", "r")
            self._codec.thread_count = 1
            self._codec.options = {"max_pixels": str(max(self._limits.max_pixels, 256)), "flags": "low_delay"}
        self._labels[self._number] = label
        coded = av.Packet(packet)
        coded.pts = coded.dts = self._number
        self._number += 1
        while len(self._labels) > _MOST_WAITING:
            self._labels.pop(next(iter(self._labels)))
        try:
            frames = self._codec.decode(coded)
            if any(frame.is_corrupt for frame in frames):
                raise damaged("a packet of H.264 is damaged")
            shown = [(self._labels.pop(frame.pts, None), frame.to_ndarray(format="rgb24")) for frame in frames]
        except (av.FFmpegError, ValueError, MemoryError) as error:
            raise damaged(f"{len(packet)} bytes of H.264: {quoted(str(error), 200)}") from error
        return [(of, np.asarray(pixels, np.uint8)) for of, pixels in shown if of is not None]


def _library() -> Any:
    try:
        return importlib.import_module("av")
    except ImportError as error:
        raise InputError("no_video_decoder", f"H.264, and no decoder is installed: {INSTALL}") from error
