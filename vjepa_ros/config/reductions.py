"""How the commands of a step become its action: one frozen object per reduction, and the table of them (rule 6).

What a reduction is, whoever asks, stands in its object: the stream's windows and their future, state models, probes,
refusals and the choices of ``actions.reduction``. Times and numbers in, numbers out; it knows no streams and no models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from vjepa_ros.config.checks import Refusal
from vjepa_ros.config.pose import POSE_NAMES
from vjepa_ros.geometry import Vector, pose_delta

if TYPE_CHECKING:
    from vjepa_ros.config.stream import StreamConfig

Effect = Literal["target", "delta", "pose"]
"""What an action does to the state: it is the next state, it is added, or it is composed with the pose."""


@dataclass(frozen=True)
class StepSpan:
    """The times around one step, of the window or after it.

    Attributes:
        previous_ns, step_ns, next_ns: where the step before, this one and the one after are read.
        frames_ns: the stamps of the step's own frames.
    """

    previous_ns: int
    step_ns: int
    next_ns: int
    frames_ns: tuple[int, ...]


def _nothing(_config: StreamConfig) -> Iterable[Refusal]:
    return ()


def _again(last: Vector) -> Vector:
    return last


@dataclass(frozen=True)
class Reduction:
    """How the commands of a step become its action.

    Attributes:
        name: the value of ``actions.reduction``.
        effect: what its actions do to the state.
        asks: the times at which a step's commands are read, for steps of the window and of the future alike. Times
            after the last frame need ``reaches_ahead``.
        combine: the values at those times, (A,) each and at least one -> (A,) the action.
        reaches_ahead: whether an action is about an interval that ends at the next step. The window's last action is
            then made as ``actions.tail`` says.
        of_messages: whether it combines the messages stamped in (step, next step], none of them being zero, rather
            than values at times. ``asks`` then says when commands must not have timed out.
        is_for_poses: whether it is right for Euler angles, which wrap around.
        held: (A,) the window's last action -> (A,) each one after it where nothing but the last command is known.
        refuses: combinations that make no sense, besides those that follow from the other attributes.
    """

    name: str
    effect: Effect
    asks: Callable[[StepSpan], Sequence[int]]
    combine: Callable[[Sequence[Vector]], Vector]
    reaches_ahead: bool = False
    of_messages: bool = False
    is_for_poses: bool = False
    held: Callable[[Vector], Vector] = _again
    refuses: Callable[[StreamConfig], Iterable[Refusal]] = _nothing

    def refusals(self, config: StreamConfig) -> Iterator[Refusal]:
        """What makes no sense together with it."""
        yield (
            config.pose.is_made_here and not self.is_for_poses, "actions.reduction",
            f"{self.name} is wrong for Euler angles, which wrap around: use pose_delta, or pick for absolute poses",
        )  # fmt: skip
        yield from self.refuses(config)
        if self.of_messages:
            yield from self._of_messages(config)
        if self.effect == "pose":
            yield from self._of_poses(config)

    def _of_messages(self, config: StreamConfig) -> Iterator[Refusal]:
        commands = config.commands
        yield (
            config.reads_measured_commands, "actions.reduction",
            f"{self.name} adds messages that are deltas; a JointTrajectory holds targets: use pick or difference",
        )  # fmt: skip
        yield (
            commands.alignment != "hold", "actions.alignment",
            f"has no meaning with the reduction {self.name}, which adds messages and reads no value at a time",
        )  # fmt: skip
        yield (
            commands.on_missing == "hold", "actions.on_missing",
            "hold would repeat a delta, which is motion that nobody commanded: use skip or zero",
        )  # fmt: skip
        yield (
            any(commands.offset), "actions.offset",
            f"would be added once per message by the reduction {self.name}",
        )  # fmt: skip
        yield (
            config.state_source == "commands", "states.source",
            "commands that are deltas say nothing about a state: use joint_states or none",
        )  # fmt: skip

    def _of_poses(self, config: StreamConfig) -> Iterator[Refusal]:
        commands = config.commands
        yield (
            commands.dim != len(POSE_NAMES), "actions.reduction",
            f"{self.name} needs the {len(POSE_NAMES)} values of a pose (x, y, z, three Euler angles, gripper), "
            f"not {commands.dim}",
        )  # fmt: skip
        yield (
            commands.alignment == "linear", "actions.alignment",
            "linear is wrong for Euler angles, which wrap around: use hold or nearest",
        )  # fmt: skip
        yield (
            commands.is_scaled, "actions.scale",
            "a pose must be in m and rad already: a rotation cannot be scaled angle by angle",
        )  # fmt: skip


def _mean(values: Sequence[Vector]) -> Vector:
    mean: Vector = np.mean(values, axis=0)
    return mean


def _sum(values: Sequence[Vector]) -> Vector:
    total: Vector = np.sum(values, axis=0, initial=0.0)
    return total


def _refuses_single_frames(config: StreamConfig) -> Iterable[Refusal]:
    yield (
        config.stride == 1, "actions.reduction",
        "mean is over the frames of a step, and a step of this encoding is a single frame: use pick",
    )  # fmt: skip


REDUCTIONS: dict[str, Reduction] = {
    reduction.name: reduction
    for reduction in (
        Reduction(
            "pick", "target",
            asks=lambda span: (span.step_ns,),
            combine=lambda values: values[0],
            is_for_poses=True,
        ),
        Reduction(
            "mean", "target",
            asks=lambda span: span.frames_ns,
            combine=_mean,
            refuses=_refuses_single_frames,
        ),
        Reduction(
            "sum", "delta",
            asks=lambda span: (span.next_ns,),
            combine=_sum,
            reaches_ahead=True,
            of_messages=True,
        ),
        Reduction(
            "difference", "delta",
            asks=lambda span: (span.previous_ns, span.step_ns),
            combine=lambda values: values[1] - values[0],
            held=np.zeros_like,  # a target that stays moves nothing
        ),
        Reduction(
            "pose_delta", "pose",
            asks=lambda span: (span.step_ns, span.next_ns),
            combine=lambda values: pose_delta(values[0], values[1]),
            reaches_ahead=True,
            is_for_poses=True,
        ),
    )
}  # fmt: skip
"""Every reduction, by the value of ``actions.reduction``."""
