"""The ways to pair frames and actions that are compared, as values: what a step is, what it is told of the commands.

Everything else is the same for all of them: recordings, sizes, losses, the processor's time, goals. It knows no torch
and no files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from vjepa_ros.geometry import Vector
from vjepa_ros.simulation import panda

WINDOW_FRAMES = 8
WIRES = {"targets": "/joint_commands", "increments": "/joint_increments"}
"""What may be on the wire, and the topic of the recordings that has it."""
AFTER_FRAME_S = 0.001
"""An increment is stamped so long after the frame that it follows: stamped like it, it would be of the step before."""

COMMON: dict[str, Any] = {
    "preset": "tiny_random", "checkpoint": "random", "image_size": [64, 64], "patch_size": 16, "tubelet_size": 2,
    "num_frames": WINDOW_FRAMES, "encoder_dim": 64, "encoder_depth": 4, "encoder_heads": 2, "predictor_dim": 128,
    "predictor_depth": 3, "predictor_heads": 4, "encoding": "tubelet", "context_steps": 1, "frame_rate": 10.0, "hop": 2,
    "joint_names": list(panda.JOINTS), "actions.reduction": "pick", "actions.phase": "last", "states.source": "none",
    "threads": 1, "device": "cpu",
}  # fmt: skip
"""Parameters of all variants, where they say nothing else."""


@dataclass(frozen=True)
class Variant:
    """One way.

    Attributes:
        name: what it is called, also as a file.
        about: in words, for the table.
        values: parameters besides :data:`COMMON`.
        stride: frames of a step.
        wire: what the robot is sent, one of :data:`WIRES`.
        weights: the action of a step as a sum of commanded targets: the frame, counted from the step's last one, whose
            command it is -> its weight. It says once more, in numbers, what the parameters say to the streams.
        frozen: the variant whose encoder this one has: only its predictor is trained. Empty for one of its own.
    """

    name: str
    about: str
    values: Mapping[str, Any] = field(default_factory=dict)
    stride: int = 2
    wire: Literal["targets", "increments"] = "targets"
    weights: Mapping[int, float] = field(default_factory=lambda: {0: 1.0})
    frozen: str = ""

    @property
    def parameters(self) -> dict[str, Any]:
        """All parameters."""
        return {**COMMON, **self.values}

    @property
    def topics(self) -> dict[str, str]:
        """Where the commands are."""
        return {"joint_commands": WIRES[self.wire]}

    def action(self, commands: Vector, last: int) -> Vector:
        """The action of a step.

        Args:
            commands: (..., frames, A) the target in force from each frame on.
            last: index of the step's last frame.

        Returns:
            (..., A)
        """
        found: Vector = np.sum([weight * commands[..., last + at, :] for at, weight in self.weights.items()], axis=0)
        return found

    def sent(self, in_force: Vector, target: Vector) -> Vector:
        """What a robot is sent that is to be somewhere after a step: one command a frame, as in the recordings.

        Targets are held: the way there is the robot's. Increments are as many as frames, all alike.

        Args:
            in_force: (..., A) the target that it follows now.
            target: (..., A) the one at the end of the step.

        Returns:
            (..., stride, A) targets, of increments their sums.
        """
        if self.wire == "targets":
            return np.repeat(target[..., None, :], self.stride, axis=-2)
        shares = np.arange(1, self.stride + 1)[:, None] / self.stride
        spread: Vector = in_force[..., None, :] + shares * (target - in_force)[..., None, :]
        return spread


VARIANTS: dict[str, Variant] = {
    row.name: row
    for row in (
        Variant("clip", "A: the window as one clip, every 2nd action", {"encoding": "clip"}),
        Variant("tubelet", "A: each tubelet alone, every 2nd action"),
        Variant("frame_repeat", "dense: each frame alone, as a tubelet of itself", {
            "encoding": "frame_repeat", "hop": 1,
        }, stride=1),
        Variant("tubelet_1", "B: tubelet_size 1, each frame a step", {"tubelet_size": 1, "hop": 1}, stride=1),
        Variant("mean", "as tubelet, the mean of a step's targets", {"actions.reduction": "mean"},
                weights={-1: 0.5, 0: 0.5}, frozen="tubelet"),
        Variant("sum", "as tubelet, the sum of the increments", {
            "actions.reduction": "sum", "actions.tail": "zero",
        }, wire="increments", weights={1: 1.0, -1: -1.0}, frozen="tubelet"),
        Variant("pick_increments", "as tubelet, every 2nd increment", {
            "time.offset_s.joint_commands": -AFTER_FRAME_S,
        }, wire="increments", weights={0: 1.0, -1: -1.0}, frozen="tubelet"),
        Variant("tubelet_context", "as tubelet, with the context of a whole window", {"context_steps": 0},
                frozen="tubelet"),
    )
}  # fmt: skip
"""All that are compared, by name; the first is what the others are measured against."""
