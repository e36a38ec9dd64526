"""Every way in which commands become actions, and commands or measurements states, on a window that can be counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.builders import MS, feed, signal_config, stream_config

from vjepa_ros.geometry import pose_delta
from vjepa_ros.stream.actions import StepTimes
from vjepa_ros.stream.window import Window
from vjepa_ros.stream.window_stream import WindowStream

GOLDEN = Path(__file__).parents[1] / "data" / "reference" / "golden.npz"
ONE = ("joint_a",)
FOREVER_S = 1e6
T0_MS = 10_000  # all times below are counted from here


def ns(time_ms: float) -> int:
    """A stamp."""
    return round((T0_MS + time_ms) * MS)


def window_of(commands: list[tuple[float, Any]], states: list[tuple[float, Any]] | None = None, **changes: Any) -> Any:
    """The one window of six frames at 0, 100 .. 500 ms; steps at 0, 200, 400 ms, or 100, 300, 500 with phase last.

    A command after everything and states at every frame make it ready.
    """
    names = changes.pop("names", ONE)
    on_missing = changes.pop("on_missing", "skip")
    alignment = changes.pop("alignment", "hold")
    timeout_s = changes.pop("timeout_s", 10.0)
    one = {"names": names, "on_missing": on_missing, "timeout_s": timeout_s}
    config = stream_config(
        num_frames=6, hop=6, max_wait_s=FOREVER_S, commands=signal_config("actions", alignment=alignment, **one),
        states=signal_config("states", **one), **changes,
    )  # fmt: skip
    kind = "trajectory" if config.command_type == "JointTrajectory" else "command"
    if states is None:
        states = [(100.0 * index, np.full(len(names), 1000.0 + index)) for index in range(6)]
    last = commands[-1][1] if commands else np.zeros(len(names))
    messages: list[tuple[Any, ...]] = [
        *((kind, ns(stamp_ms), np.atleast_1d(np.array(v, np.float64))) for stamp_ms, v in commands),
        (kind, ns(600), np.atleast_1d(np.array(last, np.float64))),
    ]
    for stamp_ms, value in states:
        messages.append(("state", ns(stamp_ms), np.atleast_1d(np.array(value, np.float64))))
        if config.reads_measured_commands:
            messages.append(("measured", *messages[-1][1:]))
    messages += [("frame", ns(100 * index)) for index in range(6)]
    windows: list[Window] = feed(WindowStream(config), messages)
    return windows[0] if windows else None


def column(values: NDArray[np.float64]) -> list[float]:
    """The only joint's values."""
    assert values.shape == (3, 1)
    return [float(value) for value in values[:, 0]]


# A target every 50 ms from -400 ms on: the square of its number, so that neither sums nor means hide a mix-up.
SQUARES = [(50.0 * index, float((index + 8) ** 2)) for index in range(-8, 11)]


@pytest.mark.parametrize(
    ("reduction", "phase", "expected"),
    [
        ("pick", "first", [8**2, 12**2, 16**2]),
        ("pick", "last", [10**2, 14**2, 18**2]),
        # over both frames of a step, whatever the phase
        ("mean", "first", [(8**2 + 10**2) / 2, (12**2 + 14**2) / 2, (16**2 + 18**2) / 2]),
        ("mean", "last", [(8**2 + 10**2) / 2, (12**2 + 14**2) / 2, (16**2 + 18**2) / 2]),
        # to the step before the first there are 200 ms as well
        ("difference", "first", [8**2 - 4**2, 12**2 - 8**2, 16**2 - 12**2]),
        ("difference", "last", [10**2 - 6**2, 14**2 - 10**2, 18**2 - 14**2]),
    ],
)
def test_targets(reduction: Any, phase: Any, expected: list[float]) -> None:
    window = window_of(SQUARES, reduction=reduction, phase=phase)
    assert column(window.actions.values) == expected
    last_of_steps = [100, 300, 500] if phase == "last" or reduction == "mean" else [0, 200, 400]
    assert window.actions.stamps_ns == tuple(map(ns, last_of_steps))
    assert window.held == 0


def test_a_difference_begins_where_the_step_before_was_sent() -> None:
    """Known where nothing else says where the robot is, for who adds actions up."""
    for phase, was in (("first", 12.0**2), ("last", 14.0**2)):
        window = window_of(SQUARES, reduction="difference", phase=phase, state_source="none")
        assert window.origin is not None and window.origin.tolist() == [was]
        assert (window.origin + window.actions.values[-1]).tolist() == [(was**0.5 + 4) ** 2]
    assert window_of(SQUARES, reduction="difference").origin is None
    assert window_of(SQUARES, reduction="pick", state_source="none").origin is None


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        # (0, 200]: 9, 10, 11, 12; (200, 400]: 13, 14, 15, 16; what follows is not known yet
        ("first", [9 + 10 + 11 + 12, 13 + 14 + 15 + 16]),
        ("last", [11 + 12 + 13 + 14, 15 + 16 + 17 + 18]),
    ],
)
@pytest.mark.parametrize("tail", ["hold", "zero"])
def test_deltas_are_added_over_half_open_intervals(phase: Any, expected: list[float], tail: Any) -> None:
    numbers = [(50.0 * index, index + 8.0) for index in range(-8, 11)]
    window = window_of(numbers, reduction="sum", phase=phase, tail=tail)
    assert column(window.actions.values) == [*expected, expected[-1] if tail == "hold" else 0.0]


def test_held_samples_are_not_added_and_silence_is_no_motion_until_the_timeout() -> None:
    one_push = [(-100.0, 7.0), (150.0, 5.0)]
    window = window_of(one_push, reduction="sum", tail="zero", timeout_s=0.25)
    assert column(window.actions.values) == [5, 0, 0]  # 5 in (0, 200], nothing in (200, 400]
    assert window.actions.missing == 0
    assert window_of(one_push, reduction="sum", tail="zero", timeout_s=0.249) is None
    window = window_of(one_push, reduction="sum", tail="zero", timeout_s=0.249, on_missing="zero")
    assert column(window.actions.values) == [5, 0, 0]
    assert window.actions.missing == 2  # step 1, whose interval ends at 400 ms, and the last


def test_a_delta_on_the_edge_belongs_to_the_interval_that_it_ends() -> None:
    window = window_of([(0.0, 1.0), (200.0, 10.0), (400.0, 100.0)], reduction="sum", tail="zero")
    assert column(window.actions.values) == [10, 100, 0]


@pytest.mark.parametrize(("reduction", "expected"), [("pick", [8.5, 12.5, 16.5]), ("mean", [9.5, 13.5, 17.5])])
def test_targets_between_messages(reduction: Any, expected: list[float]) -> None:
    numbers = [(50.0 * index - 25.0, index + 8.0) for index in range(-8, 12)]
    window = window_of(numbers, reduction=reduction, alignment="linear")
    assert column(window.actions.values) == pytest.approx(expected, abs=1e-12)


def test_a_missing_part_makes_the_whole_action_missing() -> None:
    late_start = [(100.0, 1.0), (300.0, 3.0), (500.0, 5.0)]
    for reduction in ("mean", "difference"):
        assert window_of(late_start, reduction=reduction) is None
        assert window_of(late_start, reduction=reduction, on_missing="hold") is None  # nothing to hold
    window = window_of(late_start, reduction="mean", on_missing="zero")
    assert column(window.actions.values) == [0, 2, 4]
    assert window.actions.stamps_ns == (None, ns(300), ns(500))
    window = window_of(late_start, reduction="difference", on_missing="zero")
    assert column(window.actions.values) == [0, 0, 2]  # at 400 ms 3 is in force, at 200 ms 1
    assert window.actions.missing == 2


# -- end-effector poses

POSES = tuple("xyzabcg")


def pose(x: float, yaw: float, gripper: float = 0.0) -> list[float]:
    return [x, 0.0, 0.0, 0.0, 0.0, yaw, gripper]


TURNS = [(0.0, pose(0.0, 3.0)), (200.0, pose(0.1, -3.0, 1.0)), (400.0, pose(0.3, -2.5, 0.5))]


@pytest.mark.parametrize("tail", ["hold", "zero"])
def test_pose_deltas_wrap_around(tail: Any) -> None:
    window = window_of(TURNS, reduction="pose_delta", tail=tail, names=POSES)
    steps = [pose(0.1, 2 * np.pi - 6.0, 1.0), pose(0.2, 0.5, -0.5)]
    expected = [*steps, steps[-1] if tail == "hold" else np.zeros(7)]
    np.testing.assert_allclose(window.actions.values, expected, rtol=0, atol=1e-12)


def test_the_tail_reads_on_in_the_trajectory_in_force() -> None:
    """It goes by 1 m/s for 400 ms, then stands at the next point for longer; the last interval is 400 to 600 ms."""
    plan = [[time_ms * MS, *pose(time_ms / 1000, 0.0)] for time_ms in (0, 100, 200, 300, 400, 500, 550)]
    changed_too_late = [[0.0, *pose(9.0, 0.0)]]
    window = window_of(
        [(0.0, plan), (401.0, changed_too_late)], reduction="pose_delta", tail="trajectory", names=POSES,
        command_type="JointTrajectory",
    )  # fmt: skip
    expected = [pose(0.2, 0.0), pose(0.2, 0.0), pose(0.15, 0.0)]  # at 600 ms its last point, of 550, holds
    np.testing.assert_allclose(window.actions.values, expected, rtol=0, atol=1e-12)


def test_pose_deltas_are_the_public_codes() -> None:
    golden = np.load(GOLDEN)
    delta = pose_delta(golden["pose_from"], golden["pose_to"])
    assert delta.shape == (200, 7)
    worst = float(np.abs(delta - golden["pose_delta"]).max())
    print(f"largest difference {worst:.1e}")
    assert worst <= 1e-9


def test_a_window_of_golden_poses() -> None:
    golden = np.load(GOLDEN)
    for start, end, delta in zip(golden["pose_from"], golden["pose_to"], golden["pose_delta"], strict=True):
        window = window_of([(0.0, start), (200.0, end)], reduction="pose_delta", tail="zero", names=POSES)
        np.testing.assert_allclose(window.actions.values[0], delta, rtol=0, atol=1e-9)


# -- states


def test_states_are_measured_at_the_steps() -> None:
    assert column(window_of(SQUARES).states.values) == [1000, 1002, 1004]
    assert column(window_of(SQUARES, phase="last").states.values) == [1001, 1003, 1005]


def test_states_that_are_the_previous_steps_commands() -> None:
    window = window_of(SQUARES, states=[], state_source="commands")
    assert column(window.states.values) == [4**2, 8**2, 12**2]
    assert window.states.stamps_ns == (ns(-200), ns(0), ns(200))
    poses = window_of([(-200.0, pose(-1.0, 0.0)), *TURNS], states=[], state_source="commands", names=POSES,
                      reduction="pose_delta")  # fmt: skip
    np.testing.assert_array_equal(poses.states.values[:, 0], [-1.0, 0.0, 0.1])


def test_without_a_command_before_the_first_step_there_is_no_state_for_it() -> None:
    from_zero = [message for message in SQUARES if message[0] >= 0]
    assert window_of(from_zero, states=[], state_source="commands") is None
    window = window_of(from_zero, states=[], state_source="commands", on_missing="zero")
    assert column(window.states.values) == [0, 8**2, 12**2]
    assert (window.states.missing, window.actions.missing) == (1, 0)


def test_no_states_are_zeros_that_nothing_waits_for_and_nobody_misses() -> None:
    window = window_of(SQUARES, states=[], state_source="none")
    assert column(window.states.values) == [0, 0, 0]
    assert window.states.stamps_ns == (None, None, None)
    assert window.held == 0


@pytest.mark.parametrize(("rate", "period_ns"), [(10.0, 200 * MS), (0.0, 0)])
def test_a_window_of_one_step_takes_its_neighbours_from_the_frame_rate(rate: float, period_ns: int) -> None:
    config = stream_config(num_frames=2, hop=2, frame_rate_hz=rate)
    times = StepTimes.of((1000 * MS, 1100 * MS), config)
    assert times.steps_ns == (1000 * MS,)
    assert (times.before_ns, times.after_ns) == (1000 * MS - period_ns, 1000 * MS + period_ns)


# -- why deltas are added


def test_every_second_delta_is_half_of_the_motion_and_the_sum_is_all_of_it() -> None:
    """A joint swings along a known path; a controller at 20 Hz sends by how much it moves with each camera frame."""
    frames_ms = 50.0 * np.arange(17)
    path = 0.3 * np.sin(2 * np.pi * frames_ms / 4000) + 0.001 * frames_ms  # rad
    deltas = [(stamp_ms, float(delta)) for stamp_ms, delta in zip(frames_ms[1:], np.diff(path), strict=True)]

    def travelled(reduction: Any, **changes: Any) -> NDArray[np.float64]:
        """What the window's first seven actions add up to; the eighth's interval ends after the window."""
        config = stream_config(
            reduction=reduction, max_wait_s=FOREVER_S, state_source="none", states=signal_config("states", ONE),
            commands=signal_config("actions", ONE), **changes,
        )  # fmt: skip
        messages = [("command", round(stamp * MS), np.array([delta])) for stamp, delta in [(0.0, 0.0), *deltas]]
        (window,) = feed(WindowStream(config), [*messages, *(("frame", round(s * MS)) for s in frames_ms[:16])])
        assert window.actions.values.shape == (8, 1)
        return np.cumsum(window.actions.values[:7, 0])

    whole = path[2:16:2] - path[0]  # at frames 2, 4 .. 14
    by_sum, by_pick = travelled("sum"), travelled("pick", phase="last")
    print(f"path {whole[-1]:.4f} rad, sum {by_sum[-1]:.4f} rad, every second delta {by_pick[-1]:.4f} rad")
    np.testing.assert_allclose(by_sum, whole, rtol=0, atol=1e-12)
    assert by_pick[-1] / whole[-1] == pytest.approx(0.5, abs=0.01)
    assert np.abs(by_pick - whole).max() > 0.4
