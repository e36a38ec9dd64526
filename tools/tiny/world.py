"""The simulated arm in this process, a step at a time: two pictures, then a command, as on topics, without them.

It is the arm of ``panda_sim``: episode n of a seed has the same scene, the same start and the same goals there.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.geometry import Vector
from vjepa_ros.simulation import panda
from vjepa_ros.simulation.drawing import Picture
from vjepa_ros.simulation.episodes import START_NS
from vjepa_ros.simulation.live import Command, LiveArm
from vjepa_ros.simulation.plan import STEP_FRAMES, World

LEAST_M = 0.3
"""From the tip to its goal at the start."""


@dataclass
class Seen:
    """What is known at the end of a step.

    Attributes:
        latents: (1, H'*W', D), None where a frame of the step was lost.
        joints: (7,) rad, at its last frame.
    """

    latents: torch.Tensor | None
    joints: Vector


@dataclass
class Stage:
    """One arm before one goal.

    Args:
        wm: what looks at the pictures.
        world: the scenes.
        number: which of them.
        lost: share of frames that are lost.

    Attributes:
        arm: what moves.
        goal: (1, H'*W', D) latents of the goal's picture.
    """

    wm: WorldModel
    world: World
    number: int
    lost: float = 0.0
    arm: LiveArm = field(init=False)
    goal: torch.Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.arm = LiveArm(self.world, self.number, START_NS)
        self.goal = self.wm.encode_goal(self.arm.draw_goal(LEAST_M))
        self._chance = np.random.default_rng([self.world.seed, self.number, 99])

    def step(self) -> Seen:
        """Let the two frames of a step pass."""
        frames = [self._frame() for _ in range(STEP_FRAMES)]
        whole = [frame for frame in frames if self.lost == 0 or self._chance.random() >= self.lost]
        latents = self.wm.encode(self.wm.preprocess(whole)) if len(whole) == STEP_FRAMES else None
        return Seen(latents, self.arm.joints)

    def _frame(self) -> Picture:
        self.arm.advance()
        while not self.arm.is_frame:
            self.arm.advance()
        return self.arm.picture()

    def command(self, joints: Vector) -> None:
        """(7,) rad to go to, stamped like the last frame."""
        self.arm.command(Command(self.arm.now_ns, np.arange(len(panda.JOINTS)), joints[None], np.zeros(1)))

    def push(self, metres: float) -> None:
        """Push the tip a moment after the last command, which is forgotten with that."""
        self.arm.advance()  # by now it obeys that
        self.arm.push(metres)

    @property
    def distance_m(self) -> float:
        """From the tip to the goal."""
        found = self.arm.distance_m
        assert found is not None, "it was drawn at the start"
        return found
