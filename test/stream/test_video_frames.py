"""Video on its way to windows: frames of packets, by their stamps; what is lost, counted; live and from a bag alike."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support import bags, replays
from support.builders import MS, stream_config
from support.videos import Packet, film, picture

from vjepa_ros.config.inputs import CAMERAS
from vjepa_ros.images.preprocess import Preprocess
from vjepa_ros.stream.frame import Frame
from vjepa_ros.stream.intake import Intake

TOPIC = "/camera"
T0_NS = 10**12


def message(packet: Packet, kind: str, place: int) -> Any:
    """A packet as one of the two types of messages; the place is that of its picture in time."""
    stamp_ns = T0_NS + place * 50 * MS
    header = SimpleNamespace(stamp=SimpleNamespace(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9), frame_id="eye")
    if kind == "ffmpeg":
        return SimpleNamespace(header=header, encoding="libx264", pts=packet.number, flags=1, data=packet.data)
    return SimpleNamespace(header=header, format="h264", data=packet.data)


class Seeing:
    """An intake, the frames that its stream was given, and what it reports."""

    def __init__(self, kind: str) -> None:
        self.kind, self.frames, self.told = kind, list[Frame](), list[tuple[str, str]]()
        self.intake = Intake(
            stream_config(), Preprocess("square", (16, 16)), lambda topic, why, _: self.told.append((topic, why))
        )
        add, frames = self.intake.stream.add_frame, self.frames

        def noted(stamp_ns: int, load: Any) -> Any:
            def kept() -> Frame:
                frames.append(load())
                return frames[-1]

            return add(stamp_ns, kept)

        self.intake.stream.add_frame = noted  # type: ignore[method-assign]

    def see(self, packets: list[Packet]) -> list[int]:
        """The places of the frames that come of packets."""
        take = self.intake.taker(CAMERAS["ffmpeg" if self.kind == "ffmpeg" else "compressed"])
        for packet in packets:
            take(TOPIC, message(packet, self.kind, packet.number), 0)
        return [(frame.stamp_ns - T0_NS) // (50 * MS) for frame in self.frames]


@pytest.mark.parametrize("kind", ["ffmpeg", "compressed"])
def test_each_picture_is_a_frame_with_the_stamp_of_its_packet(kind: str) -> None:
    seeing = Seeing(kind)
    assert seeing.see(film(24)) == list(range(24)) and seeing.told == []
    for number, frame in enumerate(seeing.frames):
        wanted = Preprocess("square", (16, 16))(picture(number))
        assert np.abs(frame.image - wanted).mean() < 0.15 and frame.frame_id == "eye"
    assert seeing.intake.counters.frames == 24


@pytest.mark.parametrize("kind", ["ffmpeg", "compressed"])
def test_what_is_lost_is_counted_and_a_late_start_waits(kind: str) -> None:
    seeing = Seeing(kind)
    packets = [one for one in film(30)[4:] if one.number != 12]
    assert seeing.see(packets) == [10, 11, *range(20, 30)]
    rejected = seeing.intake.counters.rejected
    assert rejected == {(TOPIC, "awaits_keyframe"): 6 + 6, (TOPIC, "lost_packets"): 1}
    assert seeing.told[0] == (TOPIC, "awaits_keyframe") and (TOPIC, "lost_packets") in seeing.told


def test_pictures_that_are_coded_later_than_shown_have_their_own_stamps() -> None:
    seeing = Seeing("ffmpeg")
    places = seeing.see(film(24, reordered=2))
    assert places == list(range(len(places))) and len(places) >= 21
    assert seeing.intake.counters.frames_out_of_order == 0 and not seeing.intake.counters.rejected


def test_a_bag_of_video_gives_the_windows_of_its_frames(tmp_path: Path) -> None:
    """The sample's pictures replaced by a film: the same windows as with pictures, whatever is in them."""
    whole = bags.sample()
    sample = [one for one in whole if one.received_ns < whole[0].received_ns + 3 * bags.S]
    seen = [one for one in sample if one.topic == bags.CAMERA]
    assert replays.run(bags.write(tmp_path / "jpeg", sample), "-o", tmp_path / "a", "--windows-only") == 0
    for one, packet in zip(seen, film(len(seen)), strict=True):
        one.data.format, one.data.data = "h264", np.frombuffer(packet.data, np.uint8)
    assert replays.run(bags.write(tmp_path / "video", sample), "-o", tmp_path / "b", "--windows-only") == 0
    jpeg, video = replays.report(tmp_path / "a"), replays.report(tmp_path / "b")
    assert jpeg["sha256"] == video["sha256"] and video["counts"]["windows"] > 0 and not video["counts"]["rejected"]
