"""The quality of service of every topic, as docs/topics.md and the interface promise it."""

from __future__ import annotations

from functools import partial

import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from vjepa_ros.ros import qos

BEST_EFFORT, RELIABLE = ReliabilityPolicy.BEST_EFFORT, ReliabilityPolicy.RELIABLE
VOLATILE, LATCHED = DurabilityPolicy.VOLATILE, DurabilityPolicy.TRANSIENT_LOCAL


@pytest.mark.parametrize(
    ("make", "reliability", "depth", "durability"),
    [
        (qos.IMAGE, BEST_EFFORT, 5, VOLATILE),
        (qos.COMMANDS, RELIABLE, 1000, VOLATILE),
        (qos.STATES, BEST_EFFORT, 1000, VOLATILE),
        (qos.LATENTS, RELIABLE, 2, VOLATILE),
        (qos.ERRORS, RELIABLE, 10, VOLATILE),
        (qos.WINDOW_INFO, RELIABLE, 10, VOLATILE),
        (qos.LATCHED, RELIABLE, 1, LATCHED),
        (qos.DIAGNOSTICS, RELIABLE, 10, VOLATILE),
    ],
)
def test_profiles(
    make: partial[QoSProfile], reliability: ReliabilityPolicy, depth: int, durability: DurabilityPolicy
) -> None:
    profile = make()
    assert (profile.reliability, profile.depth) == (reliability, depth)
    assert profile.durability == durability
    assert make() is not profile, "rclpy writes overrides into the profile that it is given"
