"""Windows by hand: which actions they hold, when they come out, what late, missing and jumping messages do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from builders import MS, assert_own_images, every, feed, frame, signal_config, stream_config, vector

from vjepa_ros.stream.frame import Frame, clip_of
from vjepa_ros.stream.window import Window, WindowStream

S = 1000 * MS
FOREVER_S = 1e6
PERIOD_MS = 50.0  # of the frames in all that follows


def joints(count: int, period_ms: float = PERIOD_MS, start_ms: float = 0.0) -> list[tuple[Any, ...]]:
    """As many commands as states, at the same stamps."""
    return [m for kind in ("command", "state") for m in every(period_ms, count, kind, start_ms)]


def numbers(window: Window) -> list[float]:
    """The numbers of the commands that became the window's actions; each state has its command's number."""
    np.testing.assert_array_equal(window.actions.values, window.states.values)
    np.testing.assert_array_equal(window.actions.values[:, 1], -window.actions.values[:, 0])
    return [float(number) for number in window.actions.values[:, 0]]


def firsts_ms(windows: list[Window]) -> list[int]:
    return [window.frames[0].stamp_ns // MS for window in windows]


# -- Strategy A


@pytest.mark.parametrize(("phase", "offset"), [("first", 0), ("last", 1)])
def test_sixteen_frames_have_every_second_command(phase: str, offset: int) -> None:
    stream = WindowStream(stream_config(phase=phase))
    (window,) = feed(stream, joints(16) + every(PERIOD_MS, 16))
    at_frames = list(range(16))  # the number of the command in force at each frame
    assert numbers(window) == at_frames[offset::2]
    stamps_ns = [f.stamp_ns for f in window.frames]
    assert stamps_ns == [round(index * PERIOD_MS * MS) for index in range(16)]
    assert list(window.step_stamps_ns) == stamps_ns[offset::2]
    assert window.actions.stamps_ns == window.states.stamps_ns == tuple(stamps_ns[offset::2])
    assert (window.epoch, window.number, window.stamp_ns, window.held) == (0, 0, stamps_ns[-1], 0)


def test_actions_change_between_frames_only_by_what_is_in_force_at_the_step() -> None:
    stream = WindowStream(stream_config())
    (window,) = feed(stream, joints(200, period_ms=4.0, start_ms=-1.0) + every(PERIOD_MS, 16))
    assert numbers(window) == [(100 * step + 1) // 4 for step in range(8)]


@pytest.mark.parametrize("hop", [2, 4, 16, 20])
def test_a_window_ends_every_hop_frames(hop: int) -> None:
    windows = feed(WindowStream(stream_config(hop=hop)), joints(60) + every(PERIOD_MS, 60))
    starts = [start for start in range(0, 60, hop) if start + 16 <= 60]
    assert firsts_ms(windows) == [50 * start for start in starts]
    assert [window.number for window in windows] == list(range(len(starts)))
    for start, window in zip(starts, windows, strict=True):
        assert numbers(window) == list(range(start, start + 16, 2))


def test_a_clip_is_channels_first_and_in_the_order_of_the_frames() -> None:
    (window,) = feed(WindowStream(stream_config()), joints(16) + every(PERIOD_MS, 16))
    clip = clip_of(window.frames)
    assert clip.shape == (1, 3, 16, 1, 1)
    assert clip.dtype == np.float32
    np.testing.assert_array_equal(clip[0, :, :, 0, 0], [[50.0 * index for index in range(16)]] * 3)


# -- readiness (rule 4); step 7 of the first window is read at 700 ms


@pytest.mark.parametrize("last", ["command", "state"])
@pytest.mark.parametrize("stamp_ms", [700, 703])
def test_a_window_is_ready_when_both_streams_have_reached_its_last_step(last: str, stamp_ms: int) -> None:
    stream = WindowStream(stream_config(max_wait_s=FOREVER_S))
    first = "state" if last == "command" else "command"
    assert feed(stream, joints(14) + every(PERIOD_MS, 30)) == []
    assert feed(stream, [(last, 699 * MS, vector(0))]) == []
    assert feed(stream, [(first, stamp_ms * MS, vector(0))]) == []
    (window,) = feed(stream, [(last, stamp_ms * MS, vector(0))])
    assert window.number == 0
    assert_own_images([window])


@pytest.mark.parametrize(("max_wait_s", "ready_ms"), [(0.2, 900), (0.0, 750), (0.05, 750), (0.051, 751)])
def test_a_newer_frame_ends_the_waiting(max_wait_s: float, ready_ms: int) -> None:
    stream = WindowStream(stream_config(max_wait_s=max_wait_s, on_missing="zero", hop=200))
    came_ns = [stamp_ns for _, stamp_ns in [*every(PERIOD_MS, 15), *every(1.0, 200, start_ms=750.0)]
               if feed(stream, [("frame", stamp_ns)])]  # fmt: skip
    assert came_ns == [ready_ms * MS]


def test_windows_that_became_ready_together_come_out_in_order() -> None:
    stream = WindowStream(stream_config(max_wait_s=FOREVER_S, timeout_s=10.0))
    assert feed(stream, [*every(PERIOD_MS, 26), *every(PERIOD_MS, 26, "command"), ("state", 0, vector(1))]) == []
    windows = feed(stream, [("state", 1200 * MS, vector(2))])
    assert [window.number for window in windows] == [0, 1, 2, 3, 4, 5]


# -- late (rule 4)


@pytest.mark.parametrize("kind", ["command", "state"])
@pytest.mark.parametrize(("stamp_ns", "late"), [(S // 2, 1), (700 * MS - 1, 1), (700 * MS, 1), (700 * MS + 1, 0)])
def test_what_belongs_before_a_resolved_time_is_late(kind: str, stamp_ns: int, late: int) -> None:
    stream = WindowStream(stream_config(max_wait_s=0.0))
    assert len(feed(stream, joints(14) + every(PERIOD_MS, 16))) == 1
    assert stream.counters.late == 0
    feed(stream, [(kind, stamp_ns, vector(99))])
    counters = stream.counters
    assert (counters.late_commands, counters.late_states) == ((late, 0) if kind == "command" else (0, late))
    assert counters.late == late


def test_repetitions_are_not_late_and_change_nothing() -> None:
    stream = WindowStream(stream_config())
    messages = joints(20) + every(PERIOD_MS, 16)
    assert len(feed(stream, messages)) == 1
    assert feed(stream, joints(20)[12:20] + joints(20)[32:40]) == []
    assert stream.counters.late == 0
    assert stream.counters.duplicates == 16
    assert stream.counters.commands == 28
    assert numbers(feed(stream, every(PERIOD_MS, 2, start_ms=800.0))[0]) == [2, 4, 6, 8, 10, 12, 14, 16]


# -- missing values (rule 5)


def test_a_timed_out_command_skips_holds_or_becomes_zero() -> None:
    # commands 0 to 9 at 0 to 450 ms, and none until 1050 ms; a command is missing once it is 200 ms old
    messages = every(PERIOD_MS, 10, "command") + every(PERIOD_MS, 20, "command", start_ms=1050.0)
    messages += every(PERIOD_MS, 41, "state") + every(PERIOD_MS, 41)
    got = {}
    for on_missing in ("skip", "hold", "zero"):
        stream = WindowStream(stream_config(on_missing=on_missing, timeout_s=0.2))
        windows = feed(stream, messages)
        got[on_missing] = windows
        assert stream.counters.windows == len(windows)
        assert stream.counters.windows_skipped == 13 - len(windows)
        # steps at 700, 800, 900 and 1000 ms; how often they are asked for: by windows 0, 0 to 1, 0 to 2 and 0 to 3 ...
        asked = [min(step // 2, 12) - max(0, step // 2 - 7) + 1 for step in (14, 16, 18, 20)]
        assert stream.counters.missing_commands == sum(asked)
        assert stream.counters.missing_states == 0
    # windows 0 to 10 hold one of these steps; those left out leave holes in the numbers
    assert [window.number for window in got["skip"]] == [11, 12]
    for on_missing in ("hold", "zero"):
        first = got[on_missing][0]
        assert first.held == 1
        old = 9.0 if on_missing == "hold" else 0.0
        assert first.actions.values[:, 0].tolist() == [0, 2, 4, 6, 8, 9, 9, old]
        assert first.actions.stamps_ns[-1] == (450 * MS if on_missing == "hold" else None)
        fourth = got[on_missing][3]
        assert fourth.actions.values[:, 0].tolist() == [6, 8, 9, 9, old, old, old, old]
        assert fourth.states.values[:, 0].tolist() == list(range(6, 22, 2))
        assert fourth.held == 4
        assert len(got[on_missing]) == 13


@pytest.mark.parametrize(("on_missing", "count"), [("skip", 0), ("hold", 0), ("zero", 1)])
def test_without_any_command_only_zero_gives_windows(on_missing: str, count: int) -> None:
    stream = WindowStream(stream_config(on_missing=on_missing))
    windows = feed(stream, every(PERIOD_MS, 20, "state") + every(PERIOD_MS, 19))
    assert len(windows) == count
    assert stream.counters.windows_skipped == 1 - count
    assert stream.counters.missing_commands == 8
    for window in windows:
        assert window.actions.values.tolist() == [[0, 0]] * 8
        assert window.actions.stamps_ns == (None,) * 8
        assert window.states.values[:, 0].tolist() == list(range(0, 16, 2))


def test_commands_and_states_each_have_their_own_rules() -> None:
    commands = signal_config("actions", timeout_s=0.06, on_missing="zero")
    states = signal_config("states", timeout_s=0.7, on_missing="hold")
    stream = WindowStream(stream_config(commands=commands, states=states))
    (window,) = feed(stream, [("command", 0, vector(1)), ("state", 0, vector(2)), *every(PERIOD_MS, 19)])
    assert window.actions.values[:, 0].tolist() == [1, 0, 0, 0, 0, 0, 0, 0]
    assert window.states.values[:, 0].tolist() == [2] * 8
    assert (stream.counters.missing_commands, stream.counters.missing_states, window.held) == (7, 0, 7)


# -- gaps, resets, jumps (rules 2 and 3)


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


# -- robustness


@pytest.mark.parametrize("offset_ns", [1, 5 * S, -50 * S], ids=["next", "gap", "jump back"])
def test_a_frame_that_cannot_be_loaded_leaves_no_trace(offset_ns: int) -> None:
    def broken() -> Frame:
        raise RuntimeError("a broken picture")

    stream = WindowStream(stream_config())
    start = joints(40, start_ms=100_000.0) + every(PERIOD_MS, 15, start_ms=100_000.0)
    newest_ns = start[-1][1]
    feed(stream, start)
    before = repr(stream.counters)
    with pytest.raises(RuntimeError, match="broken picture"):
        stream.add_frame(newest_ns + offset_ns, broken)
    assert stream.newest_frame_ns == newest_ns
    assert repr(stream.counters) == before
    assert stream.epoch == 0
    (window,) = feed(stream, every(PERIOD_MS, 1, start_ms=100_750.0))
    assert numbers(window) == list(range(0, 16, 2))


@pytest.mark.parametrize("camera", ["none yet", "stalled", "jumped commands"])
def test_commands_do_not_fill_the_memory(camera: str) -> None:
    stream = WindowStream(stream_config())
    start_ns = 1_000 * S
    if camera != "none yet":
        feed(stream, every(PERIOD_MS, 20, start_ms=start_ns / MS))
    if camera == "jumped commands":  # their sender's time starts at zero, the camera's goes on
        feed(stream, [("command", start_ns, vector(0))])
        start_ns = 0
    most = 0
    for index in range(60_000):
        stream.add_command(start_ns + index * MS, vector(index))
        most = max(most, len(stream._commands))
    assert most <= 50_000
