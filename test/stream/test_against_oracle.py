"""The streams against the oracle: jitter, drops, duplicates, any order of arrival."""

from __future__ import annotations

from random import Random
from typing import Any

import oracle
from builders import MS, assert_own_images, assert_same, feed, oracle_arguments, stream_config, vector
from hypothesis import given, settings
from hypothesis import strategies as st

from vjepa_ros.stream.window import WindowStream

Message = tuple[Any, ...]


@st.composite
def configurations(draw: st.DrawFn) -> Any:
    stride = draw(st.sampled_from([1, 2, 4]))
    rate = draw(st.sampled_from([0.0, 4.0, 10.0, 29.97, 50.0]))
    return stream_config(
        num_frames=stride * draw(st.integers(1, 4)),
        stride=stride,
        hop=stride * draw(st.integers(1, 2)),
        phase=draw(st.sampled_from(["first", "last"])),
        frame_rate_hz=rate,
        max_gap_s=2.5 / rate if rate else draw(st.sampled_from([0.08, 0.15, 1.0])),
        max_wait_s=draw(st.sampled_from([0.0, 0.05, 0.2, 1e6])),
        timeout_s=draw(st.sampled_from([0.02, 0.1, 10.0])),
        on_missing=draw(st.sampled_from(["skip", "hold", "zero"])),
    )


@st.composite
def signals(draw: st.DrawFn, kind: str, period_ns: int, most: int, offset_ns: int = 0) -> list[Message]:
    """Messages about a period apart: stamps jittered (sometimes equal), some dropped, some sent twice."""
    messages: list[Message] = []
    random = Random(draw(st.integers(0, 2**32)))
    fates = ["sent"] * draw(st.sampled_from([6, 60])) + ["dropped", "twice", "on the grid"]
    for index in range(draw(st.integers(0, most) | st.just(most))):
        fate = random.choice(fates)
        jitter_ns = 0 if fate == "on the grid" else random.randint(-period_ns // 2, period_ns // 2)
        message = (kind, offset_ns + (index + 1) * period_ns + jitter_ns, vector(index))
        messages += [message] * {"dropped": 0, "twice": 2}.get(fate, 1)
    return messages


@st.composite
def frames(draw: st.DrawFn, most: int = 40, offset_ns: int = 0) -> list[Message]:
    period_ns = draw(st.sampled_from([20, 33, 50])) * MS
    return [message[:2] for message in draw(signals("frame", period_ns, most, offset_ns))]


@st.composite
def joints(draw: st.DrawFn, offset_ns: int = 0) -> tuple[list[Message], list[Message]]:
    commands = draw(signals("command", draw(st.sampled_from([10, 40])) * MS, 80, offset_ns))
    states = draw(signals("state", draw(st.sampled_from([10, 25])) * MS, 80, offset_ns))
    return commands, states


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


def split(messages: list[Message]) -> tuple[list[Message], list[Message], list[Message]]:
    by_kind: dict[str, list[Message]] = {"frame": [], "command": [], "state": []}
    for kind, *rest in messages:
        by_kind[kind].append(tuple(rest))
    return by_kind["frame"], by_kind["command"], by_kind["state"]


def test_without_late_messages_the_windows_are_the_oracles() -> None:
    compared: list[int] = []

    @settings(max_examples=400, deadline=None)
    @given(st.data(), configurations())
    def check(data: st.DataObject, config: Any) -> None:
        most = data.draw(st.sampled_from([0, 2, 6]), "displacement")
        commands, states = data.draw(joints(), "joints")
        parts = [displaced(data, part, most) for part in (data.draw(frames(), "frames"), commands, states)]
        messages = merged(data, *parts)
        stream = WindowStream(config)
        windows = feed(stream, messages)
        expected = oracle.windows(*split(messages), **oracle_arguments(config))
        assert stream.counters.windows + stream.counters.windows_skipped >= len(expected)
        if stream.counters.late == 0:
            assert_same(windows, expected)
            assert_own_images(windows)
            compared.append(len(expected))

    check()
    assert sum(number > 0 for number in compared) >= 20, "too few examples with windows to mean anything"


def test_any_interleaving_of_ordered_topics_is_never_late_and_equals_the_oracle() -> None:
    compared: list[int] = []

    @settings(max_examples=400, deadline=None)
    @given(st.data(), configurations())
    def check(data: st.DataObject, config: Any) -> None:
        config = stream_config(**{**vars(config), "max_wait_s": 1e6})
        joint_parts = data.draw(joints(), "joints")
        commands, states = (sorted(part, key=lambda message: message[1]) for part in joint_parts)
        messages = merged(data, data.draw(frames(), "frames"), commands, states)
        stream = WindowStream(config)
        windows = feed(stream, messages)
        expected = oracle.windows(*split(messages), **oracle_arguments(config))
        assert stream.counters.late == 0
        assert_same(windows, expected)
        assert_own_images(windows)
        assert stream.counters.windows == len(expected)
        compared.append(len(expected))

    check()
    assert sum(number > 0 for number in compared) >= 100, "too few examples with windows to mean anything"


@settings(max_examples=100, deadline=None)
@given(st.data(), configurations())
def test_after_a_jump_back_of_time_each_stretch_is_a_recording_of_its_own(data: st.DataObject, config: Any) -> None:
    config = stream_config(**{**vars(config), "max_wait_s": 1e6})
    messages: list[Message] = []
    for offset_ns in (100_000 * MS, 50_000 * MS):
        commands, states = (sorted(part, key=lambda m: m[1]) for part in data.draw(joints(offset_ns), "joints"))
        # The joints of the new stretch begin before its frames do: the reset must not lose them.
        start: list[Message] = [("command", offset_ns, vector(0.5)), ("state", offset_ns, vector(0.5))]
        frame_part = [("frame", offset_ns + 5 * MS), *data.draw(frames(offset_ns=offset_ns + 30 * MS), "frames")]
        messages += start + merged(data, frame_part, commands, states)
    stream = WindowStream(config)
    windows = feed(stream, messages)
    assert_same(windows, oracle.windows(*split(messages), **oracle_arguments(config)))
    assert stream.counters.late == 0
    assert stream.epoch == 1
    assert stream.counters.resets == 1
