"""H.264 video, packet by packet, to RGB: every packet in its order, and no picture that lacks one it refers to.

PyAV decodes; where it is not installed a sentence says what to install. After a loss, and for who comes late, nothing
is decoded before the next keyframe. It knows no topics.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.config.limits import ImageLimits
from vjepa_ros.errors import ConfigError, InputError, quoted
from vjepa_ros.images.gaps import Gaps, Step
from vjepa_ros.images.h264 import Continuity, Headers, Picture, has_slices
from vjepa_ros.images.sizes import damaged, require_bytes, require_pixels

LabelT = TypeVar("LabelT")

INSTALL = "install PyAV: pip install 'vjepa_ros[video]'"
_NAMES = ("h264", "libx264", "avc", "avc1")
_BEGINNING = "h264_"  # of encoders that use hardware: h264_nvenc, h264_vaapi
_MOST_HELD = 32  # packets that wait until one can tell whether some before them are missing
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


@dataclass(frozen=True)
class _Packet(Generic[LabelT]):
    """A packet in the queue: its picture's headers, or what is wrong with it, and the parameter sets known with it."""

    label: LabelT
    data: bytes = b""
    picture: Picture | None = None
    step: Step = Step(None, None, None)
    sets: bytes = b""
    error: InputError | None = None


class Video(Generic[LabelT]):
    """A stream of H.264.

    Args:
        limits: what one packet, and one picture, may cost.
    """

    def __init__(self, limits: ImageLimits) -> None:
        self._limits = limits
        self._headers, self._continuity, self._gaps = Headers(), Continuity(), Gaps()
        self._waiting: deque[_Packet[LabelT]] = deque()
        self._codec: Any = None
        self._sent = b""  # parameter sets that the codec has
        self._labels: dict[int, LabelT] = {}  # by the number of the packet
        self._number = 0

    def take(
        self, encoding: str, data: Any, label: LabelT, stamp_ns: int, pts: int | None = None
    ) -> list[tuple[LabelT, NDArray[np.uint8] | InputError]]:
        """Decode the next packet.

        At the beginning of a stream nobody can tell yet whether packets are missing: those after the keyframe wait
        for some more, and are then taken together.

        Args:
            encoding: as the message names it.
            data: buffer with the packet.
            label: comes back with what has come of the packet.
            stamp_ns: of the message.
            pts: the packet's number, where it has one.

        Returns:
            What has come of packets, each with its label: the picture, (height, width, 3) uint8 RGB, or why there is
            none. As a rule that of this packet; earlier ones where they had to wait, or where pictures are coded in
            another order than they are shown. Nothing comes of packets without any of a picture. Reasons are
            ``lost_packets`` where some before one are missing, ``awaits_keyframe`` for those that then cannot be
            decoded; ``no_video_decoder``, ``undecodable_image``, ``image_too_large``, ``empty_image``.
        """
        came: list[tuple[LabelT, NDArray[np.uint8] | InputError]] = []
        try:
            packet = self._read(encoding, data, label, stamp_ns, pts)
            if packet is not None:
                self._waiting.append(packet)
            while self._waiting and self._is_next(self._waiting[0]):
                came += self._come_of(self._waiting.popleft())
        except BaseException:  # whatever it was: the codec has not seen what was in this packet
            self._continuity.interrupt()
            self._waiting.clear()
            raise
        return came

    def _read(self, encoding: str, data: Any, label: LabelT, stamp_ns: int, pts: int | None) -> _Packet[LabelT] | None:
        try:
            if not is_h264(encoding):
                raise damaged(f"video of {quoted(encoding)}, not H.264: set the camera's encoder to one of H.264")
            packet = np.frombuffer(data, np.uint8).data
            if not packet:
                raise InputError("empty_image", "no data")
            require_bytes(len(packet), self._limits.max_file_bytes, "images.max_file_bytes")
            picture = self._headers.read(packet)
            if picture is None and not has_slices(packet):
                self._gaps.skip(pts)
                return None  # its parameter sets go to the codec with the next picture
        except InputError as error:
            return _Packet(label, error=error)
        step = self._gaps.add(picture, stamp_ns, pts)
        return _Packet(label, bytes(packet), picture, step, self._headers.sets)

    def _is_next(self, packet: _Packet[LabelT]) -> bool:
        """Whether it is known what to do with a packet, or too many wait for that."""
        if self._continuity.waits or packet.picture is None or packet.picture.is_key:
            return True
        if self._gaps.can_tell(packet.picture, packet.step) or len(self._waiting) > _MOST_HELD:
            return True
        return sum(len(one.data) for one in self._waiting) > self._limits.max_file_bytes

    def _come_of(self, packet: _Packet[LabelT]) -> Iterable[tuple[LabelT, NDArray[np.uint8] | InputError]]:
        try:
            if packet.error is not None:
                raise packet.error
            self._require_continuity(packet)
            return self._decode(packet)
        except InputError as error:
            self._continuity.interrupt()
            return [(packet.label, error)]

    def _require_continuity(self, packet: _Packet[LabelT]) -> None:
        picture, before = packet.picture, self._continuity.waits
        if picture is None:
            raise InputError("awaits_keyframe", "a packet before the first keyframe")
        require_pixels(picture.sequence.width, picture.sequence.height, self._limits)
        is_loss = self._gaps.is_loss(picture, packet.step)
        if is_loss and not picture.is_key:
            self._continuity.interrupt()
        if self._continuity.follows(picture):
            if picture.is_key and (is_loss or before):
                self._restart()
            return
        if before:
            raise InputError("awaits_keyframe", "it cannot be decoded before the next keyframe has come")
        raise InputError("lost_packets", "packets before it are missing: nothing is decoded before the next keyframe")

    def _restart(self) -> None:
        self._labels.clear()
        self._codec, self._sent = None, b""

    def _decode(self, packet: _Packet[LabelT]) -> list[tuple[LabelT, NDArray[np.uint8]]]:
        av = _library()
        if self._codec is None:
            self._codec = av.CodecContext.create("h264", "r")
            self._codec.thread_count = 1
            self._codec.options = {"max_pixels": str(max(self._limits.max_pixels, 256)), "flags": "low_delay"}
        self._labels[self._number] = packet.label
        # A stream may send its parameter sets once, or in packets of their own.
        coded = av.Packet(packet.data if packet.sets is self._sent else packet.sets + packet.data)
        self._sent = packet.sets
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
            raise damaged(f"{len(packet.data)} bytes of H.264: {quoted(str(error), 200)}") from error
        return [(of, np.asarray(pixels, np.uint8)) for of, pixels in shown if of is not None]


def _library() -> Any:
    try:
        return importlib.import_module("av")
    except ImportError as error:
        raise InputError("no_video_decoder", f"H.264, and no decoder is installed: {INSTALL}") from error
