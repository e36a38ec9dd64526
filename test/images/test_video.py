"""H.264, packet by packet: what is decoded is what was filmed, and what lacks a reference is never shown."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import videos
from support.videos import LIMITS, film, played

from vjepa_ros.config.limits import ImageLimits
from vjepa_ros.errors import ConfigError, InputError
from vjepa_ros.images import video
from vjepa_ros.images.h264 import Headers
from vjepa_ros.images.video import Video, is_h264


@pytest.mark.parametrize("with_pts", [False, True])
def test_a_film_is_what_was_filmed(with_pts: bool) -> None:
    assert played(film(30), with_pts=with_pts) == (list(range(30)), {})


def test_pictures_that_are_coded_in_another_order_come_with_their_own_stamps() -> None:
    numbers, refused = played(film(30, reordered=2))
    assert numbers == list(range(len(numbers))) and len(numbers) >= 27 and refused == {}


@pytest.mark.parametrize("with_pts", [False, True])
def test_after_a_loss_nothing_is_shown_before_the_next_keyframe(with_pts: bool) -> None:
    numbers, refused = played([one for one in film(30) if one.number != 13], with_pts=with_pts)
    assert numbers == [*range(13), *range(20, 30)]
    assert refused == {14: "lost_packets", **dict.fromkeys(range(15, 20), "awaits_keyframe")}


def test_who_comes_late_waits_for_a_keyframe() -> None:
    numbers, refused = played(film(30)[3:])
    assert numbers == list(range(10, 30)) and refused == dict.fromkeys(range(3, 10), "awaits_keyframe")


@pytest.mark.parametrize("with_pts", [False, True])
def test_a_group_that_is_missing_as_a_whole_is_missed(with_pts: bool) -> None:
    """The numbers in the stream go on as if nothing were missing: 14 follows 3 of its group."""
    numbers, refused = played([one for one in film(40) if not 4 <= one.number < 14], with_pts=with_pts)
    assert numbers == [0, 1, 2, 3, *range(20, 40)]
    assert refused[14] == "lost_packets"


def test_packets_that_come_twice_or_in_another_order_are_none_to_build_on() -> None:
    packets = [*film(20)]
    packets[4], packets[5] = packets[5], packets[4]
    numbers, _ = played(packets)
    assert numbers == [*range(4), *range(10, 20)]
    numbers, _ = played([*film(20)[:6], film(20)[5], *film(20)[6:]])
    assert numbers == [*range(6), *range(10, 20)]


@settings(max_examples=25, deadline=None)
@given(st.sets(st.integers(0, 39)), st.booleans(), st.sampled_from([0, 2]))
def test_whatever_is_lost_no_wrong_picture_is_shown(lost: set[int], with_pts: bool, reordered: int) -> None:
    played([one for place, one in enumerate(film(40, 8, reordered)) if place not in lost], with_pts=with_pts)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 200), st.integers(0, 255))
def test_strangers_bytes_are_refused_in_words(extra: bytes, place: int, value: int) -> None:
    for data in (b"\0\0\1" + extra, _changed(film(40)[0].data, place, value)):
        for _, came in Video[int](LIMITS).take("h264", data, 0, 0):
            assert not isinstance(came, InputError) or (
                came.reason in ("undecodable_image", "awaits_keyframe", "image_too_large") and "\n" not in came.detail
            )


def _changed(data: bytes, place: int, value: int) -> bytes:
    place %= len(data)
    return data[:place] + bytes([value]) + data[place + 1 :]


def test_what_is_no_h264_and_what_is_too_large() -> None:
    def reason(encoding: str, data: bytes, limits: ImageLimits = LIMITS) -> InputError:
        [(_, refused)] = Video[int](limits).take(encoding, data, 0, 0)
        assert isinstance(refused, InputError)
        return refused

    key = film(1)[0].data
    assert "not H.264" in reason("hevc_nvenc", key).detail and reason("h264", b"").reason == "empty_image"
    assert "Annex B" in reason("h264", b"\xff\xd8\xff\xe0").detail
    small = ImageLimits(**{**vars(LIMITS), "max_pixels": videos.WIDTH * videos.HEIGHT - 1})
    assert reason("h264", key, small).reason == "image_too_large"
    assert reason("h264", key, ImageLimits(**{**vars(LIMITS), "max_file_bytes": 10})).reason == "image_too_large"


def test_what_headers_say() -> None:
    headers, packets = Headers(), film(40)
    first = headers.read(memoryview(packets[0].data))
    assert first is not None and first.is_key and first.is_reference and first.number == 0
    assert (first.sequence.width, first.sequence.height, first.sequence.in_order) == (64, 48, True)
    numbers = [headers.read(memoryview(packet.data)).number for packet in packets[1:8]]
    assert numbers == list(range(1, 8))
    assert Headers().read(memoryview(packets[1].data)) is None, "its parameter sets have not come"


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("h264", True), ("libx264", True), ("h264_nvenc", True), ("h264;yuv420p;bgr8;bgr8", True), ("H264", True),
     ("hevc_nvenc", False), ("jpeg", False), ("rgb8; jpeg compressed bgr8", False), ("", False)],
)  # fmt: skip
def test_names_of_h264(name: str, is_one: bool) -> None:
    assert is_h264(name) == is_one


def test_without_a_decoder_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    data = film(1)[0].data
    monkeypatch.setitem(sys.modules, "av", None)
    [(_, said)] = Video[int](LIMITS).take("h264", data, 0, 0)
    assert isinstance(said, InputError) and said.reason == "no_video_decoder"
    assert "no decoder is installed: install PyAV: pip install 'vjepa_ros[video]'" in said.detail
    monkeypatch.setattr(video.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match=r"image_transport.*install PyAV"):
        video.require_decoder("image_transport")
