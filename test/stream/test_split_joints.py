"""Joints as drivers send them: arm and gripper in messages of their own, other parts of the robot in between."""

from __future__ import annotations

from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import oracle
from support.builders import MS, assert_same, oracle_arguments, signal_config, stream_config

from vjepa_ros.images.preprocess import Preprocess
from vjepa_ros.stream.intake import Intake
from vjepa_ros.stream.joint_signal import JointSignal, Part
from vjepa_ros.stream.window import Window

S = 1000 * MS
T0_NS = 1_700_000_000 * S
ARM, GRIPPER, OTHER_ARM = ("a1", "a2", "a3"), ("g",), ("b1", "b2", "b3")
NAMES = (*ARM, *GRIPPER)


def header(stamp_ns: int) -> Any:
    sec, nanosec = divmod(stamp_ns, S)
    return SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=nanosec), frame_id="")


def joint_state(stamp_ns: int, **positions: float) -> Any:
    return SimpleNamespace(
        header=header(stamp_ns), name=list(positions), position=[*positions.values()], velocity=[], effort=[]
    )  # fmt: skip


def trajectory(stamp_ns: int, *points: tuple[float, dict[str, float]]) -> Any:
    """Points are (time from start in ms, positions)."""
    made = []
    for time_ms, positions in points:
        sec, nanosec = divmod(round(time_ms * MS), S)
        since = SimpleNamespace(sec=sec, nanosec=nanosec)
        made.append(
            SimpleNamespace(positions=[*positions.values()], velocities=[], effort=[], time_from_start=since)
        )  # fmt: skip
    return SimpleNamespace(header=header(stamp_ns), joint_names=list(points[0][1]), points=made)


def signal(prefix: str, **changes: Any) -> Any:
    return signal_config(prefix, NAMES, **changes)


class Robot:
    """An intake with what it reported and gave out; two steps a window, at its frames 0 and 2."""

    def __init__(self, **changes: Any) -> None:
        self.told: list[tuple[str, str, str]] = []
        self.windows: list[Window] = []
        signals = {"commands": signal("actions"), "states": signal("states")}
        self.config = stream_config(**{"num_frames": 4, "hop": 4, **signals, **changes})
        self.intake = Intake(self.config, Preprocess("square", (2, 2)), lambda *said: self.told.append(said))

    def frame(self, at_ms: float) -> None:
        message = SimpleNamespace(
            header=header(T0_NS + round(at_ms * MS)), encoding="mono8", height=2, width=2, step=2, is_bigendian=0,
            data=bytes(4),
        )  # fmt: skip
        self.windows += self.intake.image("/image", message, 0)

    def command(self, at_ms: float, **positions: float) -> None:
        self.windows += self.intake.joint_command("/commands", joint_state(T0_NS + round(at_ms * MS), **positions), 0)

    def state(self, at_ms: float, **positions: float) -> None:
        self.windows += self.intake.joint_state("/states", joint_state(T0_NS + round(at_ms * MS), **positions), 0)

    def frames(self, count: int = 4, first: int = 0) -> None:
        for index in range(first, first + count):
            self.frame(100.0 * index)


def arm(number: float) -> dict[str, float]:
    return {name: number + index / 10 for index, name in enumerate(ARM)}


# -- values


def test_arm_and_gripper_are_put_together_each_with_its_own_stamp() -> None:
    robot = Robot()
    for index in range(5):
        at_ms = 100.0 * index
        robot.command(at_ms, **arm(index))
        robot.command(at_ms, b1=9.0, b2=9.0, b3=9.0)  # of the other arm
        robot.command(at_ms - 30, g=-float(index))
        robot.state(at_ms - 10, g=float(index), **dict.fromkeys(OTHER_ARM, 9.0))  # with some that nobody wants
        robot.state(at_ms, **arm(10 + index))
    robot.frames()
    (window,) = robot.windows
    np.testing.assert_array_equal(window.actions.values, [[*arm(0).values(), 0], [*arm(2).values(), -2]])
    np.testing.assert_array_equal(window.states.values, [[*arm(10).values(), 0], [*arm(12).values(), 2]])
    assert window.actions.stamps_ns == (T0_NS, T0_NS + 200 * MS)  # of the newest message in it
    counters = robot.intake.counters
    assert (counters.foreign, counters.commands, counters.states, counters.late) == (5, 10, 10, 0)
    assert (robot.told, counters.rejected_total, counters.missing_commands) == ([], 0, 0)


def test_a_window_waits_for_every_joint_and_for_no_longer() -> None:
    robot = Robot(max_wait_s=60.0, state_source="none")
    robot.command(-10, g=1.0)
    robot.command(-10, **arm(1))
    robot.frames()
    robot.command(250, **arm(2))
    assert robot.windows == []
    robot.command(250, b1=1.0)
    assert robot.windows == []
    robot.command(199, g=2.0)
    assert robot.windows == []
    robot.command(200, g=3.0)
    (window,) = robot.windows
    assert window.actions.values[:, 3].tolist() == [1, 3]
    assert window.actions.values[:, 0].tolist() == [1, 1]
    robot.command(199, **arm(7))
    robot.command(201, g=7.0)
    assert robot.intake.counters.late_commands == 1


@pytest.mark.parametrize(
    ("on_missing", "expected"),
    [("skip", None), ("hold", [1.0, 1.1, 1.2, 5.0]), ("zero", [1.0, 1.1, 1.2, 0.0])],
)
def test_only_the_joint_that_has_timed_out_is_missing(on_missing: Any, expected: Any) -> None:
    commands = signal("actions", on_missing=on_missing, timeout_s=0.15)
    robot = Robot(commands=commands, state_source="none", max_wait_s=0.1)
    robot.command(0, **arm(0))
    robot.command(0, g=5.0)
    robot.command(100, **arm(1))
    robot.frames()
    counters = robot.intake.counters
    assert (counters.missing_commands, counters.windows_skipped) == (1, int(on_missing == "skip"))
    if expected is not None:
        (window,) = robot.windows
        assert window.actions.values[1].tolist() == expected
        assert window.actions.missing == 1


@pytest.mark.parametrize("on_missing", ["skip", "hold", "zero"])
def test_a_joint_that_has_never_come(on_missing: Any) -> None:
    commands = signal("actions", on_missing=on_missing)
    robot = Robot(commands=commands, state_source="none", max_wait_s=0.1)
    for index in range(4):
        robot.command(100.0 * index, **arm(index))
    robot.frames()
    assert robot.intake.counters.windows_skipped == int(on_missing != "zero")
    if on_missing == "zero":
        assert robot.windows[0].actions.values[1].tolist() == [2.0, 2.1, 2.2, 0.0]
    ((topic, reason, detail),) = robot.told
    assert (topic, reason) == ("/commands", "missing_joints")
    assert detail.startswith("no message so far has a value of 'g'; those that came are about 'a1', 'a2', 'a3'. ")
    assert detail.endswith("see joint_names")


def test_the_complaint_ends_when_the_joint_comes() -> None:
    robot = Robot(state_source="none", max_wait_s=0.1)
    for index in range(4):
        robot.command(100.0 * index, **arm(index))
    robot.frames()
    told = len(robot.told)
    assert told == 1
    robot.command(300, g=1.0)
    for index in range(4, 8):
        robot.command(100.0 * index, **arm(index))
        robot.command(100.0 * index, g=1.0)
    robot.frames(4, 4)
    assert (len(robot.windows), len(robot.told)) == (1, told)


def test_nothing_but_other_joints_is_said_and_counted() -> None:
    robot = Robot(max_wait_s=0.1, state_source="none")
    for index in range(8):
        robot.command(100.0 * index, b1=1.0, b2=2.0)
    robot.frames(8)
    assert (robot.windows, robot.intake.counters.foreign) == ([], 8)
    assert robot.intake.counters.windows_skipped == 2
    assert {(topic, reason) for topic, reason, _ in robot.told} == {("/commands", "missing_joints")}
    assert (
        "no message so far has a value of 'a1', 'a2', 'a3', 'g'; those that came are about 'b1', 'b2'"
        in (robot.told[0][2])
    )


def test_foreign_messages_never_warn_where_nothing_is_missing() -> None:
    robot = Robot(state_source="none")
    for index in range(200):
        robot.command(10.0 * index, **arm(index))
        robot.command(10.0 * index, g=1.0)
        robot.command(10.0 * index, b1=1.0)
        robot.command(10.0 * index)  # nothing at all
        if index % 10 == 0:
            robot.frame(10.0 * index)
    assert (robot.told, robot.intake.counters.foreign, len(robot.windows)) == ([], 400, 5)


@pytest.mark.parametrize(("alignment", "expected"), [("linear", [10.5, 8.0]), ("nearest", [10.0, 9.0])])
def test_joints_are_interpolated_each_between_its_own_messages(alignment: Any, expected: list[float]) -> None:
    robot = Robot(commands=signal("actions", alignment=alignment), state_source="none")
    robot.command(-50, g=5.0)
    robot.command(-100, **arm(9))
    robot.command(100, **arm(10))
    robot.command(190, g=6.0)
    robot.command(300, **arm(11))  # half of the way at 200 ms
    robot.command(205, g=9.0)  # two thirds of the way
    robot.frames()
    (window,) = robot.windows
    assert window.actions.values[1, [0, 3]].tolist() == pytest.approx(expected)


def test_sums_add_each_joints_own_motions() -> None:
    robot = Robot(reduction="sum", tail="zero", state_source="none")
    robot.command(0, **arm(0))
    robot.command(0, g=0.0)
    robot.command(50, **arm(1))
    robot.command(60, g=0.5)
    robot.command(60, g=0.5)  # repeated: ignored
    robot.command(100, g=0.25, **arm(2))
    robot.command(100, g=0.125, **arm(2))  # the same for the arm, and another motion of the gripper: no repetition
    robot.command(200, g=1.0)
    robot.command(201, g=100.0)
    robot.command(210, **arm(100))
    robot.frames()
    (window,) = robot.windows
    np.testing.assert_allclose(window.actions.values[0], [5.0, 5.3, 5.6, 1.875], rtol=0, atol=1e-12)
    assert robot.intake.counters.duplicates == 1


def test_an_arms_trajectory_is_not_replaced_by_the_grippers() -> None:
    robot = Robot(command_type="JointTrajectory", max_wait_s=0.1, horizon=2)

    def send(at_ms: float, *points: tuple[float, dict[str, float]]) -> None:
        message = trajectory(T0_NS + round(at_ms * MS), *points)
        robot.windows += robot.intake.joint_command("/commands", message, 0)

    send(0, (0, arm(1)), (200, arm(2)), (400, arm(4)))
    send(-100, (0, {"g": 5.0}))
    send(50, (100, {"g": 7.0}))
    send(100, (0, dict.fromkeys(OTHER_ARM, 9.0)))
    for index in range(4):
        robot.state(100.0 * index, **arm(20))
        robot.state(100.0 * index, g=-1.0)
    robot.frames()
    (window,) = robot.windows
    np.testing.assert_array_equal(window.actions.values, [[*arm(1).values(), 5.0], [*arm(2).values(), 7.0]])
    np.testing.assert_array_equal(window.future.values[0], [*arm(4).values(), 7.0])
    assert robot.intake.counters.foreign == 1


# -- jumps of time, and what is kept


def test_each_sender_jumps_by_itself() -> None:
    """The gripper's last message of the old time comes after the arm's first one of the new: both are kept apart."""
    robot = Robot(state_source="none", max_wait_s=60.0)
    for at_ms in (100_000.0, 100_100.0, 100_200.0, 100_300.0):
        robot.command(at_ms, **arm(1))
        robot.command(at_ms, g=1.0)
        robot.frame(at_ms)
    assert len(robot.windows) == 1
    robot.command(0, **arm(2))
    robot.command(100_310, g=9.0)
    robot.command(0, g=2.0)
    for index in range(4):
        robot.frame(100.0 * index)
        robot.command(100.0 * (index + 1), **arm(3))
        robot.command(100.0 * (index + 1), g=3.0)
    _, window = robot.windows
    assert window.epoch == 1
    assert window.actions.values[0].tolist() == [*arm(2).values(), 2.0]


def test_the_past_of_joints_that_came_together_is_kept_when_they_part() -> None:
    """It is as if they had been read apart from the beginning: nothing depends on when the first part comes."""
    together = JointSignal(S)
    parted = JointSignal(S)
    parted.insert(-S, Part(np.array([0.0]), np.array([1]), 3))  # long ago, and forgotten below
    for stamp_ns in (10, 20, 20, 30):
        for signal_ in (together, parted):
            signal_.insert(stamp_ns, np.array([1.0, 2.0, 3.0]) * stamp_ns)
    for signal_ in (together, parted):
        signal_.asked(25, looks_ahead=False)
        is_new, late = signal_.insert(22, Part(np.array([7.0, 8.0]), np.array([0, 2]), 3), oldest_needed_ns=5)
        assert (is_new, late) == (True, 1)
        signal_.insert(40, Part(np.array([9.0]), np.array([1]), 3), oldest_needed_ns=5)
        assert signal_.newest_ns == 30
        seen = {
            name: signal.between(0, 100)
            for group in signal_.groups
            for name, signal in ((tuple(group.joints.tolist()), group.signal),)
        }
        assert [stamp for stamp, _ in seen[0, 2]] == [10, 20, 22, 30]
        assert [value.tolist() for _, value in seen[0, 2]] == [[10, 30], [20, 60], [7, 8], [30, 90]]
        assert [(stamp, value.tolist()) for stamp, value in seen[(1,)]] == [
            (10, [20]), (20, [40]), (30, [60]), (40, [9])
        ]  # fmt: skip


def test_a_message_of_two_groups_is_late_once() -> None:
    signal_ = JointSignal(S)
    for joints in ([0], [1], [2]):
        signal_.insert(10, Part(np.zeros(1), np.array(joints), 3))
    signal_.asked(100, looks_ahead=False)
    assert signal_.insert(50, np.ones(3)) == (True, 1)
    assert signal_.insert(50, np.ones(3)) == (False, 0)
    assert signal_.insert(60, Part(np.ones(2), np.array([0, 1]), 3)) == (True, 1)


def test_any_number_of_sets_of_joints_fills_no_memory() -> None:
    rng = np.random.default_rng(0)
    signal_ = JointSignal(S)
    for stamp_ns in range(2_000):
        joints = np.flatnonzero(rng.random(40) < 0.5)
        if 0 < len(joints) < 40:
            signal_.insert(stamp_ns, Part(np.ones(len(joints)), joints, 40), oldest_needed_ns=stamp_ns - 10)
    assert len(signal_.groups) == 40
    assert len(signal_._ways) <= 65
    assert len(signal_) < 40


def test_where_every_message_has_all_joints_there_is_one_signal() -> None:
    robot = Robot()
    for index in range(40):
        robot.command(10.0 * index, g=1.0, **arm(index))
        robot.state(10.0 * index, **arm(index), g=1.0, b1=3.0)
    robot.frames()
    stream = robot.intake.stream
    assert [len(signal_.groups) for signal_ in (stream._commands, stream._states)] == [1, 1]
    assert len(robot.windows) == 1


# -- any messages, through the intake


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(["skip", "hold", "zero"]), st.sampled_from(["pick", "mean", "sum"]))
def test_any_senders_give_the_oracles_windows(seed: int, on_missing: Any, reduction: Any) -> None:
    """Drivers of some of the joints each, at other rates, with joints of their own and in any order."""
    random = Random(seed)
    if reduction == "sum" and on_missing == "hold":
        on_missing = "zero"
    commands = signal("actions", on_missing=on_missing, timeout_s=random.choice([0.06, 0.3]))
    robot = Robot(
        commands=commands, states=signal("states", timeout_s=0.3), reduction=reduction, max_wait_s=1e6, hop=2
    )  # fmt: skip
    sent: list[tuple[float, str, dict[str, float]]] = []
    for kind in ("command", "state"):
        names = list(NAMES)
        random.shuffle(names)
        cut = sorted(random.choices(range(len(names) + 1), k=2))
        for own in (names[: cut[0]], names[cut[0] : cut[1]], names[cut[1] :], [*OTHER_ARM]):
            period_ms = random.choice([7.0, 20.0, 45.0])
            names_sent = [*own, *random.sample(OTHER_ARM, random.randint(0, 2))]
            for index in range(round(500 / period_ms)):
                random.shuffle(names_sent)
                values = {name: random.randint(-8, 8) / 2 for name in names_sent}
                sent.append((round(index * period_ms + random.uniform(-3, 3), 3), kind, values))
    messages = [*sent, *((100.0 * index, "frame", {}) for index in range(5))]
    delay_ms = {"command": random.choice([0.0, 30.0]), "state": 25.0, "frame": 0.0}
    messages.sort(key=lambda message: (message[0] + delay_ms[message[1]], message[1]))
    lists: dict[str, list[Any]] = {"frame": [], "command": [], "state": []}
    for at_ms, kind, values in messages:
        stamp_ns = T0_NS + round(at_ms * MS)
        if kind == "frame":
            robot.frame(at_ms)
            lists[kind].append((stamp_ns,))
            continue
        (robot.command if kind == "command" else robot.state)(at_ms, **values)
        vector = np.array([values.get(name, np.nan) for name in NAMES])
        if not np.isnan(vector).all():
            lists[kind].append((stamp_ns, vector))
    assert robot.intake.counters.late == 0
    assert robot.intake.counters.foreign == len(sent) - len(lists["command"]) - len(lists["state"])
    expected = oracle.windows(lists["frame"], lists["command"], lists["state"], **oracle_arguments(robot.config))
    assert_same(robot.windows, expected)
