"""The simulated arm in this process, commanded at each step by planning with a model of any variant.

What a node would give the model is put together here, step by step: the frames that go through the encoder at once, the
actions as the variant reads them. Nothing knows recordings.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import vjepa_ros
from tools.strategies.variants import Variant
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.geometry import Vector
from vjepa_ros.kinematics.inverse import InverseKinematics
from vjepa_ros.model.rollout import Observed
from vjepa_ros.planning.approach import Approach
from vjepa_ros.planning.plan import Plan
from vjepa_ros.planning.solvers import Options
from vjepa_ros.planning.spaces import Space, TipSpace
from vjepa_ros.simulation import panda
from vjepa_ros.simulation.drawing import Picture
from vjepa_ros.simulation.episodes import FRAME_NS, START_NS
from vjepa_ros.simulation.live import Command, LiveArm
from vjepa_ros.simulation.plan import STEP_FRAMES, World

SECONDS = 4.0
"""For a goal, from the first command on."""
LEAST_M = 0.3
"""From the tip to its goal at the start."""
STD_M, MOST_M = 0.06, 0.08  # of the tip in 0.2 s
AHEAD_S = 0.8
"""How far a plan looks at most: a motion is kept up for so long, and the step that comes nearest counts."""
OPTIONS = Options(samples=24, elites=4, iterations=2, cost="min", min_std=0.003)


def tip_space(joints: Vector) -> TipSpace:
    """(7,) rad where motions of the tip begin -> the space of these motions, with joint targets as actions."""
    inverse = InverseKinematics(panda.kinematics(), panda.LOWER, panda.UPPER, panda.READY)
    return TipSpace(panda.kinematics(), inverse, joints, tuple(range(7)), "target", (panda.LOW, panda.HIGH))


@dataclass(frozen=True)
class Told:
    """A space of motions of the tip whose actions are what a variant makes of the commands that are sent for them.

    Attributes:
        variant: it.
        space: gives the targets.
        in_force: (7,) rad, the target that the arm follows before the first of them.
    """

    variant: Variant
    space: Space
    in_force: Vector

    @property
    def dims(self) -> int:
        """As the space."""
        return self.space.dims

    def sent(self, samples: NDArray[Any]) -> NDArray[Any]:
        """(K, H, dims) -> (K, H*stride, 7) the targets that are in force from frame to frame."""
        targets = self.space.actions(samples)
        before, sent = np.broadcast_to(self.in_force, targets[:, 0].shape), []
        for step in range(targets.shape[1]):
            sent.append(self.variant.sent(before, targets[:, step]))
            before = targets[:, step]
        return np.concatenate(sent, axis=1)

    def actions(self, samples: NDArray[Any]) -> NDArray[Any]:
        """(K, H, dims) -> (K, H, 7)"""
        before = np.broadcast_to(self.in_force, (len(samples), 1, 7))
        commands = np.concatenate([before, self.sent(samples)], axis=1)  # the first command is sent at a last frame
        return np.stack([self.variant.action(commands, 1 + step * self.variant.stride)
                         for step in range(samples.shape[1])], axis=1)  # fmt: skip


@dataclass
class Reach:
    """One arm before one goal.

    Args:
        variant, wm: of the model.
        world: the scenes.
        number: which of them.

    Attributes:
        took_s: seconds of the processor, of each step: encoding and planning.
    """

    variant: Variant
    wm: WorldModel
    world: World
    number: int
    took_s: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        wm, config = self.wm, self.wm.config
        self._arm = LiveArm(self.world, self.number, START_NS)
        self._goal = wm.encode_goal(self._arm.draw_goal(LEAST_M))
        self._frames: deque[Picture] = deque(maxlen=config.frames_at_once)
        self._latents: deque[torch.Tensor] = deque(maxlen=config.most_context)
        self._actions: deque[Vector] = deque(maxlen=max(1, config.most_context - 1))
        self._in_force = self._arm.joints
        self._last: Plan | None = None
        self._approach = Approach(round(AHEAD_S * 1e9) // (FRAME_NS * self.variant.stride))

    def __call__(self, for_s: float = SECONDS) -> tuple[float, float]:
        """(distance to the goal at the beginning, at the end) in m; the arm stands still until a window is whole.

        Args:
            for_s: from the first command on.
        """
        stride = self.variant.stride
        start_m = self._distance_m
        for _ in range(self.wm.config.num_frames // stride - 1):
            self._step()
            self._note(np.broadcast_to(self._in_force, (stride, 7)), self._in_force)
        for step in range(round(for_s * 1e9) // (FRAME_NS * stride)):
            self._step()
            began_s = time.process_time()
            self._plan(1000 * self.number + step)
            self.took_s[-1] += time.process_time() - began_s
        for _ in range(stride):  # what was commanded last has its time too
            self._frame()
        return start_m, self._distance_m

    def _step(self) -> None:
        """Let the frames of a step pass, and look at them."""
        for _ in range(self.variant.stride):
            self._frames.append(self._frame())
        began_s = time.process_time()
        if len(self._frames) == self._frames.maxlen:
            if self.wm.config.way.is_whole:  # the steps of one window know each other, and nothing of the one before
                self._latents.clear()
            latents = self.wm.encode(self.wm.preprocess(list(self._frames)))
            self._latents.extend(latents.chunk(latents.shape[1] // self.wm.grid.tokens_per_step, dim=1))
        self.took_s.append(time.process_time() - began_s)

    def _frame(self) -> Picture:
        self._arm.advance()
        while not self._arm.is_frame:
            self._arm.advance()
        return self._arm.picture()

    def _observed(self) -> Observed:
        """What the model knows now."""
        latents = torch.cat(list(self._latents), dim=1)
        count = len(self._latents)
        past = list(self._actions)[len(self._actions) - (count - 1) :] if count > 1 else []
        return self.wm.observe(latents, np.array(past).reshape(1, count - 1, 7), np.zeros((1, count, 7)))

    def _plan(self, seed: int) -> None:
        variant, share = self.variant, self.variant.stride / STEP_FRAMES
        # Targets are thought of from where the arm is, increments are added to what it follows.
        start = self._arm.joints if variant.wire == "targets" else self._in_force
        space = Told(variant, tip_space(start), self._in_force)
        most = self._approach.most
        observed = self._observed()
        energy = float(self.wm.energy(observed.context[0, -self.wm.grid.tokens_per_step :], self._goal))
        horizon, spread = self._approach.search(energy, self._last)
        found = self._last = vjepa_ros.plan(
            self.wm, observed, self._goal, horizon=horizon, std=spread * share * STD_M, low=-share * MOST_M,
            high=share * MOST_M, last=self._last, action_repeat=most, space=space, options=OPTIONS, seed=seed,
        )  # fmt: skip
        sent = space.sent(found.samples[None])[0]
        now_ns, joints = self._arm.now_ns, np.arange(len(panda.JOINTS))
        for later, target in enumerate(sent):
            self._arm.command(Command(now_ns + later * FRAME_NS, joints, target[None], np.zeros(1)))
        self._note(sent, self._in_force)

    def _note(self, sent: Vector, before: Vector) -> None:
        """Remember what was commanded in a step."""
        self._actions.append(self.variant.action(np.concatenate([before[None], sent]), 1))
        self._in_force = sent[-1]

    @property
    def _distance_m(self) -> float:
        found = self._arm.distance_m
        assert found is not None, "it was drawn at the start"
        return found
