"""Which windows are probed together, and which action is the true one between them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import builders

from vjepa_ros.config.stream import StreamConfig
from vjepa_ros.errors import ConfigError
from vjepa_ros.probe.pairs import Pair, pairs, require_pairs, spread
from vjepa_ros.stream.window_stream import WindowStream


def found(config: StreamConfig, messages: list[tuple[Any, ...]]) -> list[Pair]:
    in_order = sorted(messages, key=lambda message: message[1])
    return list(pairs(builders.feed(WindowStream(config), in_order), config))


def test_of_targets_the_action_is_the_windows_own_last() -> None:
    config = builders.stream_config()
    got = found(config, builders.every(50, 24) + builders.joints(24))
    assert len(got) == 4  # windows end at frames 15, 17, 19, 21, 23
    for index, pair in enumerate(got):
        np.testing.assert_array_equal(pair.action, builders.vector(14 + 2 * index))
        np.testing.assert_array_equal(pair.action, pair.window.actions.values[-1])
        assert pair.later.frames[:-2] == pair.window.frames[2:]
        np.testing.assert_array_equal(pair.movement(config), [2, 2])  # the next command is 2 further


@pytest.mark.parametrize("tail", ["hold", "zero"])
def test_of_deltas_it_is_what_was_measured_and_not_the_windows_guess(tail: str) -> None:
    config = builders.stream_config(reduction="sum", tail=tail)
    (pair,) = found(config, builders.every(50, 18) + builders.joints(18))
    guess = builders.vector({"hold": 13 + 14, "zero": 0}[tail])
    np.testing.assert_array_equal(pair.window.actions.values[-1], guess)
    np.testing.assert_array_equal(pair.action, builders.vector(15 + 16))
    np.testing.assert_array_equal(pair.movement(config), [31, 31])


def test_nothing_is_compared_across_a_gap_a_reset_or_a_window_that_was_left_out() -> None:
    config = builders.stream_config()
    joints = builders.joints(200)
    assert not found(config, builders.every(50, 16) + builders.every(50, 17, start_ms=3000) + joints)
    commands_fail = [m for m in joints if not (m[0] == "command" and 720 <= m[1] / builders.MS <= 1500)]
    windows = builders.feed(
        WindowStream(config), sorted(builders.every(50, 60) + commands_fail, key=lambda message: message[1])
    )
    numbers = [window.number for window in windows]
    got = [(pair.window.number, pair.later.number) for pair in pairs(windows, config)]
    assert got == [(n, n + 1) for n in numbers if n + 1 in numbers]
    assert 0 < len(got) < len(numbers) - 1, "the outage makes a hole"
    stream = WindowStream(config)
    first = builders.feed(stream, builders.joints(16) + builders.every(50, 16))
    stream.reset()
    second = builders.feed(stream, builders.joints(18, start_ms=100) + builders.every(50, 18, start_ms=100))
    assert len(first) == 1 and len(second) == 2
    assert [pair.window.epoch for pair in pairs(first + second, config)] == [1]


def test_windows_of_one_step_and_of_other_hops_are_refused() -> None:
    with pytest.raises(ConfigError, match="num_frames: is one step"):
        require_pairs(builders.stream_config(num_frames=2))
    with pytest.raises(ConfigError, match="hop: must be 2"):
        require_pairs(builders.stream_config(hop=4))


def test_what_is_chosen_lies_in_the_middle_of_equal_parts() -> None:
    assert spread(3, 8) == [0, 1, 2]
    assert spread(9, 1) == [4]
    assert spread(100, 4) == [12, 37, 62, 87]
    assert spread(0, 3) == []
