"""Joints in messages of their own: jumps of time, what is kept, and any messages against the oracle."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support import oracle
from support.builders import MS, assert_same, oracle_arguments
from support.split_joints import NAMES, OTHER_ARM, T0_NS, Robot, S, arm, signal

from vjepa_ros.stream.joint_signal import JointSignal, Part

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
