"""H.264 whose gaps only numbers and stamps tell: whole groups, from the first packet on, and where the rate changes."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.videos import LIMITS, Packet, film, played

from vjepa_ros.errors import InputError
from vjepa_ros.images import h264, video
from vjepa_ros.images.gaps import Gaps
from vjepa_ros.images.h264 import Headers, Picture, Sequence
from vjepa_ros.images.video import Video

GROUPS, REORDERED = (2, 5, 8), 2
IN_ORDER, FREE = Sequence(64, 48, 4, False, True), Sequence(64, 48, 4, False, False, order_bits=6)
MS = 10**6


def parts(packet: Packet) -> tuple[bytes, bytes]:
    """The parameter sets (and what else comes before the picture) of a keyframe's packet, and its picture."""
    starts = [match for match in re.finditer(rb"\x00?\x00\x00\x01", packet.data) if packet.data[match.end()] & 31 == 5]
    return packet.data[: starts[0].start()], packet.data[starts[0].start() :]


@pytest.mark.parametrize(("group", "lost"), [(8, range(2, 10)), (2, (1, 2)), (8, range(1, 17)), (5, range(3, 8))])
def test_a_group_that_is_missing_early_is_missed(group: int, lost: Any) -> None:
    """Nothing is known yet of the pace: what comes after waits until it is."""
    numbers, refused = played([one for one in film(40, group) if one.number not in lost])
    following = (max(lost) // group + 1) * group
    assert numbers == [*range(min(lost)), *range(following, 40)]
    assert refused[max(lost) + 1] == "lost_packets" and set(refused) == set(range(max(lost) + 1, following))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 39), st.integers(1, 20)), min_size=1, max_size=2),
    st.booleans(),
    st.sampled_from([*((group, 0) for group in GROUPS), (8, REORDERED)]),
)
def test_whatever_runs_are_lost_no_wrong_picture_is_shown(
    runs: list[tuple[int, int]], with_pts: bool, coded: tuple[int, int]
) -> None:
    lost = {place for first, count in runs for place in range(first, first + count)}
    played([one for place, one in enumerate(film(40, *coded)) if place not in lost], with_pts=with_pts)


@pytest.mark.parametrize("with_pts", [False, True])
def test_whichever_whole_group_is_lost(with_pts: bool) -> None:
    for group in GROUPS:
        for first in range(1, group + 1):
            lost = range(first, first + group)
            played([one for one in film(40, group) if one.number not in lost], with_pts=with_pts)


@pytest.mark.parametrize("later_ms", [100, 10])
def test_a_camera_may_change_its_rate(later_ms: int) -> None:
    packets = film(55, group=25)
    numbers, refused = played(packets, stamp_ns=lambda n: (33 * min(n, 10) + later_ms * max(n - 10, 0)) * MS)
    if later_ms < 33:
        assert numbers == list(range(55)) and refused == {}
    else:
        assert numbers == [*range(11), *range(25, 55)], "one group, until the new pace is the usual one"


def test_numbers_count_also_where_pictures_could_be_shown_in_another_order() -> None:
    """A place in that order is two more for the next picture, or one, as encoders have it."""
    for per_picture in (1, 2):
        gaps, steps = Gaps(), []
        for number, place in enumerate([0, 1, 2, 3, 6, 4, 5, 7, 15]):  # the last one is of the group after the next
            picture = Picture(place == 0, True, number, FREE, per_picture * (place - 7 * (place == 15)) % 64)
            steps.append((picture, gaps.add(picture, MS * (33 * place + (place > 3) * 1000), place)))
        assert [gaps.is_loss(*one) for one in steps] == [False] * 8 + [True], "by the numbers, not by the stamps"


@pytest.mark.parametrize("with_pts", [False, True])
def test_a_loss_and_another_rate_where_pictures_come_in_another_order(with_pts: bool) -> None:
    packets = film(40, 8, REORDERED)
    numbers, refused = played([one for at, one in enumerate(packets) if not 2 <= at < 10], with_pts=with_pts)
    assert {*range(16, 37)} <= {*numbers} <= {0, 3, *range(16, 40)}
    assert "lost_packets" in refused.values()
    numbers, _ = played(packets, with_pts=with_pts, stamp_ns=lambda n: (33 * min(n, 10) + 100 * max(n - 10, 0)) * MS)
    assert {*numbers} >= ({*range(37)} if with_pts else {*range(7), *range(16, 37)})


def test_a_keyframe_alone_that_is_lost_after_another() -> None:
    """Two intervals are a gap there, but not with a camera that is never even."""
    for stamps, is_gap in (([0, 33, 66, 99, 132, 165, 231], True), ([0, 33, 99, 132, 198, 231, 297], False)):
        gaps = Gaps()
        for at in stamps:
            step = gaps.add(Picture(False, True, 1, IN_ORDER), at * MS, None)
        assert gaps.is_loss(Picture(False, True, 1, IN_ORDER), step) == is_gap
        assert not gaps.is_loss(Picture(False, True, 2, IN_ORDER), step)


def test_what_waits_is_bounded() -> None:
    """Stamps that stand still tell nothing: what cannot be judged is refused."""
    numbers, refused = played(film(60, group=50), stamp_ns=lambda _: 0)
    assert numbers == [0, 50] and refused[1] == "lost_packets" and set(refused) == set(range(1, 50))


def test_parameter_sets_in_a_packet_of_their_own_and_only_once() -> None:
    films = film(30)
    sets, _ = parts(films[0])
    alone = [one._replace(data=parts(one)[1]) if one.is_key else one for one in films]
    for with_pts in (False, True):
        stream = [Packet(sets, -1, is_key=False), *(one for one in alone if one.number != 13)]
        numbers, refused = played(stream, with_pts=with_pts)
        assert numbers == [*range(13), *range(20, 30)] and set(refused) == set(range(14, 20))
    assert Headers().read(memoryview(sets)) is None and not h264.has_slices(memoryview(sets))
    assert h264.has_slices(memoryview(films[1].data))


@pytest.mark.parametrize("numbered_apart", [False, True])
def test_packets_without_a_picture_are_none_that_is_missing(numbered_apart: bool) -> None:
    decoder: Video[int] = Video(LIMITS)
    came = []
    for one in film(20):
        pts = one.number + (numbered_apart and one.number >= 6)
        if one.number == 6:
            for data in (b"\0\0\0\1\x09\xf0", parts(film(1)[0])[0]):
                assert decoder.take("h264", data, -1, 6 * 33 * MS, 6) == []
        came += decoder.take("h264", one.data, one.number, one.number * 33 * MS, pts)
    assert [label for label, pixels in came if not isinstance(pixels, InputError)] == list(range(20))


def test_a_parameter_set_that_is_too_long_is_refused() -> None:
    sets, picture = parts(film(1)[0])
    [(_, refused)] = Video[int](LIMITS).take(
        "h264", sets[:-1] + b"\1" + b"\0\0\0\1\x68" + b"\xff" * 1000 + picture, 0, 0
    )
    assert isinstance(refused, InputError) and "more than 1,000 bytes" in refused.detail


def test_after_any_mistake_nothing_is_shown_before_the_next_keyframe(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder: Video[int] = Video(LIMITS)
    library, numbers, refused = video._library, [], []
    for one in film(40):
        if one.number == 13:
            continue
        with monkeypatch.context() as m:
            if one.number in (4, 20):  # a picture, and a keyframe after a loss
                m.setattr(video, "_library", lambda: library().NoSuchThing)
            try:
                came = decoder.take("h264", one.data, one.number, one.number * 33 * MS, one.number)
            except AttributeError:
                refused.append(one.number)
                continue
        numbers += [label for label, pixels in came if not isinstance(pixels, InputError)]
    assert refused == [4, 20] and numbers == [0, 1, 2, 3, 10, 11, 12, *range(30, 40)]
