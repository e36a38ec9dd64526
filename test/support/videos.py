"""Short films of H.264, encoded by PyAV: packets in the order in which they are sent, and the pictures in them.

:func:`played` is what the package shows of them. PyAV is looked for only where a film is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import cache
from typing import NamedTuple

import numpy as np

from vjepa_ros.config.limits import ImageLimits
from vjepa_ros.errors import InputError
from vjepa_ros.images.video import Video

HEIGHT, WIDTH = 48, 64
LIMITS = ImageLimits(**dict.fromkeys(ImageLimits.__dataclass_fields__, 10**7))
PERIOD_NS = 33_000_000
CODING = 6.0  # grey levels, of a picture that is coded with loss


class Packet(NamedTuple):
    """A packet of a film.

    Attributes:
        data: its bytes.
        number: of the picture in it, in the order in which they are shown.
        is_key: whether it needs no other one.
    """

    data: bytes
    number: int
    is_key: bool


def picture(number: int) -> np.ndarray:
    """(HEIGHT, WIDTH, 3) uint8, each of another grey, so that no picture passes for another."""
    shades = np.full((HEIGHT, WIDTH, 3), 20 + 5 * (number % 40), np.uint8)
    shades[:, : 1 + number % WIDTH] = 250
    return shades


@cache
def film(count: int, group: int = 10, reordered: int = 0) -> tuple[Packet, ...]:
    """A film of pictures 0 to count - 1.

    Args:
        count: of them.
        group: from one keyframe to the next.
        reordered: pictures, between two others, that are coded after the later one.
    """
    import av

    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    codec.time_base, codec.framerate, codec.gop_size = Fraction(1, 30), Fraction(30, 1), group
    codec.max_b_frames, codec.thread_count = reordered, 1
    tune = {} if reordered else {"tune": "zerolatency"}
    codec.options = {"preset": "ultrafast", "x264-params": "scenecut=0:qp=12", **tune}
    packets = []
    for number in range(count):
        frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
        frame.pts = number
        packets += codec.encode(frame)
    packets += codec.encode(None)
    return tuple(Packet(bytes(packet), int(packet.pts), packet.is_keyframe) for packet in packets)


def shown(pixels: np.ndarray) -> int:
    """Which picture this is, of the first 40: by its grey."""
    return round((float(np.median(pixels[:, -8:])) - 20) / 5)


def played(
    packets: Iterable[Packet], *, with_pts: bool = False, stamp_ns: Callable[[int], int] = lambda n: n * PERIOD_NS
) -> tuple[list[int], dict[int, str]]:
    """What a decoder shows of packets, which picture each label came with; and what it refuses, by label."""
    decoder: Video[int] = Video(LIMITS)
    numbers, refused = [], {}
    for packet in packets:
        pts = packet.number if with_pts else None
        for label, came in decoder.take("h264", packet.data, packet.number, stamp_ns(packet.number), pts):
            if isinstance(came, InputError):
                refused[label] = came.reason
                continue
            numbers.append(label)
            assert np.abs(came.astype(int) - picture(label)).mean() < CODING, "another picture"
            assert shown(came) == label % 40
    return numbers, refused
