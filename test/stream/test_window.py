"""Windows by hand: which actions they hold, when they come out, what late, missing and jumping messages do."""

from __future__ import annotations

import numpy as np
import pytest
from support.builders import (
    MS,
    PERIOD_MS,
    assert_own_images,
    clip_of,
    every,
    feed,
    firsts_ms,
    joints,
    numbers,
    signal_config,
    stream_config,
    vector,
)

from vjepa_ros.stream.frame import Frame
from vjepa_ros.stream.window_stream import WindowStream

S = 1000 * MS
FOREVER_S = 1e6


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


def test_a_window_says_how_many_were_late_when_it_was_resolved() -> None:
    stream = WindowStream(stream_config())
    before = feed(stream, joints(17) + every(PERIOD_MS, 16))
    feed(stream, [("command", 700 * MS - 1, vector(99)), ("state", 700 * MS - 1, vector(99))])
    after = feed(stream, every(PERIOD_MS, 2, start_ms=800.0))
    assert ([window.late for window in before], [window.late for window in after]) == ([0], [2])


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
