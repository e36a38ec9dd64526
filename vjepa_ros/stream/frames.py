"""From a camera's messages to frames of the window stream: stamps, decoding, preprocessing; of images, and of video.

It reads objects with the fields of ROS messages, and knows no joints.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.config.limits import MessageLimits
from vjepa_ros.errors import InputError
from vjepa_ros.images.video import is_h264
from vjepa_ros.stream.bounds import check_frame_id
from vjepa_ros.stream.common_clock import CommonClock
from vjepa_ros.stream.frame import Frame
from vjepa_ros.stream.pictures import Decode, Pictures
from vjepa_ros.stream.watch import Watch
from vjepa_ros.stream.window import Window
from vjepa_ros.stream.window_stream import WindowStream

Report = Callable[[str, str, str], None]
"""(topic, reason, detail)"""
_Stamped = tuple[int, int, str]  # stamp in ns, by how much it was moved, and the coordinate frame


class Frames:
    """Feeds images into a window stream.

    Each method takes a message and the time it was received, in nanoseconds, and returns the windows it completed.

    Args:
        stream: takes the frames.
        clock, watch: of all that comes.
        pictures: decodes and preprocesses.
        limits: what one message may cost.
        report: told of images that are damaged and used all the same.
        reject: told (topic, why) of a message that cannot be used.
    """

    def __init__(
        self, stream: WindowStream, clock: CommonClock, watch: Watch, pictures: Pictures, limits: MessageLimits,
        report: Report, reject: Callable[[str, InputError], None],
    ) -> None:  # fmt: skip
        self._stream, self._clock, self._watch, self._pictures = stream, clock, watch, pictures
        self._limits, self._report, self._reject = limits, report, reject
        self._video = pictures.video()

    def image(self, topic: str, message: Any, received_ns: int) -> list[Window]:
        """Take in a sensor_msgs/Image."""
        stamped = self._stamped(topic, message, received_ns)
        return [] if stamped is None else self._add(topic, *stamped, message.encoding, self._pictures.raw, message)

    def compressed_image(self, topic: str, message: Any, received_ns: int) -> list[Window]:
        """Take in a sensor_msgs/CompressedImage: a JPEG or PNG file, or a packet of H.264."""
        if is_h264(message.format):
            return self._packet(topic, message, received_ns, message.format, None)
        stamped = self._stamped(topic, message, received_ns)

        def decode(seen: Any) -> NDArray[np.uint8]:
            return self._pictures.compressed(seen, lambda detail: self._report(topic, "damaged_image", detail))

        return [] if stamped is None else self._add(topic, *stamped, message.format, decode, message)

    def video_packet(self, topic: str, message: Any, received_ns: int) -> list[Window]:
        """Take in an ffmpeg_image_transport_msgs/FFMPEGPacket."""
        return self._packet(topic, message, received_ns, message.encoding, int(message.pts))

    def _stamped(self, topic: str, message: Any, received_ns: int) -> _Stamped | None:
        """None where it was rejected."""
        try:
            check_frame_id(message, self._limits)
            stamp_ns, offset_ns = self._clock.stamp_ns("image", topic, message, received_ns, self._stream.epoch)
        except InputError as error:
            self._reject(topic, error)
            return None
        return stamp_ns, offset_ns, message.header.frame_id

    def _packet(self, topic: str, message: Any, received_ns: int, encoding: str, pts: int | None) -> list[Window]:
        """A packet of video: it is decoded whatever becomes of its picture, since later ones refer to it."""
        stamped = self._stamped(topic, message, received_ns)
        windows: list[Window] = []
        if stamped is None:
            return windows
        for (of_ns, by_ns, frame_id), came in self._video.take(encoding, message.data, stamped, stamped[0], pts):
            if isinstance(came, InputError):
                self._reject(topic, came)
            else:
                windows += self._add(topic, of_ns, by_ns, frame_id, "h264", lambda pixels: pixels, came)
        return windows

    def _add(
        self, topic: str, stamp_ns: int, offset_ns: int, frame_id: str, encoding: str, decode: Decode, seen: Any
    ) -> list[Window]:
        """Add a frame; what was seen is decoded where it is in order."""
        self._watch.frame(topic, frame_id)
        counters = self._stream.counters
        epoch, newest_ns, dropped = self._stream.epoch, self._stream.newest_frame_ns, counters.frames_out_of_order

        def noted(seen: Any) -> NDArray[np.uint8]:
            pixels = decode(seen)
            self._watch.picture(topic, encoding, pixels.shape[0], pixels.shape[1])
            return pixels

        def load() -> Frame:
            return Frame(stamp_ns, frame_id, self._pictures.prepared(noted, seen), offset_ns)

        try:
            windows = self._stream.add_frame(stamp_ns, load)
        except InputError as error:
            self._reject(topic, error)
            return []
        if counters.frames_out_of_order > dropped:
            self._watch.dropped(topic)
        if self._stream.epoch != epoch and newest_ns is not None:
            self._watch.jumped(topic, newest_ns - offset_ns, stamp_ns - offset_ns)
        return windows
