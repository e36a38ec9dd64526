"""The quality of service of every topic, in one place.

Each call gives a fresh profile: rclpy writes overrides into it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from rclpy.qos import DurabilityPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

from vjepa_ros.config.inputs import Quality

_BEST_EFFORT, _RELIABLE = ReliabilityPolicy.BEST_EFFORT, ReliabilityPolicy.RELIABLE

IMAGE = partial(QoSProfile, depth=5, reliability=_BEST_EFFORT)  # sensor data
COMMANDS = partial(QoSProfile, depth=1000, reliability=_RELIABLE)
STATES = partial(QoSProfile, depth=1000, reliability=_BEST_EFFORT)
LATENTS = partial(QoSProfile, depth=2, reliability=_RELIABLE)
ERRORS = partial(QoSProfile, depth=10, reliability=_RELIABLE)
WINDOW_INFO = partial(QoSProfile, depth=10, reliability=_RELIABLE)
LATCHED = partial(QoSProfile, depth=1, reliability=_RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
QUESTIONS = partial(QoSProfile, depth=10, reliability=_RELIABLE)
GOAL = partial(QoSProfile, depth=1, reliability=_RELIABLE)
# What the simulated robot sends. Reliable, so that whoever asks for it gets every message; best effort does too.
PICTURES = partial(QoSProfile, depth=10, reliability=_RELIABLE)
MEASURED = partial(QoSProfile, depth=100, reliability=_RELIABLE)
CLOCK = partial(QoSProfile, depth=10, reliability=_RELIABLE)
DIAGNOSTICS = partial(QoSProfile, depth=10, reliability=_RELIABLE)

OF_INPUTS: dict[Quality, Callable[[], QoSProfile]] = {
    "camera": IMAGE, "sensor": STATES, "reliable": COMMANDS, "latched": LATCHED,
}  # fmt: skip
"""The profiles of what the node reads, by the words of :mod:`vjepa_ros.config.inputs`."""


OVERRIDABLE = (
    QoSPolicyKind.HISTORY,
    QoSPolicyKind.DEPTH,
    QoSPolicyKind.RELIABILITY,
    QoSPolicyKind.DURABILITY,
)


def overridable() -> QoSOverridingOptions:
    """Let parameters named ``qos_overrides.<topic>...`` change history, depth, reliability and durability."""
    return QoSOverridingOptions(policy_kinds=OVERRIDABLE)
