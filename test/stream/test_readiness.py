"""How soon a window is resolved: what its newest frame waits for, in stamps and not in this machine's time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.builders import MS, feed, stream_config, vector

from vjepa_ros.stream.window_stream import WindowStream

OFFSETS_MS = [0.0, 0.1, 3.7, 9.9]  # of the first command after the first frame


def by_stamp(messages: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """In the order in which they were sent; joints are faster on their way than the frame with the same stamp."""
    return sorted(messages, key=lambda message: (message[1], message[0] == "frame"))


def resolved_ms(messages: list[tuple[Any, ...]], **changes: Any) -> list[float]:
    """By which message each window was resolved: its stamp after that of the window's newest frame."""
    stream = WindowStream(stream_config(**changes))
    waits = []
    for message in by_stamp(messages):
        waits += [(message[1] - window.frames[-1].stamp_ns) / MS for window in feed(stream, [message])]
    assert stream.counters.late == stream.counters.windows_skipped == 0
    return waits


def pace(kind: str, period_ms: float, offset_ms: float, seconds: float = 3.0) -> list[tuple[Any, ...]]:
    stamps_ms = np.arange(1000 + offset_ms - 4 * period_ms, 1000 + 1000 * seconds, period_ms)
    return [(kind, round(stamp_ms * MS), vector(index)) for index, stamp_ms in enumerate(stamps_ms)]


def camera(seconds: float = 3.0) -> list[tuple[Any, ...]]:
    """20 Hz from 1 s on."""
    return [("frame", round((1000 + 50 * index) * MS)) for index in range(round(20 * seconds))]


@pytest.mark.parametrize("phase", ["first", "last"])
@pytest.mark.parametrize("command_ms", OFFSETS_MS)
@pytest.mark.parametrize("state_ms", OFFSETS_MS)
def test_joints_at_100_hz_hold_a_window_up_by_less_than_15_ms(phase: str, command_ms: float, state_ms: float) -> None:
    messages = camera() + pace("command", 10, command_ms) + pace("state", 10, state_ms)
    waits = resolved_ms(messages, phase=phase)
    assert len(waits) == (60 - 16) // 2 + 1
    assert max(waits) < 15
    if phase == "first":
        assert max(waits) == 0  # its last step lies before its newest frame


@pytest.mark.parametrize("changes", [{"reduction": "mean"}, {"alignment": "linear"}, {"reduction": "sum"}])
def test_so_it_is_with_other_reductions_and_alignments(changes: dict[str, Any]) -> None:
    messages = camera() + pace("command", 10, 3.7) + pace("state", 10, 9.9)
    assert max(resolved_ms(messages, phase="last", **changes)) < 15


def sparse() -> list[tuple[Any, ...]]:
    """Commands sent only when they change: three in three seconds."""
    commands = [("command", round(stamp_ms * MS), vector(stamp_ms)) for stamp_ms in (990, 1420, 2333)]
    return camera() + commands + pace("state", 10, 0.0)


@pytest.mark.parametrize("phase", ["first", "last"])
def test_commands_sent_when_they_change_are_not_waited_for_with_max_wait_0(phase: str) -> None:
    assert set(resolved_ms(sparse(), phase=phase, timeout_s=60.0, max_wait_s=0.0)) == {0}
    # The default would wait 0.2 s from the last step, to the next frame that is as far.
    assert max(resolved_ms(sparse(), phase=phase, timeout_s=60.0)) == (150 if phase == "first" else 200)


def test_with_max_wait_0_windows_hold_the_commands_in_force() -> None:
    stream = WindowStream(stream_config(timeout_s=60.0, max_wait_s=0.0, hop=16))
    windows = feed(stream, by_stamp(sparse()))
    numbers = [window.actions.values[:, 0].tolist() for window in windows]
    assert numbers == [[990] * 5 + [1420] * 3, [1420] * 6 + [2333] * 2, [2333] * 8]
    assert stream.counters.late == 0
