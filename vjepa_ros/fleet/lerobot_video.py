"""A video whose frame k stands at second k, at another rate: copied packet by packet, nothing is encoded anew."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import av.error

from vjepa_ros import files
from vjepa_ros.errors import BagError, place

_TICKS = "90000"  # of the file per second; what is rounded to them is off by less than anybody looks for
_MOST_DENOMINATOR = 1001


def at_rate(source: Path, target: Path, fps: float) -> None:
    """Write the frames of a video, frame k at k/fps s.

    Raises:
        BagError: for a source that cannot be read.
        OSError: where the disk is full or fails; it names the target.
    """
    period = 1 / Fraction(fps).limit_denominator(_MOST_DENOMINATOR)
    with files.naming(target), target.open("wb") as file:
        try:
            with (
                av.open(str(source)) as read,
                av.open(file, "w", format="mp4", options={"video_track_timescale": _TICKS}) as written,
            ):
                stream = read.streams.video[0]
                copied = written.add_stream_from_template(stream)
                for packet in read.demux(stream):
                    if packet.pts is None or stream.time_base is None:
                        continue
                    number = round(packet.pts * stream.time_base)
                    packet.time_base = period
                    packet.pts = packet.dts = number
                    packet.duration = 1
                    packet.stream = copied
                    written.mux(packet)
        except (av.error.InvalidDataError, av.error.EOFError, av.error.FileNotFoundError) as error:
            raise BagError(f"{place(source)}: is no whole video ({error})") from error
