"""Gaps, resets and jumps of time (rules 2 and 3): no window spans them, and nothing of the old time stands in."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from support.builders import MS, PERIOD_MS, every, feed, firsts_ms, frame, joints, numbers, stream_config, vector

from vjepa_ros.stream.frame import Frame
from vjepa_ros.stream.window_stream import WindowStream

S = 1000 * MS
FOREVER_S = 1e6


def test_no_window_spans_a_gap() -> None:
    stream = WindowStream(stream_config(max_gap_s=0.12))
    second_ms = 15 * PERIOD_MS - PERIOD_MS + 121
    windows = feed(stream, joints(80) + every(PERIOD_MS, 15) + every(PERIOD_MS, 19, start_ms=second_ms))
    assert firsts_ms(windows) == [second_ms, second_ms + 100]
    assert stream.counters.gaps == 1
    assert (stream.epoch, stream.counters.resets) == (0, 0)
    assert [window.number for window in windows] == [0, 1]


def test_a_distance_of_exactly_the_largest_gap_is_none() -> None:
    stream = WindowStream(stream_config(max_gap_s=0.12))
    windows = feed(stream, joints(80) + every(PERIOD_MS, 15) + every(PERIOD_MS, 1, start_ms=14 * PERIOD_MS + 120))
    assert firsts_ms(windows) == [0]
    assert stream.counters.gaps == 0


def test_a_window_that_still_waits_survives_a_gap() -> None:
    stream = WindowStream(stream_config(max_gap_s=0.12, max_wait_s=FOREVER_S))
    assert feed(stream, every(PERIOD_MS, 16) + every(PERIOD_MS, 3, start_ms=2000.0)) == []
    assert firsts_ms(feed(stream, joints(16))) == [0]


def test_a_reset_forgets_everything() -> None:
    stream = WindowStream(stream_config(on_missing="zero"))
    assert len(feed(stream, joints(40) + every(PERIOD_MS, 31))) == 8
    stream.reset()
    assert stream.newest_frame_ns is None
    assert feed(stream, every(PERIOD_MS, 15, start_ms=1550.0)) == []
    # no value from before the reset is left, and none comes: the frames end the waiting
    windows = feed(stream, every(PERIOD_MS, 4, start_ms=2300.0))
    assert [(window.epoch, window.number) for window in windows] == [(1, 0)]
    assert firsts_ms(windows) == [1550]
    assert windows[0].held == 16
    assert (stream.epoch, stream.counters.resets) == (1, 1)
    assert stream.counters.late == 0


def test_frames_out_of_order_are_dropped_without_being_loaded() -> None:
    stream = WindowStream(stream_config())
    loaded: list[int] = []

    def load(stamp_ns: int) -> Callable[[], Frame]:
        return lambda: loaded.append(stamp_ns) or frame(stamp_ns)  # type: ignore[func-returns-value]

    for stamp_ns in (10 * S, 10 * S, 10 * S - 1, 9 * S + 1, 10 * S + 1):
        stream.add_frame(stamp_ns, load(stamp_ns))
    assert loaded == [10 * S, 10 * S + 1]
    assert stream.counters.frames_out_of_order == 3
    assert stream.counters.frames == 2
    assert stream.epoch == 0


def test_after_a_jump_back_the_commands_that_came_first_survive() -> None:
    stream = WindowStream(stream_config(jump_back_s=1.0))
    feed(stream, joints(40, start_ms=100_000.0) + every(PERIOD_MS, 30, start_ms=100_000.0))
    assert stream.counters.windows == 8
    assert feed(stream, joints(10, start_ms=50_000.0)) == []
    assert stream.epoch == 0  # commands alone reset nothing
    assert feed(stream, every(PERIOD_MS, 1, start_ms=50_000.0)) == []
    assert (stream.epoch, stream.counters.resets) == (1, 1)
    windows = feed(stream, every(PERIOD_MS, 15, start_ms=50_050.0) + joints(16, start_ms=50_000.0)[10:16]
                   + joints(16, start_ms=50_000.0)[26:])  # fmt: skip
    assert [(window.epoch, window.number) for window in windows] == [(1, 0)]
    assert numbers(windows[0]) == list(range(0, 16, 2))
    assert stream.counters.late == 0  # what lay before the old epoch's windows belonged to the new one


@pytest.mark.parametrize("kind", ["command", "state"])
def test_a_straggler_that_looks_like_a_jump_is_late_once_time_goes_on(kind: str) -> None:
    stream = WindowStream(stream_config())
    feed(stream, joints(40, start_ms=100_000.0) + every(PERIOD_MS, 30, start_ms=100_000.0))
    feed(stream, [(kind, 100 * S, vector(99))])
    assert stream.counters.late == 0
    feed(stream, every(PERIOD_MS, 1, kind, start_ms=102_000.0))
    assert stream.counters.late == 1
    feed(stream, every(PERIOD_MS, 1, kind, start_ms=102_050.0))
    assert stream.counters.late == 1
    assert stream.epoch == 0


def test_a_clock_that_jumps_back_resets() -> None:
    stream = WindowStream(stream_config(on_missing="zero"))
    feed(stream, joints(40, start_ms=100_000.0) + every(PERIOD_MS, 30, start_ms=100_000.0))
    stream.time_jumped_back(-50 * S)
    assert (stream.epoch, stream.newest_frame_ns) == (1, None)
    windows = feed(stream, joints(16, start_ms=50_000.0) + every(PERIOD_MS, 16, start_ms=50_000.0))
    assert stream.epoch == 1
    assert [window.held for window in windows] == [0]  # nothing of the old time stands in for anything
    assert numbers(windows[0]) == list(range(0, 16, 2))


def test_frames_still_on_their_way_when_the_clock_jumped_are_dropped() -> None:
    stream = WindowStream(stream_config())
    feed(stream, every(PERIOD_MS, 30, start_ms=100_000.0))
    stream.time_jumped_back(-50 * S)
    feed(stream, every(PERIOD_MS, 3, start_ms=101_500.0))
    assert stream.newest_frame_ns is None
    assert stream.counters.frames_out_of_order == 3
    (window,) = feed(stream, joints(16, start_ms=50_000.0) + every(PERIOD_MS, 16, start_ms=50_000.0))
    assert (window.epoch, stream.epoch) == (1, 1)
    feed(stream, every(PERIOD_MS, 1, start_ms=101_500.0))  # from here on, time is believed again
    assert stream.newest_frame_ns == 101_500 * MS


def test_frames_far_behind_the_clock_are_dropped_too_after_it_jumped() -> None:
    """Three seconds of frames were on their way: the clock says up to where they may go."""
    stream = WindowStream(stream_config())
    feed(stream, every(PERIOD_MS, 10, start_ms=100_000.0))
    stream.time_jumped_back(-8 * S, before_ns=103 * S)  # to 95 s
    feed(stream, every(PERIOD_MS, 50, start_ms=100_500.0))
    assert (stream.newest_frame_ns, stream.epoch) == (None, 1)
    feed(stream, every(PERIOD_MS, 16, start_ms=95_000.0))
    assert (stream.newest_frame_ns, stream.epoch) == (95_750 * MS, 1)


@pytest.mark.parametrize("before_ns", [10**6 * S, 0])
def test_a_clock_that_is_not_the_frames_says_nothing_about_them(before_ns: int) -> None:
    stream = WindowStream(stream_config())
    feed(stream, every(PERIOD_MS, 30, start_ms=100_000.0))
    stream.time_jumped_back(-50 * S, before_ns)
    feed(stream, every(PERIOD_MS, 40, start_ms=101_500.0))
    assert stream.counters.frames_out_of_order == 20  # believed after a second


def test_where_stamps_do_not_follow_the_clock_they_are_believed_after_a_second() -> None:
    stream = WindowStream(stream_config())
    feed(stream, every(PERIOD_MS, 30, start_ms=100_000.0))
    stream.time_jumped_back(-50 * S)
    feed(stream, every(PERIOD_MS, 40, start_ms=101_500.0))
    assert stream.counters.frames_out_of_order == 20
    assert stream.newest_frame_ns == 101_500 * MS + 39 * 50 * MS
    assert stream.epoch == 1


@pytest.mark.parametrize("delta_ms", [20, 1_000, 5_000, 3_600_000])
@pytest.mark.parametrize("after_ms", [-900.0, -40.0, 0.0, 10.0])
def test_a_frame_that_overtook_the_clock_is_of_the_new_time(delta_ms: int, after_ms: float) -> None:
    """As a player with a delay does it: /clock runs, and jumps back to where the first frame lies, or nearby."""
    stream = WindowStream(stream_config(max_wait_s=FOREVER_S))
    frames = every(PERIOD_MS, 60, start_ms=100_000.0 + after_ms)
    feed(stream, frames[:1])
    stream.time_jumped_back(-delta_ms * MS, (100_000 + delta_ms) * MS)
    windows = feed(stream, frames[1:] + joints(60, start_ms=100_000.0 + after_ms))
    assert (stream.counters.frames_out_of_order, stream.counters.frames, stream.epoch) == (0, 60, 1)
    assert firsts_ms(windows) == [int(100_000 + after_ms) + 100 * index for index in range(23)]
    assert {window.held for window in windows} == {0}


def test_frames_of_the_new_time_after_some_of_the_old_are_not_stale_either() -> None:
    """The old ones are forgotten, and with them those that came too early; none after the jump is dropped."""
    stream = WindowStream(stream_config())
    feed(stream, every(PERIOD_MS, 1, start_ms=90_000.0) + every(PERIOD_MS, 1, start_ms=100_000.0))
    stream.time_jumped_back(-5 * S, 105 * S)
    feed(stream, every(PERIOD_MS, 60, start_ms=100_050.0))
    assert (stream.counters.frames_out_of_order, stream.epoch) == (0, 1)


def test_what_is_left_of_the_old_time_goes_though_the_frames_stay() -> None:
    stream = WindowStream(stream_config(max_wait_s=FOREVER_S))
    feed(stream, [*every(PERIOD_MS, 1, start_ms=100_000.0), *stale()])
    assert not stream.has_overtaken(-2 * S, 102 * S)
    stream.time_jumped_back(-2 * S, 102 * S)
    assert feed(stream, every(PERIOD_MS, 15, start_ms=100_050.0)) == []
    (window,) = feed(stream, joints(16, start_ms=100_000.0))
    assert (numbers(window), firsts_ms([window])) == (list(range(0, 16, 2)), [100_000])


def test_a_small_jump_costs_no_more_than_itself() -> None:
    """Of frames still on their way; it took a second of them, however small it was."""
    for delta_ms in (30, 200, 900):
        stream = WindowStream(stream_config())
        feed(stream, every(PERIOD_MS, 1, start_ms=100_000.0))
        stream.time_jumped_back(-delta_ms * MS, 100_000 * MS)
        feed(stream, every(10.0, 200, start_ms=100_000.0 - delta_ms / 2 + 1))
        assert stream.counters.frames_out_of_order * 10 <= 1.5 * delta_ms + 10


@pytest.mark.parametrize("seed", range(40))
def test_a_player_with_a_delay_loses_nothing_whatever_overtakes_its_clock(seed: int) -> None:
    """Everything is of the bag, so the jump is none for it: same windows, same epoch."""
    rng = random.Random(seed)
    bag = every(PERIOD_MS, 40, start_ms=100_000.0)
    bag += joints(200, 10.0, start_ms=100_000.0 - rng.choice([0, 7, 35]))
    bag.sort(key=lambda message: message[1] + (rng.uniform(-8, 8) * MS if message[0] == "frame" else 0))
    config = stream_config(max_wait_s=FOREVER_S)
    want = feed(WindowStream(config), bag)
    delay_ms = rng.choice([100, 400, 1_000, 3_000, 60_000])
    overtook = rng.randrange(0, 12 if delay_ms > 100 else 5)  # up to 50 ms of messages, /clock comes every 25 ms
    stream = WindowStream(config)
    windows = feed(stream, bag[:overtook])
    jump_ms = delay_ms, rng.choice([0, 25])  # the bag's start, and a little of it where the first /clock was lost
    jump = -(delay_ms - jump_ms[1]) * MS, (100_000 + delay_ms) * MS
    assert stream.has_overtaken(*jump)
    windows += feed(stream, bag[overtook:])
    assert [(w.epoch, w.number, numbers(w)) for w in windows] == [(w.epoch, w.number, numbers(w)) for w in want]
    again = WindowStream(config)
    feed(again, bag[:overtook])
    again.time_jumped_back(*jump)
    assert [numbers(w) for w in feed(again, bag[overtook:])] == [numbers(w) for w in want]
    assert (again.counters.frames_out_of_order, again.counters.late, again.epoch) == (0, 0, 1)


def test_a_stream_that_lives_in_the_old_time_has_not_overtaken_its_clock() -> None:
    for messages in (
        every(PERIOD_MS, 30, start_ms=100_000.0),  # up to 101.45 s
        every(PERIOD_MS, 30, "command", start_ms=100_000.0),
        every(PERIOD_MS, 30, "state", start_ms=100_000.0),
        every(PERIOD_MS, 1, start_ms=98_999.0),
    ):
        stream = WindowStream(stream_config())
        feed(stream, messages)
        assert not stream.has_overtaken(-1 * S, 101 * S + 450 * MS if len(messages) > 1 else 101 * S)


def stale() -> list[tuple[Any, ...]]:
    """What a sender still said in the old time: it must not pass for what is still to come in the new one."""
    return [("command", 102 * S, vector(99)), ("state", 102 * S, vector(99))]


@pytest.mark.parametrize("first", ["the clock", "the joints", "the frames"])
def test_joints_of_the_old_time_do_not_make_windows_ready(first: str) -> None:
    stream = WindowStream(stream_config(max_wait_s=FOREVER_S))
    frames, new = every(PERIOD_MS, 16, start_ms=50_000.0), joints(16, start_ms=50_000.0)
    commands, states = new[:16], new[16:]
    if first == "the clock":
        feed(stream, stale())
        stream.time_jumped_back(-50 * S)
    elif first == "the joints":
        feed(stream, [*stale(), commands[0], states[0]])
    else:
        feed(stream, [*every(PERIOD_MS, 1, start_ms=100_000.0), *frames[:4], *stale(), commands[0], states[0]])
        frames = frames[4:]
    assert feed(stream, frames) == []
    (window,) = feed(stream, commands + states)
    assert numbers(window) == list(range(0, 16, 2))
    assert window.held == 0
    assert stream.counters.late == 0


def test_one_stamp_far_ahead_does_not_take_the_history_with_it_and_counts_as_late() -> None:
    """A command stamped an hour ahead: windows resolve too early until it is undone, and that is not silent."""
    stream = WindowStream(stream_config(max_wait_s=FOREVER_S, hop=2))
    for index in range(80):
        stamp_ms = 1_000_000.0 + index * PERIOD_MS
        if index == 20:
            feed(stream, [("command", round((stamp_ms + 3_600_000) * MS), vector(-1))])
        feed(stream, [("frame", round(stamp_ms * MS)), *joints(1, start_ms=stamp_ms)])
    assert stream.epoch == 0
    assert stream.counters.windows >= 31  # of 33: two may have been resolved without their last command
    assert stream.counters.windows_skipped <= 2


def test_windows_that_a_reset_finds_waiting_for_commands_are_counted() -> None:
    stream = WindowStream(stream_config(max_wait_s=FOREVER_S, hop=2))
    feed(stream, [("frame", round((1_000_000.0 + index * PERIOD_MS) * MS)) for index in range(20)])
    assert stream.unresolved == 3
    stream.reset()
    assert (stream.unresolved, stream.counters.windows_reset, stream.counters.windows) == (0, 3, 0)


def test_which_frames_are_still_on_their_way_is_told_to_the_nanosecond() -> None:
    """Newest frame at 100 s, /clock from 103 to 95 s: later than 100 + (3 - 8)/2 s, up to 100 + 3 + 1 s."""
    for stamp_ms, dropped in ((97_500, False), (97_501, True), (104_000, True), (104_001, False)):
        stream = WindowStream(stream_config())
        feed(stream, every(PERIOD_MS, 1, start_ms=100_000.0))
        stream.time_jumped_back(-8 * S, before_ns=103 * S)
        feed(stream, every(PERIOD_MS, 1, start_ms=float(stamp_ms)))
        assert (stream.newest_frame_ns is None) == dropped, stamp_ms


def test_a_value_a_little_ahead_of_the_frames_survives_its_senders_jump() -> None:
    stream = WindowStream(stream_config(max_wait_s=FOREVER_S))
    feed(stream, every(PERIOD_MS, 1, start_ms=100_000.0) + every(PERIOD_MS, 2, start_ms=50_000.0))
    ahead = 50_050.0 + 500.0  # of the new time: its sender is half a second early
    feed(stream, [("command", round(ahead * MS), vector(7)), ("command", 102 * S, vector(99))])
    feed(stream, [("command", 50_060 * MS, vector(8))])  # from 102 s back: the sender has jumped
    (together,) = stream._commands.groups
    assert [found[1][0] for found in together.signal.between(0, 10**18)] == [8, 7]
