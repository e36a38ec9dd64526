"""The sample bag through intake and streams, with real messages, against the oracle."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from support import oracle, recorded
from support.builders import assert_same, clip_of

from vjepa_ros.config.node import NodeConfig, resolve
from vjepa_ros.images.compressed import decode_compressed
from vjepa_ros.images.preprocess import Preprocess
from vjepa_ros.stream.intake import Intake
from vjepa_ros.stream.window import Window

MESSAGES = recorded.messages()
ARRIVAL = {
    "as recorded": MESSAGES,
    "camera first": sorted(MESSAGES, key=lambda item: item[0] != recorded.CAMERA),  # sorted keeps equal ones in order
    "camera last": sorted(MESSAGES, key=lambda item: item[0] == recorded.CAMERA),
}


def configured(frame_rate: float, hop: int) -> NodeConfig:
    return resolve({"joint_names": list(recorded.JOINTS), "frame_rate": frame_rate, "hop": hop})


def replay(config: NodeConfig, messages: Iterable[tuple[str, Any]]) -> tuple[Intake, list[Window]]:
    """All windows of a bag; a message that is dropped fails the test."""

    def report(topic: str, reason: str, detail: str) -> None:
        raise AssertionError(f"{topic}: {reason}: {detail}")

    intake = Intake(config.stream, Preprocess(config.model.preprocessing, config.model.image_size), report)
    take = {
        recorded.CAMERA: intake.compressed_image,
        recorded.COMMANDS: intake.joint_command,
        recorded.STATES: intake.joint_state,
    }
    windows = [w for topic, message in messages if topic in take for w in take[topic](topic, message, 0)]
    return intake, windows


@pytest.mark.parametrize(("frame_rate", "hop", "count"), [(0.0, 2, 113), (4.0, 2, 17), (0.0, 4, 57), (29.97, 8, None)])
def test_the_bag_equals_the_oracle(frame_rate: float, hop: int, count: int | None) -> None:
    intake, windows = replay(configured(frame_rate, hop), MESSAGES)
    expected = oracle.windows(*recorded.oracle_lists(), **recorded.oracle_arguments(frame_rate, hop))
    assert_same(windows, expected)
    assert len(windows) == len(expected) > 0
    assert count is None or len(windows) == count
    counters = intake.counters
    assert counters.windows == count or count is None
    assert (counters.late, counters.rejected_total, counters.zero_stamps, counters.windows_skipped) == (0, 0, 0, 0)
    assert (counters.gaps, counters.resets, counters.missing_commands, counters.missing_states) == (0, 0, 0, 0)


@pytest.mark.parametrize("order", ["camera first", "camera last"])
def test_the_order_of_arrival_between_topics_changes_nothing(order: str) -> None:
    config = configured(4.0, 2)
    if order == "camera first":  # the commands come later than the node would wait for them
        config = resolve({"joint_names": list(recorded.JOINTS), "frame_rate": 4.0, "actions.max_wait_s": 60.0})
    intake, windows = replay(config, ARRIVAL[order])
    _, expected = replay(configured(4.0, 2), MESSAGES)
    assert len(windows) == len(expected) == 17
    assert intake.counters.late == 0
    for got, want in zip(windows, expected, strict=True):
        assert (got.number, got.step_stamps_ns) == (want.number, want.step_stamps_ns)
        np.testing.assert_array_equal(clip_of(got.frames), clip_of(want.frames), strict=True)
        np.testing.assert_array_equal(got.actions.values, want.actions.values, strict=True)
        np.testing.assert_array_equal(got.states.values, want.states.values, strict=True)


def test_every_frame_has_its_own_picture() -> None:
    config = configured(4.0, 2)
    preprocess = Preprocess(config.model.preprocessing, config.model.image_size)
    pictures = {}
    for topic, message in MESSAGES:
        if topic == recorded.CAMERA:
            stamp = message.header.stamp
            pictures[stamp.sec * 10**9 + stamp.nanosec] = preprocess(decode_compressed(message.format, message.data))
    _, windows = replay(config, MESSAGES)
    used = {frame.stamp_ns: frame for window in windows for frame in window.frames}
    assert len(used) == 16 + 16 * 2
    for stamp_ns, frame in used.items():
        np.testing.assert_array_equal(frame.image, pictures[stamp_ns], strict=True)
        assert frame.image.shape == (3, 64, 64)
    assert len({frame.image.tobytes() for frame in used.values()}) > 40, "the robot moves"
