"""Which frames are sampled, held against lists made by hand, and what a stamp out of order means."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import pytest
from support.builders import MS

from vjepa_ros.stream.sampler import Order, Sampler

S = 1000 * MS


@dataclass(frozen=True)
class Shot:
    """The least that can be sampled."""

    stamp_ns: int


def sampled(sampler: Sampler[Shot], stamps_ns: list[int]) -> list[list[int]]:
    """For each frame the stamps of those that its arrival decided."""
    return [[shot.stamp_ns for shot in sampler.take(Shot(stamp_ns))] for stamp_ns in stamps_ns]


def test_rate_0_takes_every_frame() -> None:
    stamps_ns = [5, 6, 40 * MS, 7 * S, 7 * S + 1]  # a gap among them
    assert sampled(Sampler(0.0, S, S), stamps_ns) == [[stamp_ns] for stamp_ns in stamps_ns]


def test_from_30_to_4_hz() -> None:
    camera_ns = [1000 * S + round(n * S / 30) for n in range(68)]
    decided = sampled(Sampler(4.0, round(0.625 * S), S), camera_ns)
    # 250 ms lies midway between the frames 7 (233.3) and 8 (266.7): the earlier one; 500 ms is frame 15; and so on
    assert [camera_ns.index(stamp_ns) for stamps in decided for stamp_ns in stamps] == [
        0,
        7,
        15,
        22,
        30,
        37,
        45,
        52,
        60,
    ]
    assert [place for place, stamps in enumerate(decided) if stamps] == [0, 8, 15, 23, 30, 38, 45, 53, 60]


@pytest.mark.parametrize(("later_ms", "nearest_ms"), [(139, 139), (140, 60), (141, 60)])
def test_a_tie_takes_the_earlier_frame(later_ms: int, nearest_ms: int) -> None:
    decided = sampled(Sampler(10.0, S, S), [0, 60 * MS, later_ms * MS])  # tick 1 is at 100 ms
    assert decided == [[0], [], [nearest_ms * MS]]


def test_a_frame_may_serve_two_ticks() -> None:
    decided = sampled(Sampler(15.0, S, S), [0, 100 * MS, 200 * MS, 300 * MS, 400 * MS])
    # ticks at 0, 66.7, 133.3, 200, 266.7, 333.3, 400 ms
    in_ms = [[stamp_ns // MS for stamp_ns in stamps] for stamps in decided]
    assert in_ms == [[0], [100], [100, 200], [300], [300, 400]]


@pytest.mark.parametrize("rate", ["29.97", "30.0003"])
def test_ticks_do_not_drift_in_a_day(rate: str) -> None:
    t0_ns, day_ns = 1_700_000_000 * S + 123_456_789, 86_400 * S

    def tick_ns(number: int) -> int:
        return t0_ns + round(Fraction(number * S) / Fraction(rate))  # no floats in it

    sampler: Sampler[Shot] = Sampler(float(rate), 2 * day_ns, S)
    evening = int(day_ns * Fraction(rate) / S)  # number of a tick about a day later
    sampler.take(Shot(t0_ns))
    assert len(sampler.take(Shot(tick_ns(evening) + 1))) == evening  # ticks 1 to that one
    for number in range(evening + 1, evening + 50):
        # Floats may put a tick one nanosecond beside the exact one, no further.
        assert sampler.take(Shot(tick_ns(number) - 9)) == []
        assert sampler.take(Shot(tick_ns(number) + 1)) == [Shot(tick_ns(number) + 1)]


def test_a_gap_restarts_the_ticks_at_the_later_frame() -> None:
    sampler: Sampler[Shot] = Sampler(20.0, 100 * MS, S)
    assert sampled(sampler, [0, 40 * MS, 90 * MS]) == [[0], [], [40 * MS]]  # tick 2 (100 ms) is still open
    later_ns = 90 * MS + 100 * MS + 1
    assert sampler.order(later_ns - 1) is Order.NEXT
    assert sampler.order(later_ns) is Order.GAP
    assert sampled(sampler, [later_ns]) == [[later_ns]]  # nothing for the ticks in the gap
    near_ns, tick_ns = later_ns + 30 * MS, later_ns + 50 * MS
    assert sampled(sampler, [near_ns, tick_ns]) == [[], [tick_ns]]


def test_order_of_stamps() -> None:
    sampler: Sampler[Shot] = Sampler(0.0, 500 * MS, 200 * MS)
    before_the_first = sampler.newest_ns
    assert before_the_first is None
    assert sampler.order(0) is Order.FIRST
    sampler.take(Shot(10 * S))
    assert sampler.newest_ns == 10 * S
    assert sampler.order(10 * S + 1) is Order.NEXT
    assert sampler.order(10 * S) is Order.OUT_OF_ORDER  # the newest once more
    assert sampler.order(10 * S - 200 * MS + 1) is Order.OUT_OF_ORDER
    assert sampler.order(10 * S - 200 * MS) is Order.JUMP_BACK
    assert sampler.order(0) is Order.JUMP_BACK
    assert sampler.newest_ns == 10 * S  # asking changes nothing
    sampler.reset()
    assert sampler.order(0) is Order.FIRST
