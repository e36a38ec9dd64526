"""Joint values in the order of their stamps: what is kept, what is forgotten, and what a step gets."""

from __future__ import annotations

import numpy as np
from support.builders import MS, vector

from vjepa_ros.stream.signal import Signal

S = 1000 * MS


def signal(*stamps_ns: int) -> Signal:
    """A signal with these stamps, in this order of arrival; each value is its stamp."""
    result = Signal(jump_back_ns=S)
    for stamp_ns in stamps_ns:
        assert result.insert(stamp_ns, vector(stamp_ns))
    return result


def stamps(kept: Signal) -> list[int]:
    """All stamps that a signal holds, found by asking for each of them."""
    found: list[int] = []
    time_ns = kept.newest_ns
    while time_ns is not None and (at := kept.at(time_ns)) is not None:
        found.insert(0, at[0])
        time_ns = at[0] - 1
    return found


def test_the_newest_value_at_or_before_a_time_counts() -> None:
    shuffled = signal(30, 10, 20)
    assert shuffled.at(9) is None
    for time_ns, stamp_ns in ((10, 10), (19, 10), (20, 20), (29, 20), (30, 30), (10**18, 30)):
        found = shuffled.at(time_ns)
        assert found is not None
        assert found[0] == stamp_ns
        np.testing.assert_array_equal(found[1], vector(stamp_ns))
    assert shuffled.newest_ns == 30


def test_of_equal_stamps_the_last_to_arrive_counts_and_repetitions_do_not() -> None:
    kept = signal(10)
    assert kept.insert(10, vector(5))
    assert not kept.insert(10, vector(5))
    found = kept.at(10)
    assert found is not None
    np.testing.assert_array_equal(found[1], vector(5))
    assert len(kept) == 2


def test_what_is_in_force_is_not_forgotten() -> None:
    kept = signal(10, 20, 30, 40)
    kept.forget_before(30)
    assert stamps(kept) == [30, 40]
    kept.forget_before(39)
    assert stamps(kept) == [30, 40]
    kept.forget_before(10**18)
    assert stamps(kept) == [40]
    kept.forget_before(0)
    assert stamps(kept) == [40]


def test_what_is_stamped_after_a_time_can_be_forgotten() -> None:
    kept = signal(10, 20, 30)
    kept.forget_after(20)
    assert stamps(kept) == [10, 20]
    kept.forget_after(9)
    assert stamps(kept) == []
    assert kept.newest_ns is None


def test_a_new_epoch_keeps_what_came_since_the_jump() -> None:
    kept = signal(100 * S, 101 * S)
    assert not kept.jumps_back(100 * S + 1)
    assert kept.jumps_back(100 * S)
    kept.insert(50 * S, vector(1))
    kept.insert(50 * S + 5, vector(2))
    kept.insert(50 * S - 5, vector(3))  # out of order, but of the new time
    before = kept.awaits_reset
    kept.start_epoch()
    assert stamps(kept) == [50 * S - 5, 50 * S, 50 * S + 5]
    assert (before, kept.awaits_reset) == (True, False)
    kept.start_epoch()  # nothing has jumped since
    assert stamps(kept) == []


def test_a_repetition_belongs_to_the_new_epoch() -> None:
    looped = signal(10 * S, 11 * S, 12 * S)
    assert not looped.insert(10 * S, vector(10 * S))  # a bag that plays in a loop
    looped.start_epoch()
    assert stamps(looped) == [10 * S]


def test_one_straggler_is_not_a_jump_of_time() -> None:
    kept = signal(10 * S, 8 * S)
    before = kept.awaits_reset
    kept.insert(10 * S + 1, vector(0))
    assert (before, kept.awaits_reset) == (True, False)
    kept.start_epoch()
    assert len(kept) == 0
