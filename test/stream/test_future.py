"""The actions after a window's last one, on a window and trajectories that can be counted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.builders import MS, feed, signal_config, stream_config

from vjepa_ros.errors import ConfigError
from vjepa_ros.stream.future import Future
from vjepa_ros.stream.window import Window
from vjepa_ros.stream.window_stream import WindowStream

ONE = ("joint_a",)
POSE = tuple("xyzabcg")
T0_MS = 10_000  # all times below are counted from here
Points = list[tuple[float, float]]  # (time from the start in ms, value)


def ns(time_ms: float) -> int:
    return round((T0_MS + time_ms) * MS)


def window_of(commands: list[tuple[float, Any]], **changes: Any) -> Window:
    """The window of six frames at 0, 100 .. 500 ms; steps at 0, 200, 400 ms, or 100, 300, 500 with phase last.

    Commands are (stamp in ms, value), or points; of poses it is the x, and every other of the seven numbers stays 0.
    What is measured at a time is a thousandth of it, in ms.
    """
    names = POSE if changes.get("reduction") == "pose_delta" else ONE
    signal = {name: changes.pop(name) for name in ("alignment", "timeout_s", "on_missing") if name in changes}
    config = stream_config(
        num_frames=6, hop=6, max_wait_s=0.5, horizon=4, state_source="none",
        commands=signal_config("actions", names, **{"timeout_s": 10.0, **signal}),
        states=signal_config("states", names, timeout_s=10.0), **changes,
    )  # fmt: skip

    def vector(value: float) -> list[float]:
        return [value] + [0.0] * (len(names) - 1)

    messages: list[tuple[Any, ...]] = [("frame", ns(100 * index)) for index in range(6)]
    for stamp_ms, value in commands:
        if config.command_type == "JointTrajectory":
            rows = [[time_ms * MS, *vector(number)] for time_ms, number in value]
            messages.append(("trajectory", ns(stamp_ms), np.array(rows)))
        else:
            messages.append(("command", ns(stamp_ms), np.array(vector(value))))
    if config.reads_measured_commands:
        messages += [("measured", ns(time_ms), np.array(vector(time_ms / 1000))) for time_ms in range(-400, 700, 100)]
    messages.append(("frame", ns(1000)))  # whatever has come by then is all that there is
    (window,) = feed(WindowStream(config), messages)
    return window


def first_joint(future: Future) -> list[float]:
    np.testing.assert_array_equal(future.values[:, 1:], 0)
    return [float(value) for value in future.values[:, 0]]


T, M, H = "trajectory", "measured", "held"
FIRST: tuple[float, Points] = (-300.0, [(0, 1.0)])  # in force until the next one, so that nothing is missing
# 10 at 400 ms, 20 at 600, 40 at 800
RISING: tuple[float, Points] = (300.0, [(100, 10.0), (300, 20.0), (500, 40.0)])


@pytest.mark.parametrize(
    ("reduction", "phase", "alignment", "values", "sources"),
    [
        ("pick", "first", "linear", [20, 40, 40], [T, T, H]),  # at 600, 800, 1000
        ("pick", "last", "linear", [30, 40, 40], [T, H, H]),  # at 700, 900, 1100
        ("pick", "last", "hold", [20, 40, 40], [T, H, H]),
        ("pick", "last", "nearest", [20, 40, 40], [T, H, H]),  # the earlier one on a tie
        ("mean", "first", "linear", [(20 + 30) / 2, 40, 40], [T, T, H]),  # at 600 and 700, 800 and 900, 1000 and 1100
        ("mean", "last", "linear", [(20 + 30) / 2, 40, 40], [T, T, H]),
        ("difference", "first", "linear", [20 - 10, 40 - 20, 0], [T, T, T]),  # from 400 to 600, to 800, to 1000
        ("difference", "last", "linear", [30 - 15, 40 - 30, 0], [T, T, H]),  # from 500 to 700, to 900, to 1100
        ("pose_delta", "first", "hold", [40 - 20, 0, 0], [T, T, H]),  # from 600 to 800, to 1000, to 1200
        ("pose_delta", "last", "hold", [40 - 20, 0, 0], [T, H, H]),  # from 700 to 900, to 1100, to 1300
    ],
)
def test_the_future_points_of_a_trajectory(
    reduction: Any, phase: Any, alignment: Any, values: list[float], sources: list[str]
) -> None:
    window = window_of(
        [FIRST, RISING], command_type="JointTrajectory", reduction=reduction, phase=phase, alignment=alignment
    )
    assert first_joint(window.future) == pytest.approx(values, abs=1e-9)
    assert list(window.future.sources) == sources
    last_ms = 400 if phase == "first" else 500
    assert window.future.steps_ns == tuple(ns(last_ms + 200 * step) for step in (1, 2, 3))
    assert window.step_stamps_ns[-1] == ns(last_ms)


@pytest.mark.parametrize(
    ("reduction", "counts"),
    [("pick", False), ("mean", True)],  # pick asks up to 400 ms, mean up to the last frame, at 500
)
def test_the_trajectory_in_force_at_the_last_needed_time_counts_and_no_newer_one(reduction: Any, counts: bool) -> None:
    newer = (450.0, [(0, 70.0)])
    much_newer = (501.0, [(0, 90.0)])
    changes: dict[str, Any] = {"command_type": "JointTrajectory", "reduction": reduction, "alignment": "linear"}
    before = window_of([FIRST, RISING], **changes)
    after = window_of([FIRST, RISING, newer, much_newer], **changes)
    if counts:
        assert first_joint(after.future) == [70, 70, 70]
    else:
        np.testing.assert_array_equal(after.future.values, before.future.values)
        assert after.future.sources == before.future.sources


def test_before_the_first_point_the_joints_stay_where_they_are_measured() -> None:
    """The trajectory begins at 350 ms and says nothing before 700 ms."""
    changes: dict[str, Any] = {"command_type": "JointTrajectory", "alignment": "linear"}
    late = (350.0, [(350, 70.0), (700, 140.0)])
    window = window_of([FIRST, late], **changes)
    assert window.actions.values[-1, 0] == 0.4  # measured at 400 ms
    assert first_joint(window.future) == pytest.approx([0.4, 90, 130])
    assert list(window.future.sources) == [M, T, T]
    window = window_of([FIRST, late], **{**changes, "reduction": "difference"})
    assert first_joint(window.future) == pytest.approx([0, 90 - 0.4, 40])
    assert list(window.future.sources) == [M, T, T]


@pytest.mark.parametrize("last_point_ms", [390, 400, 450])
def test_the_value_of_the_last_point_is_held_however_long_the_timeout_is(last_point_ms: int) -> None:
    window = window_of(
        [FIRST, (-200.0, [(0, 3.0), (200 + last_point_ms, 5.0)])],
        command_type="JointTrajectory", alignment="linear", timeout_s=0.02,
    )  # fmt: skip
    assert first_joint(window.future) == [5, 5, 5]
    assert list(window.future.sources) == [H, H, H]


@pytest.mark.parametrize(("on_missing", "value"), [("hold", 5.0), ("zero", 0.0)])
@pytest.mark.parametrize("reduction", ["pick", "difference"])
def test_what_has_timed_out_goes_on_as_the_last_action_was_filled_in(
    on_missing: Any, value: float, reduction: Any
) -> None:
    ended = (-500.0, [(0, 3.0), (600, 5.0)])  # its last point is 300 ms before the last step
    window = window_of(
        [ended], command_type="JointTrajectory", timeout_s=0.2, on_missing=on_missing, reduction=reduction
    )
    assert window.actions.missing > 0
    assert first_joint(window.future) == [value if reduction == "pick" else 0.0] * 3
    assert list(window.future.sources) == [H] * 3


# A command every 100 ms, from -300 ms on, and after the window: the square of its number.
SQUARES = [(100.0 * index, float((index + 4) ** 2)) for index in range(-4, 8)]


@pytest.mark.parametrize(
    ("changes", "last", "ahead"),
    [
        ({"reduction": "pick"}, 8**2, 8**2),
        ({"reduction": "pick", "phase": "last"}, 9**2, 9**2),
        ({"reduction": "mean"}, (8**2 + 9**2) / 2, (8**2 + 9**2) / 2),
        ({"reduction": "difference"}, 8**2 - 6**2, 0),  # a target that stays moves nothing
        ({"reduction": "sum", "tail": "hold"}, 7**2 + 8**2, 7**2 + 8**2),  # what the tail is goes on
        ({"reduction": "sum", "tail": "zero"}, 0, 0),
        ({"reduction": "pose_delta", "tail": "hold"}, 8**2 - 6**2, 8**2 - 6**2),
        ({"reduction": "pose_delta", "tail": "zero"}, 0, 0),
    ],
)
def test_without_trajectories_the_last_command_is_held(changes: dict[str, Any], last: float, ahead: float) -> None:
    window = window_of(SQUARES, **changes)
    assert window.actions.values[-1, 0] == last
    assert first_joint(window.future) == [ahead] * 3
    assert list(window.future.sources) == [H] * 3


def test_the_tail_is_about_the_last_action_only_where_there_is_a_trajectory() -> None:
    futures = []
    for tail, last in (("hold", 10 - 1), ("zero", 0), ("trajectory", 20 - 10)):
        window = window_of([FIRST, RISING], command_type="JointTrajectory", reduction="pose_delta", tail=tail)
        assert window.actions.values[-1, 0] == last
        futures.append(first_joint(window.future))
    assert futures == [[20, 0, 0]] * 3


def test_a_horizon_of_one_has_no_future() -> None:
    future = Future.none(7)
    assert (future.values.shape, future.steps_ns, future.sources) == ((0, 7), (), ())


def test_where_nothing_says_how_long_a_step_is_a_trajectory_cannot_be_read_ahead() -> None:
    changes: dict[str, Any] = {"num_frames": 2, "command_type": "JointTrajectory", "horizon": 2}
    with pytest.raises(ConfigError, match=r"latents\.horizon: with frame_rate 0 and one step"):
        stream_config(**changes)
    stream_config(**{**changes, "horizon": 1})
    stream_config(**{**changes, "frame_rate_hz": 10.0})
    stream_config(**{**changes, "num_frames": 4})
