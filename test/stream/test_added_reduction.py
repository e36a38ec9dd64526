"""A reduction is one object: made-up ones go through windows, future, probe, state model and refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import added
from support.builders import MS, NAMES, feed, pose_config, signal_config, stream_config

from docs import make_parameters
from vjepa_ros.config.node import resolve
from vjepa_ros.config.pose import POSE_NAMES
from vjepa_ros.config.reductions import REDUCTIONS, Reduction, StepSpan
from vjepa_ros.config.state_change import change_of_convention, change_of_stream
from vjepa_ros.config.stream import StreamConfig
from vjepa_ros.config.table import check
from vjepa_ros.errors import ConfigError
from vjepa_ros.probe.pairs import pairs
from vjepa_ros.stream.window import Window
from vjepa_ros.stream.window_stream import WindowStream

ADDED = (added.MEDIAN, added.LAST_MINUS_MEAN, added.AHEAD, added.LARGEST)
PERIOD_MS = 50


@pytest.fixture(autouse=True)
def rows(monkeypatch: pytest.MonkeyPatch) -> None:
    for row in ADDED:
        monkeypatch.setitem(REDUCTIONS, row.name, row)


def config_of(reduction: str, **changes: Any) -> StreamConfig:
    """Steps of four frames, two of them a window."""
    values = {"num_frames": 8, "stride": 4, "hop": 4, "state_source": "none", "tail": "hold"}
    return stream_config(reduction=reduction, **{**values, **changes})


def square(index: int) -> np.ndarray:
    return np.array([float(index**2), -float(index**2)])


def windows_of(config: StreamConfig, frames: int = 8) -> list[Window]:
    """Frame n and command n are at the same time; a command is the square of its number."""
    times = [(index, (20 + index) * PERIOD_MS * MS) for index in range(-4, frames + 4)]
    if config.command_type == "JointTrajectory":  # joint_a goes up by 1 a frame; in force from before the first one
        start_ns = times[0][1]
        points = np.array([[stamp_ns - start_ns, index, -index] for index, stamp_ns in times] + [[1e10, 99, -99]])
        messages: list[tuple[Any, ...]] = [("trajectory", start_ns, points)]
        messages += [("measured", stamp_ns, np.zeros(2)) for _, stamp_ns in times]
    else:
        messages = [("command", stamp_ns, square(index)) for index, stamp_ns in times]
    messages += [("frame", stamp_ns) for index, stamp_ns in times if 0 <= index < frames]
    messages.append(("frame", times[-1][1] + 300 * MS))  # whatever has come by then is all that there is
    return feed(WindowStream(config), sorted(messages, key=lambda message: message[1]))


@pytest.mark.parametrize(
    ("reduction", "changes", "actions"),
    [
        ("median", {}, [(1 + 4) / 2, (25 + 36) / 2]),
        ("last_minus_mean", {}, [9 - 14 / 4, 49 - 126 / 4]),
        ("last_minus_mean", {"phase": "last"}, [9 - 14 / 4, 49 - 126 / 4]),
        ("ahead", {}, [16 + 16, 16 + 16]),  # 16 - 2 * 0 + 16, and again
        ("ahead", {"tail": "zero"}, [16 + 16, 0]),
        ("ahead", {"tail": "zero", "phase": "last"}, [49 - 2 * 9 + 1, 0]),
        ("largest", {"tail": "zero"}, [16, 0]),  # of 1, 4, 9, 16
        ("largest", {}, [16, 16]),
    ],
)
def test_the_actions_of_a_window(reduction: str, changes: dict[str, Any], actions: list[float]) -> None:
    (window,) = windows_of(config_of(reduction, **changes))
    expected = np.array(actions)
    if reduction == "largest":
        np.testing.assert_array_equal(window.actions.values[:, 0], expected)
    else:
        np.testing.assert_array_equal(window.actions.values, np.stack([expected, -expected], axis=1))


def test_what_is_missing_counts_by_what_is_asked() -> None:
    messages: list[tuple[Any, ...]] = [("frame", (20 + index) * PERIOD_MS * MS) for index in range(8)]
    messages += [("command", (20 + index) * PERIOD_MS * MS, square(index)) for index in range(2, 8)]
    messages.sort(key=lambda message: message[1])
    config = config_of("median", on_missing="zero")
    (window,) = feed(WindowStream(config), messages)
    assert window.actions.missing == 1, "frames 0 and 1 of the first step have none"
    np.testing.assert_array_equal(window.actions.values[:, 0], [0, (25 + 36) / 2])


@pytest.mark.parametrize(
    ("reduction", "changes", "last"),
    [
        ("median", {}, 5.5),  # of frames 4 to 7
        ("last_minus_mean", {}, 1.5),
        ("ahead", {"tail": "trajectory"}, 0),  # at 0, 4 and 8 it goes up evenly
    ],
)
def test_the_future_of_a_trajectory(reduction: str, changes: dict[str, Any], last: float) -> None:
    commands = signal_config(alignment="linear", timeout_s=10.0)
    config = config_of(reduction, command_type="JointTrajectory", commands=commands, horizon=3, **changes)
    (window,) = windows_of(config)
    assert window.actions.values[-1, 0] == pytest.approx(last, abs=1e-9)
    assert window.future.sources == ("trajectory", "trajectory")
    # The last point, at 10 s, is far from the others: beyond frame 11 the values rise by less.
    rise = (99 - 11) / (10_000 - 15 * PERIOD_MS) * PERIOD_MS
    position = {index: float(index) if index <= 11 else 11 + (index - 11) * rise for index in range(4, 17)}
    moved = [[position[frame] for frame in range(first, first + 4)] for first in (8, 12)]
    expected: dict[str, list[float]] = {
        "median": [float(np.median(values)) for values in moved],
        "last_minus_mean": [values[-1] - float(np.mean(values)) for values in moved],
        "ahead": [position[frame + 4] - 2 * position[frame] + position[frame - 4] for frame in (8, 12)],
    }
    np.testing.assert_allclose(window.future.values[:, 0], expected[reduction], rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("reduction", "tail", "held"), [("median", "hold", 30.5), ("last_minus_mean", "hold", 0), ("ahead", "zero", 0)]
)
def test_the_future_of_what_is_held(reduction: str, tail: str, held: float) -> None:
    (window,) = windows_of(config_of(reduction, tail=tail, horizon=3))
    assert window.future.sources == ("held", "held")
    np.testing.assert_array_equal(window.future.values[:, 0], [held, held])


@pytest.mark.parametrize(
    ("reduction", "movement"),
    [
        # actions of frames 4 to 7, then of 8 to 11
        ("median", (81 + 100) / 2 - (25 + 36) / 2),
        ("last_minus_mean", 49 - 126 / 4),
        ("ahead", 64 - 2 * 16 + 0),
    ],
)
def test_the_probe_says_how_far_an_action_moves(reduction: str, movement: float) -> None:
    config = config_of(reduction)
    (pair,) = pairs(windows_of(config, frames=12), config)
    np.testing.assert_array_equal(pair.movement(config), [movement, movement])


def test_what_actions_do_to_states() -> None:
    for row in ADDED:
        assert change_of_stream(config_of(row.name, state_source="joint_states")) == row.effect
        assert change_of_convention({"actions.reduction": row.name}) == row.effect
    with pytest.raises(ConfigError) as refused:
        change_of_stream(config_of("ahead", state_source="commands"))
    assert refused.value.parameter == "states.source"
    velocities = signal_config("states", field="velocity")
    with pytest.raises(ConfigError, match="states.field: a rollout adds the sum of the commands"):
        change_of_stream(config_of("largest", state_source="joint_states", states=velocities))


POSES = {
    "pose": pose_config(source="pose_topic"), "commands": signal_config(names=POSE_NAMES),
    "states": signal_config("states", POSE_NAMES),
}  # fmt: skip


@pytest.mark.parametrize(
    ("reduction", "changes", "parameter"),
    [
        ("median", {"stride": 2}, "actions.reduction"),  # its own refusal
        ("median", POSES, "actions.reduction"),
        ("median", {"tail": "zero"}, "actions.tail"),
        ("ahead", {"num_frames": 4}, "actions.tail"),
        ("ahead", {"tail": "trajectory"}, "actions.tail"),
        ("largest", {"command_type": "JointTrajectory"}, "actions.reduction"),
        ("largest", {"commands": signal_config(alignment="nearest")}, "actions.alignment"),
        ("largest", {"commands": signal_config(on_missing="hold")}, "actions.on_missing"),
        ("largest", {"commands": signal_config(offset=(1.0, 0.0))}, "actions.offset"),
        ("largest", {"state_source": "commands"}, "states.source"),
    ],
)
def test_refusals(reduction: str, changes: dict[str, Any], parameter: str) -> None:
    config_of(reduction)
    with pytest.raises(ConfigError) as refused:
        config_of(reduction, **changes)
    assert refused.value.parameter == parameter


def test_it_is_a_choice_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"joint_names": list(NAMES), "action_dim": 2, "state_dim": 2, "actions.reduction": "last_minus_mean"}
    assert resolve(values).stream.reducer is added.LAST_MINUS_MEAN
    assert "`median`" in make_parameters.page()
    monkeypatch.delitem(REDUCTIONS, "last_minus_mean")
    for refuse in (lambda: check("actions.reduction", "last_minus_mean"), lambda: config_of("last_minus_mean")):
        with pytest.raises(ConfigError, match="actions.reduction: 'last_minus_mean' is not one of pick, mean, sum"):
            refuse()


@pytest.mark.parametrize("row", [*REDUCTIONS.values(), *ADDED], ids=lambda row: row.name)
def test_every_reduction_says_truly_whether_it_reaches_ahead(row: Reduction) -> None:
    span = StepSpan(100, 200, 300, (200, 250))
    assert (max(row.asks(span)) > 250) == row.reaches_ahead
    assert REDUCTIONS[row.name] is row
    assert not row.of_messages or row.reaches_ahead, "messages are those up to the next step"
