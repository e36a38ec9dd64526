"""Rows that nobody needs, to show that a row is all that it takes: reductions, a type of commands, a topic."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from vjepa_ros.config.checks import Refusal
from vjepa_ros.config.inputs import CommandType, Input
from vjepa_ros.config.reductions import Reduction
from vjepa_ros.config.stream import SignalConfig, StreamConfig
from vjepa_ros.errors import InputError
from vjepa_ros.geometry import Vector


def _refuses_two_frames(config: StreamConfig) -> Iterable[Refusal]:
    yield config.stride < 3, "actions.reduction", "of two commands the median is the mean: use mean"


MEDIAN = Reduction(
    "median", "target",
    asks=lambda span: span.frames_ns,
    combine=lambda values: np.median(values, axis=0),
    refuses=_refuses_two_frames,
)  # fmt: skip
LAST_MINUS_MEAN = Reduction(
    "last_minus_mean", "delta",
    asks=lambda span: span.frames_ns,
    combine=lambda values: values[-1] - np.mean(values, axis=0),
    held=np.zeros_like,
)  # fmt: skip
AHEAD = Reduction(
    "ahead", "delta",
    asks=lambda span: (span.previous_ns, span.step_ns, span.next_ns),
    combine=lambda values: values[2] - 2 * values[1] + values[0],
    reaches_ahead=True,
)  # fmt: skip
LARGEST = Reduction(
    "largest", "delta",
    asks=lambda span: (span.next_ns,),
    combine=lambda values: np.max(values, axis=0),
    reaches_ahead=True,
    of_messages=True,
)  # fmt: skip


def halves(config: SignalConfig) -> Callable[[Any], Vector]:
    """Decodes std_msgs/Float32MultiArray: half of the commands in each number."""

    def decode(message: Any) -> Vector:
        if len(message.data) != config.dim:
            raise InputError("length_mismatch", f"{len(message.data)} numbers for {config.dim} joints")
        return 2 * np.array(message.data, np.float64)

    return decode


HALVES = CommandType("Float32MultiArray", "std_msgs/msg/Float32MultiArray", f"{__name__}:halves", has_fields=False)


def take_wheels(intake: Any, topic: str, message: Any, received_ns: int) -> list[Any]:
    """Takes what the wheels say for a command."""
    return list(intake.stream.add_command(received_ns, np.array(message.data, np.float64)))


WHEELS = Input(
    "wheel_speeds", "std_msgs/msg/Float64MultiArray", "sensor", f"{__name__}:take_wheels",
    "wheels_topic", "Topic of the wheels.",
    is_read=lambda config: config.commands.field == "velocity",
)  # fmt: skip
