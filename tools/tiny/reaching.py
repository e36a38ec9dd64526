"""Arms that are to reach goals, by one way to choose commands or another; and what a push does to forecasts.

The planner is :func:`vjepa_ros.plan` as config/panda_sim_planner.yaml has it for the node, whose space of motions
it uses too.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import vjepa_ros
from tools.tiny.world import Seen, Stage
from vjepa_ros.config import ros_file
from vjepa_ros.config.node import NodeConfig, resolve
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.geometry import Vector
from vjepa_ros.planning.approach import Approach
from vjepa_ros.planning.arm import Arm
from vjepa_ros.planning.motion import Motion
from vjepa_ros.planning.plan import Plan
from vjepa_ros.planning.solvers import Options
from vjepa_ros.planning.spaces import Space
from vjepa_ros.simulation import panda

STEPS = 20
PARAMS = Path(__file__).resolve().parents[2] / "config" / "panda_sim_planner.yaml"


@cache
def node() -> NodeConfig:
    """The node that plans for panda_sim."""
    return resolve(ros_file.read(PARAMS, "/vjepa_predictor")[0])


@cache
def _arm() -> Arm:
    config = node()
    return Arm(panda.description(), config.planner, config.stream.pose, config.stream.commands.joint_names)


def tip_space(joints: Vector) -> Space:
    """(7,) rad where motions of the tip begin -> the space that the node draws them in."""
    return Motion(node()).space(node().planner, _arm(), joints, np.empty((0, len(joints))))


@dataclass(frozen=True)
class Shuffled:
    """A space whose actions stand for other candidates than they should.

    Attributes:
        space: what is shuffled.
        order: where the chance comes from.
    """

    space: Space
    order: np.random.Generator

    @property
    def dims(self) -> int:
        """As the space."""
        return self.space.dims

    def actions(self, samples: NDArray[Any]) -> NDArray[Any]:
        """(K, H, dims) -> (K, H, A), in another order; the one that is left in the end is its own."""
        found = self.space.actions(samples)
        return found[self.order.permutation(len(found))]


@dataclass
class PlanningPolicy:
    """Plans at each step.

    Attributes:
        wm: the model.
        delayed: whether the command of a step is that which was planned in the step before, as where planning takes
            time: it is committed in the plan that follows.
        shuffles: whether the model is asked about the actions of other candidates.
        took_s: of each plan.
    """

    wm: WorldModel
    delayed: bool = False
    shuffles: bool = False
    took_s: list[float] = field(default_factory=list)

    def start(self, number: int) -> None:
        """Before a goal."""
        self._seed = 1000 * number
        self._committed: Vector | None = None
        self._last: Plan | None = None
        self._approach = Approach(node().planner.horizon)

    def __call__(self, seen: Seen, stage: Stage) -> Vector | None:
        """(7,) rad to go to now; None to stay with the last command."""
        if seen.latents is None:
            return self._committed if self.delayed else None
        began_s, given = time.perf_counter(), node().planner
        committed: Vector | None = None
        if self.delayed:
            committed = seen.joints if self._committed is None else self._committed
        space = tip_space(seen.joints if committed is None else committed)
        if self.shuffles:
            space = Shuffled(space, np.random.default_rng(self._seed))
        observed = self.wm.observe(seen.latents, np.zeros((1, 0, 7)), seen.joints[None, None])
        free, spread = given.horizon - given.decided_steps, 1.0
        if given.adapt:
            ahead, spread = self._approach.search(float(self.wm.energy(seen.latents[0], stage.goal)), self._last)
            free = min(free, ahead)
        most = given.max_action[0]
        options = Options(
            given.samples, given.elites, given.iterations, given.cost, samples_decay=given.samples_decay
        )  # fmt: skip
        found = vjepa_ros.plan(
            self.wm, observed, stage.goal, horizon=free + self.delayed,
            std=spread * given.std[0], low=-most, high=most, committed=None if committed is None else committed[None],
            last=self._last, action_repeat=given.action_repeat, space=space, solver=given.solver,
            options=options, seed=self._seed,
        )  # fmt: skip
        self._last = found
        self._seed += 1
        self.took_s.append(time.perf_counter() - began_s)
        if not self.delayed:
            return np.asarray(found.actions[0])
        self._committed = np.asarray(found.actions[1])
        return committed


@dataclass
class Still:
    """Stays where it is."""

    def start(self, number: int) -> None:
        """Nothing to do."""

    def __call__(self, seen: Seen, stage: Stage) -> Vector | None:
        """No command."""
        return None


@dataclass
class Random:
    """Moves by chance, as far as a plan may."""

    def start(self, number: int) -> None:
        """Before a goal."""
        self._chance = np.random.default_rng(number)

    def __call__(self, seen: Seen, stage: Stage) -> Vector | None:
        """(7,) rad."""
        given = node().planner
        motion = np.clip(self._chance.normal(0, given.std[0], (1, 1, 3)), -given.max_action[0], given.max_action[0])
        return np.asarray(tip_space(seen.joints).actions(motion)[0, 0])


Policy = PlanningPolicy | Still | Random


def reach(stage: Stage, policy: Policy, steps: int = STEPS) -> tuple[float, float]:
    """(distance at the start, at the end) in m, after so many commands, each of them for a step."""
    policy.start(stage.number)
    seen, start_m = stage.step(), stage.distance_m
    for _ in range(steps):
        joints = policy(seen, stage)
        if joints is not None:
            stage.command(joints)
        seen = stage.step()
    return start_m, stage.distance_m


def push_ratio(stage: Stage, policy: PlanningPolicy, metres: float, steps: int = STEPS, looked_at: int = 2) -> float:
    """The larger prediction error of the next steps after a push, over the median of all steps before it.

    The arm is on its way to a goal, and pushed once it is there.

    Args:
        stage, policy: who moves.
        metres: how far the tip is pushed; 0 for no push.
        steps: before it.
        looked_at: steps after it.
    """
    errors: list[float] = []
    policy.start(stage.number)
    seen = stage.step()
    for step in range(steps + looked_at):
        joints = policy(seen, stage)
        target = seen.joints if joints is None else joints
        stage.command(target)
        forecast = forecast_of(policy.wm, seen, target)
        if step == steps and metres:
            stage.push(metres)
        seen = stage.step()
        assert seen.latents is not None
        errors.append(float(policy.wm.energy(seen.latents[0], forecast)))
    return max(errors[steps:]) / float(np.median(errors[:steps]))


def forecast_of(wm: WorldModel, seen: Seen, target: Vector) -> Any:
    """(H'*W', D): what a command is expected to lead to."""
    assert seen.latents is not None
    return wm.rollout(seen.latents, np.zeros((1, 0, 7)), seen.joints[None, None], target[None, None])[0, 0]
