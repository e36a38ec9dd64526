"""What the plans of a node have in common: goals, the last plan, how long plans take, what was sent, and why there are
none.

How one is made in turns is :mod:`.plan_question`'s. No ROS, no threads of its own, and the only clock is the one that
it is given.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.config.checks import require
from vjepa_ros.config.node import NodeConfig
from vjepa_ros.config.planner import PlannerConfig
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import InputError
from vjepa_ros.forecast.forecaster import Forecaster, SeenWindow
from vjepa_ros.geometry import euler_angles
from vjepa_ros.model.grid import Grid
from vjepa_ros.planning.aims import Aims, GoalImages, Target
from vjepa_ros.planning.approach import Approach
from vjepa_ros.planning.arm import Arm
from vjepa_ros.planning.asked import options_of
from vjepa_ros.planning.command import Command
from vjepa_ros.planning.motion import Motion, Steps
from vjepa_ros.planning.plan import Plan, Planning
from vjepa_ros.planning.plan_outcome import REASONS, Outcome
from vjepa_ros.units import S_TO_NS, to_ns

Array = NDArray[Any]
"""Of float64."""

_COUNTED = ("planned", "late", "restarted", "no_picture")
_MOST_RESTARTS = 3  # in a row, before it is said
_KEPT = 5  # plans whose delays are remembered
_KEPT_SENT = 64


class Planner:
    """What plans have in common: goals, the last plan, how long plans take, what was sent.

    Args:
        config: the node's.
        model: the world model.
        forecaster: has the last window.
        goals: the sub-goals of the folder.
        now_ns: the time on the clock of the frames' stamps.
        wants_picture: whether somebody wants to see what a plan leads to.

    Raises:
        ConfigError: for a goal mask that leaves no patch.

    Attributes:
        config: as given.
        aims: the goals.
        motion: what actions do.
        arm: the robot, None before its description has come.
        tally: plans (``planned``, ``late``), restarts, pictures that failed and reasons for no plan, counted.
        delay_s: how old a window's newest step is when its plan is there, as measured last.
    """

    def __init__(
        self,
        config: NodeConfig,
        model: WorldModel,
        forecaster: Forecaster,
        goals: Sequence[GoalImages],
        now_ns: Callable[[], int],
        wants_picture: Callable[[], bool] = lambda: False,
    ) -> None:
        self.config = config
        self.model = model
        self.forecaster = forecaster
        self.now_ns = now_ns
        self.wants_picture = wants_picture
        self.aims = Aims(config.planner, goals, _mask(config.planner, model.grid))
        self.motion = Motion(config)
        self.arm: Arm | None = None
        self.tally: Counter[str] = Counter(dict.fromkeys((*_COUNTED, *REASONS), 0))
        self.delay_s = 0.0
        self.options = options_of(config.planner)
        self.start()

    def start(self) -> None:
        """As if nothing had been planned."""
        self.aims.start()
        self._took_s: deque[float] = deque(maxlen=_KEPT)
        self._last: Outcome | None = None
        self._approach = Approach(self.config.planner.horizon)
        self._sent: deque[tuple[int, Array]] = deque(maxlen=_KEPT_SENT)
        self._executed = 0  # steps since the last plan
        self._count = 0
        self._restarts = 0  # of the plan that is being made

    def sent(self, at_ns: int, action: Array) -> None:
        """Take note of an action that was sent."""
        self._sent.append((at_ns, action))
        self._executed += 1

    def as_sent(self, outcome: Outcome, command: Command) -> Array:
        """(A,) the first free action of a plan, as limits have let it through."""
        assert outcome.plan is not None and outcome.reached is not None and outcome.seen is not None
        actions, place = outcome.plan.actions[: outcome.first + 1], outcome.reached[outcome.first].copy()
        if not command.is_cut:
            return np.asarray(actions[-1])
        if self.motion.is_of_tip:
            tip = command.arm.tip(command.target)
            place[:3], place[3:6] = tip[:3, 3], euler_angles(tip[:3, :3])
        else:
            place = command.target[: len(place)]
        return self.motion.action(self.motion.start(outcome.seen.window), actions, place)

    def stopped(self) -> None:
        """Nothing of a plan is in force any more, or will be."""
        self._sent.clear()

    def waits_for(self, outcome: Outcome) -> tuple[str, str]:
        """Why there is no plan now, (reason, detail); empty where there is one. From any thread.

        Args:
            outcome: what became of the last one.
        """
        if self._restarts >= _MOST_RESTARTS:
            return "new_goals", f"another goal came {self._restarts} times before a plan was there"
        if outcome.reason:
            return outcome.reason, outcome.detail
        if outcome.plan is None or outcome.seen is None:
            return ("no_goal" if self.aims.current is None else "no_window"), "none has come yet"
        newest = (self.forecaster.last or outcome.seen).window
        age_ns, most_s = self.now_ns() - newest.frames[-1].stamp_ns, self.config.planner.max_age_s
        if age_ns <= to_ns(most_s) + newest.period_ns * self.config.stream.hop:
            return "", ""
        return "stale_window", (
            f"no window comes: the newest frame of the last one is {age_ns / S_TO_NS:.1f} s old, "
            f"planner.max_age_s is {most_s:g} s"
        )

    def restarted(self, *, by_goal: bool) -> None:
        """Take note that the plan which is being made was begun anew: another goal, or another epoch, has come."""
        self._restarts += by_goal
        self.tally["restarted"] += 1

    # -- what one plan needs; all of it for the one thread that touches the model

    def window(self, epoch: int) -> SeenWindow:
        """The last window, if a plan may begin from it.

        Raises:
            InputError: ``no_window``, ``stale_window``.
        """
        seen = self.forecaster.last
        if seen is None or seen.window.epoch != epoch:
            raise InputError("no_window", f"there is none of epoch {epoch} yet")
        self.require_fresh(seen)
        return seen

    def require_fresh(self, seen: SeenWindow) -> None:
        """Refuse a window that is too old, or from as far in the future.

        Raises:
            InputError: ``stale_window``.
        """
        age_ns, most_s = self.now_ns() - seen.window.frames[-1].stamp_ns, self.config.planner.max_age_s
        if abs(age_ns) > to_ns(most_s):
            raise InputError(
                "stale_window", f"its newest frame's age is {age_ns / S_TO_NS:.3f} s, planner.max_age_s is {most_s:g} s"
            )

    def is_aimed_at(self, target: Target | None) -> bool:
        """Whether this is still what is aimed at."""
        return target is not None and target.version == self.aims.version

    def note(self, target: Target, energy: float) -> str:
        """Take note of where the robot is: whether to plan on (``going``), for the next goal, or not at all."""
        executed, self._executed = self._executed, 0
        return self.aims.note(target.version, energy, executed)

    def planning(self, seen: SeenWindow, target: Target, energy: float, began_s: float) -> tuple[Planning, Steps]:
        """A plan to be made, from a window whose newest step has that energy.

        Raises:
            InputError: for reasons of :data:`REASONS`.
            EngineError: if the model or its device fails.
        """
        config, stream, window = self.config.planner, self.config.stream, seen.window
        steps = Steps.of(window, stream)
        took_s = max(self._took_s, default=config.time_limit_s)
        ready_ns = self.now_ns() + to_ns(took_s)
        least = config.decided(stream)
        count = steps.decided(ready_ns, least, least if config.decided_steps else config.horizon - 1)
        committed = self._committed(window.actions.values[-1], steps, count)
        observed = self.model.observe(seen.context, seen.past_actions, seen.states)
        state = self.motion.start(window)
        rest = committed[-1] if count else window.actions.values[-1]
        last = self._last if self._last is not None and self._continues(seen, target) else None
        free, spread = config.horizon - count, 1.0
        if config.adapt:
            ahead, spread = self._approach.search(energy, None if last is None else last.plan)
            free = min(free, ahead)
        horizon = count + free
        mean, low, high = self.motion.bounds(config, self.arm, rest, -(-free // config.action_repeat))
        shape = mean.shape
        moved, before = 0, None
        if last is not None and last.plan is not None and last.steps is not None:
            passed = round((steps.start_ns - last.steps.start_ns) / steps.period_ns)
            moved = max(0, passed + count - last.first)
            before = _resized(last.plan, shape[0])
        self._count += 1
        planning = Planning(
            self.model, observed, target.latents, horizon=horizon,
            std=np.broadcast_to(spread * np.array(config.std), shape), mean=mean, low=low, high=high,
            committed=committed, last=before, executed=moved, action_repeat=config.action_repeat, mask=target.mask,
            space=self.motion.space(config, self.arm, state, committed),
            solver=config.solver, options=self.options, batch_size=self.config.candidates.batch_size,
            time_limit_s=config.time_limit_s, seed=config.seed + self._count - 1, began_s=began_s,
        )  # fmt: skip
        return planning, steps

    def _continues(self, seen: SeenWindow, target: Target) -> bool:
        last = self._last
        return (
            last is not None and last.seen is not None and last.target is not None
            and last.seen.window.epoch == seen.window.epoch and last.target.version == target.version
        )  # fmt: skip

    def _committed(self, in_force: Array, steps: Steps, count: int) -> Array:
        """(n, A) the actions that are decided: the one in force, then what was sent for each step, or nothing."""
        sent, rows = list(self._sent), [in_force]
        resting = self.motion.resting(in_force, is_executing=bool(sent))
        half_ns = steps.period_ns // 2
        for step in range(1, count):
            begins_ns = steps.begins_ns(step)
            earlier = [action for at_ns, action in sent if at_ns <= begins_ns + half_ns]
            same = [action for at_ns, action in sent if abs(at_ns - begins_ns) <= half_ns]
            fitting = earlier if self.motion.holds else same
            rows.append(fitting[-1] if fitting else resting)
        return np.array(rows[:count]).reshape(count, len(in_force))

    def finished(self, outcome: Outcome) -> None:
        """Take note of what became of a plan, and remember it for the next one where there is one."""
        self._restarts = 0
        if outcome.plan is None:
            return
        assert outcome.steps is not None
        self._last = outcome
        self._took_s.append(outcome.took_s)
        self.delay_s = (self.now_ns() - outcome.steps.start_ns) / S_TO_NS


def _mask(config: PlannerConfig, grid: Grid) -> NDArray[np.bool_] | None:
    """(H', W') the patches of a picture that count; None for all."""
    if not config.goal_mask:
        return None
    mask = np.zeros((grid.rows, grid.cols), np.bool_)
    mask[grid.patches(config.goal_mask)] = True
    require(
        bool(mask.any()), "planner.goal_mask",
        f"{list(config.goal_mask)} holds the centre of no patch; there are {grid.rows} rows of {grid.cols}",
    )  # fmt: skip
    return mask


def _resized(plan: Plan, steps: int) -> Plan:
    """A plan with as many free steps as the next one has: cut, or its last one repeated."""

    def fit(samples: Array) -> Array:
        order = np.minimum(np.arange(steps), samples.shape[-2] - 1)
        return samples[..., order, :]

    samples, energies = plan.tried[-1]
    return replace(plan, samples=fit(plan.samples), tried=((fit(samples), energies),))
