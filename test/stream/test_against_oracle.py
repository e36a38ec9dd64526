"""The streams against the oracle over all modes: jitter, drops, duplicates, any order of arrival, jumps of time; joints
that come together, and in messages of their own from senders at other rates.
"""

from __future__ import annotations

import os
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from support import oracle
from support.builders import (
    MS,
    NAMES,
    assert_own_images,
    assert_same,
    feed,
    oracle_arguments,
    signal_config,
    stream_config,
)

from vjepa_ros.config import stream as sc
from vjepa_ros.config.inputs import COMMAND_TYPES
from vjepa_ros.config.reductions import REDUCTIONS
from vjepa_ros.config.stream import SignalConfig, StreamConfig
from vjepa_ros.errors import ConfigError
from vjepa_ros.geometry import Vector
from vjepa_ros.stream.window_stream import WindowStream

Message = tuple[Any, ...]
Mask = NDArray[np.bool_]
POSE_NAMES = tuple("xyzabcg")


def configuration(random: Random) -> StreamConfig | None:
    """Any combination of everything; None where it is refused."""
    stride = random.choice([1, 2, 4])
    rate = random.choice([0.0, 4.0, 10.0, 29.97, 50.0])
    reduction = random.choice(tuple(REDUCTIONS))
    names = POSE_NAMES if reduction == "pose_delta" else NAMES

    def signal(prefix: str) -> SignalConfig:
        return signal_config(
            prefix,
            names,
            alignment=random.choice(sc.ALIGNMENTS),
            timeout_s=random.choice([0.02, 0.1, 10.0]),
            on_missing=random.choice(sc.ON_MISSING),
        )

    try:
        return stream_config(
            num_frames=stride * random.randint(1, 4),
            stride=stride,
            hop=stride * random.randint(1, 2),
            phase=random.choice(sc.PHASES),
            frame_rate_hz=rate,
            max_gap_s=2.5 / rate if rate else random.choice([0.08, 0.15, 1.0]),
            max_wait_s=random.choice([0.0, 0.05, 0.2, 1e6]),
            command_type=random.choice(tuple(COMMAND_TYPES)),
            reduction=reduction,
            tail=random.choice(sc.TAILS),
            state_source=random.choice(sc.STATE_SOURCES),
            commands=signal("actions"),
            states=signal("states"),
            horizon=random.choice([1, 2, 5]),
        )
    except ConfigError:
        return None


@st.composite
def configurations(draw: st.DrawFn) -> StreamConfig:
    """Any combination that is not refused."""
    random = Random(draw(st.integers(0, 2**32)))
    while (config := configuration(random)) is None:
        pass
    return config


def values(random: Random, dim: int) -> Vector:
    """Whole and half numbers, so that sums and means are exact in any order; as angles, of any size."""
    return np.array([random.randint(-8, 8) / 2 for _ in range(dim)])


def trajectory(random: Random, dim: int) -> Vector:
    """(points, 1 + dim): up to four points, the first one now or soon."""
    times_ms = sorted(random.sample(range(0, 200, 10), random.randint(1, 4)))
    return np.array([[time_ms * MS, *values(random, dim)] for time_ms in times_ms])


@st.composite
def signals(
    draw: st.DrawFn, kind: str, period_ns: int, most: int, dim: int, offset_ns: int = 0, sent: Mask | None = None
) -> list[Message]:
    """Messages about a period apart: stamps jittered (sometimes equal), some dropped, some sent twice.

    Args:
        draw, kind, period_ns, most, dim, offset_ns: of which there are how many, and from when on.
        sent: the joints that are in them; none at all: others in each. None: all of them.
    """
    messages: list[Message] = []
    random = Random(draw(st.integers(0, 2**32)))
    fates = ["sent"] * draw(st.sampled_from([6, 60])) + ["dropped", "twice", "on the grid"]
    for index in range(draw(st.integers(0, most) | st.just(most))):
        fate = random.choice(fates)
        jitter_ns = 0 if fate == "on the grid" else random.randint(-period_ns // 2, period_ns // 2)
        value = trajectory(random, dim) if kind == "trajectory" else values(random, dim)
        if sent is not None:
            there = sent if sent.any() else some_of(random, dim)
            value[..., int(kind == "trajectory") :][..., ~there] = np.nan
        message = (kind, offset_ns + (index + 1) * period_ns + jitter_ns, value)
        messages += [message] * {"dropped": 0, "twice": 2}.get(fate, 1)
    return messages


@st.composite
def frames(draw: st.DrawFn, most: int = 40, offset_ns: int = 0) -> list[Message]:
    period_ns = draw(st.sampled_from([20, 33, 50])) * MS
    return [message[:2] for message in draw(signals("frame", period_ns, most, 0, offset_ns))]


def some_of(random: Random, dim: int) -> Mask:
    """Some of the joints, at least one, perhaps all."""
    there = np.array([random.random() < 0.6 for _ in range(dim)])
    there[random.randrange(dim)] = True
    return there


@st.composite
def senders(draw: st.DrawFn, dim: int, split: bool) -> list[Mask | None]:
    """Who sends which joints: one all of them; one others in each message; two or three have their own."""
    how = draw(st.sampled_from(["own", "any"])) if split else "all"
    if how != "own":
        return [None if how == "all" else np.zeros(dim, bool)]
    owner = np.array(draw(st.lists(st.integers(0, 2), min_size=dim, max_size=dim)))
    owner[0] = 0
    owner[-1] = 1
    return [owner == number for number in range(3) if (owner == number).any()]


@st.composite
def joints(draw: st.DrawFn, config: StreamConfig, offset_ns: int = 0, split: bool = False) -> list[list[Message]]:
    """What arrives besides frames, by sender: commands, and whatever of states and measured values is read."""
    of_commands = ("trajectory", [50, 100]) if config.command_type == "JointTrajectory" else ("command", [10, 40])
    kinds = [(*of_commands, config.commands.dim)]
    if config.state_source == "joint_states":
        kinds.append(("state", [10, 25], config.states.dim))
    if config.reads_measured_commands:
        kinds.append(("measured", [10, 25], config.commands.dim))
    parts = []
    for kind, periods, dim in kinds:
        is_split = split and draw(st.sampled_from([True, True, False]))
        for sent in draw(senders(dim, is_split)):
            period_ns = draw(st.sampled_from(periods)) * MS
            parts.append(draw(signals(kind, period_ns, 80, dim, offset_ns, sent)))
    return parts


def displaced(data: st.DataObject, messages: list[Message], most: int) -> list[Message]:
    """The messages with some moved later by up to ``most`` places."""
    random = Random(data.draw(st.integers(0, 2**32)))
    keys = [index + random.randint(0, most) for index in range(len(messages))]
    return [message for _, message in sorted(zip(keys, messages, strict=True), key=lambda pair: pair[0])]


def merged(data: st.DataObject, *streams: list[Message]) -> list[Message]:
    """One interleaving of streams that keep their own order."""
    order = [index for index, stream in enumerate(streams) for _ in stream]
    Random(data.draw(st.integers(0, 2**32))).shuffle(order)
    iterators = [iter(stream) for stream in streams]
    return [next(iterators[index]) for index in order]


def expected_of(messages: list[Message], config: StreamConfig) -> list[dict[str, Any]]:
    """What the oracle says."""
    kinds = {"frame": "frames", "command": "commands", "trajectory": "commands", "state": "states"}
    lists: dict[str, list[Any]] = {"frames": [], "commands": [], "states": [], "measured": []}
    for kind, stamp_ns, *value in messages:
        if kind == "trajectory":
            value = [[(int(point[0]), point[1:]) for point in value[0]]]
        lists[kinds.get(str(kind), "measured")].append((stamp_ns, *value))
    return oracle.windows(**lists, **oracle_arguments(config))


def parts_of(whole: int, split: int) -> list[tuple[int, bool]]:
    """Parts of 500 sequences each, with whole and with split messages, so that none of them is long.

    Of each kind a third is run with all tests, and all, more than 15,000 sequences, by ``make fuzz``.
    """
    parts = [(part, part >= whole) for part in range(whole + split)]
    return parts if "VJEPA_ROS_FUZZ" in os.environ else parts[::3]


def in_order(parts: list[list[Message]]) -> list[list[Message]]:
    """Each stream in the order of its stamps."""
    return [sorted(part, key=lambda message: message[1]) for part in parts]


def patient(config: StreamConfig) -> StreamConfig:
    """The configuration, waiting for every message."""
    return replace(config, max_wait_s=1e6)


@pytest.mark.parametrize(("part", "split"), parts_of(whole=12, split=4))
def test_without_late_messages_the_windows_are_the_oracles(part: int, split: bool) -> None:
    compared: list[int] = []

    @seed(part)
    @settings(max_examples=500, deadline=None, database=None)
    @given(st.data(), configurations())
    def check(data: st.DataObject, config: StreamConfig) -> None:
        most = data.draw(st.sampled_from([0, 2, 6]), "displacement")
        parts = [data.draw(frames(), "frames"), *data.draw(joints(config, split=split), "joints")]
        messages = merged(data, *(displaced(data, stream, most) for stream in parts))
        stream = WindowStream(config)
        windows = feed(stream, messages)
        expected = expected_of(messages, config)
        # Late messages change values and what is missing, but neither frames nor the number of windows that end.
        assert stream.counters.windows + stream.counters.windows_skipped >= len(expected)
        assert_own_images(windows)
        if stream.counters.late == 0:
            assert_same(windows, expected)
            compared.append(len(expected))

    check()
    assert sum(number > 0 for number in compared) >= 25, "too few examples with windows to mean anything"


@pytest.mark.parametrize(("part", "split"), parts_of(whole=9, split=4))
def test_any_interleaving_of_ordered_senders_is_never_late_and_equals_the_oracle(part: int, split: bool) -> None:
    compared: list[int] = []

    @seed(part)
    @settings(max_examples=500, deadline=None, database=None)
    @given(st.data(), configurations().map(patient))
    def check(data: st.DataObject, config: StreamConfig) -> None:
        parts = in_order([*data.draw(joints(config, split=split), "joints"), data.draw(frames(), "frames")])
        messages = merged(data, *parts)
        stream = WindowStream(config)
        windows = feed(stream, messages)
        expected = expected_of(messages, config)
        assert stream.counters.late == 0
        assert_same(windows, expected)
        assert stream.counters.windows == len(expected)
        compared.append(len(expected))

    check()
    assert sum(number > 0 for number in compared) >= 111, "too few examples with windows to mean anything"


@pytest.mark.parametrize("split", [False, True])
@settings(max_examples=500, deadline=None)
@given(st.data(), configurations().map(patient))
def test_after_a_jump_back_of_time_each_stretch_is_a_recording_of_its_own(
    split: bool, data: st.DataObject, config: StreamConfig
) -> None:
    messages: list[Message] = []
    for offset_ns in (100_000 * MS, 50_000 * MS):
        parts = in_order(data.draw(joints(config, offset_ns, split), "joints"))
        # The joints of the new stretch begin before its frames do: the reset must not lose them.
        kinds = ["command", *(["state"] if config.state_source == "joint_states" else [])]
        start: list[Message] = [(kind, offset_ns, np.full(config.commands.dim, 0.5)) for kind in kinds]
        if config.reads_measured_commands:
            point = np.full((1, 1 + config.commands.dim), 0.0)
            start = [("trajectory", offset_ns, point), ("measured", offset_ns, point[0, 1:]), *start[1:]]
        frame_part = [("frame", offset_ns + 5 * MS), *data.draw(frames(offset_ns=offset_ns + 30 * MS), "frames")]
        messages += start + merged(data, in_order([frame_part])[0], *parts)
    stream = WindowStream(config)
    windows = feed(stream, messages)
    assert_same(windows, expected_of(messages, config))
    assert stream.epoch == 1
    assert stream.counters.resets == 1
