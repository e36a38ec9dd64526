"""Plans made in turns by the one thread that touches the model: a question to the worker.

A turn is a goal image to encode, the choice of the window, or a batch of candidates, so that no window waits for more
than one batch. What a plan is about is chosen when its turn comes, and judged again when it is there; whoever is given
it decides what becomes of it. No ROS, no threads of its own, and the only clock of its own is the monotonic one.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.devices import failures
from vjepa_ros.errors import ConfigError, EngineError, InputError, ShapeError
from vjepa_ros.forecast.forecaster import SeenWindow
from vjepa_ros.planning.aims import Target
from vjepa_ros.planning.motion import Steps
from vjepa_ros.planning.picture import beside
from vjepa_ros.planning.plan import Planning
from vjepa_ros.planning.plan_outcome import Outcome
from vjepa_ros.planning.planner import Planner


class PlanQuestion:
    """One plan, made in turns: the worker's ``Question``.

    Another epoch or another goal in the middle of it begins it anew.

    Args:
        planner: what plans have in common.
        deliver: called with what became of it.
    """

    def __init__(self, planner: Planner, deliver: Callable[[Outcome], None]) -> None:
        self._planner = planner
        self._deliver = deliver
        self._forget()
        self.outcome = Outcome()

    def _forget(self) -> None:
        self._seen: SeenWindow | None = None
        self._target: Target | None = None
        self._planning: Planning | None = None
        self._steps: Steps | None = None
        self._now = float("nan")
        self._began_s = 0.0

    def turn(self, epoch: int) -> bool:
        """Encode a goal, choose the window, or compare a batch; whether there is a plan, or a reason for none.

        Raises:
            EngineError: if the model or its device fails; the turn can be tried again.
        """
        try:
            return self._turn(epoch)
        except InputError as error:
            self.outcome = Outcome(error.reason, error.detail, self._seen, self._target, self._now)
            return True
        except (ConfigError, ShapeError) as error:  # a mistake here is no reason to give the model up
            self.outcome = Outcome("internal_error", str(error), self._seen, self._target, self._now)
            return True

    def _turn(self, epoch: int) -> bool:
        planner = self._planner
        if self._seen is not None and self._seen.window.epoch != epoch:
            was = self._seen.window.epoch
            self._restart(by_goal=False)
            seen = planner.forecaster.last
            if seen is None or seen.window.epoch != epoch:
                raise InputError("outdated", f"it was of epoch {was}, now is {epoch}, and no window has come yet")
        if self._target is not None and not planner.is_aimed_at(self._target):
            self._restart(by_goal=True)
        if self._planning is not None:
            return self._planning.turn() and self._end(self._planning)
        if planner.aims.current is None:
            raise InputError("no_goal", "publish an image on ~/goal_image, or set planner.goals")
        if planner.aims.encode(planner.model):
            return False
        self._target = planner.aims.target()
        return self._target is not None and self._begin(self._target, epoch)

    def _restart(self, *, by_goal: bool) -> None:
        self._planner.restarted(by_goal=by_goal)
        self._forget()

    def _begin(self, target: Target, epoch: int) -> bool:
        planner = self._planner
        if self._seen is None:
            seen, self._began_s = planner.window(epoch), time.monotonic()
            tokens = planner.model.grid.tokens_per_step
            with failures("comparing with the goal"):
                self._now = float(planner.model.energy(seen.context[0, -tokens:], target.latents, target.mask))
            self._seen = seen
            verdict = "reached" if planner.aims.is_reached else planner.note(target, self._now)
            if verdict == "reached":
                raise InputError("reached", f"the last goal is met, with the energy {self._now:.4g}")
            if verdict == "next":
                self._forget()
                return False
        self._planning, self._steps = planner.planning(self._seen, target, self._now, self._began_s)
        return False

    def _end(self, planning: Planning) -> bool:
        planner, plan = self._planner, planning.plan
        assert self._seen is not None and self._steps is not None
        if self._target is None or not planner.is_aimed_at(self._target):
            self._restart(by_goal=True)  # it came with the last batch
            return False
        picture = self._picture(planning, self._target) if planner.wants_picture() else None
        planner.require_fresh(self._seen)  # last: nothing that takes long comes after it
        first = len(plan.actions) - len(plan.energies)
        self.outcome = Outcome(
            seen=self._seen, target=self._target, now=plan.now, plan=plan,
            reached=planner.motion.reached(planner.motion.start(self._seen.window), plan.actions), first=first,
            steps=self._steps, is_late=planner.now_ns() > self._steps.begins_ns(first + 1),
            took_s=time.monotonic() - self._began_s, begun_s=self._began_s, picture=picture,
        )  # fmt: skip
        return True

    def _picture(self, planning: Planning, target: Target) -> NDArray[np.uint8] | None:
        """The goal beside what the plan leads to; None where that fails: a plan is none the worse for it, and a device
        that is broken fails at the next window."""
        model = self._planner.model
        try:
            forecast = planning.forecasts(planning.plan.actions[None])[0, -1]
            with failures("copying latents to the host"):
                goal, ahead = (latents.float().cpu().numpy() for latents in (target.latents[0], forecast))
        except EngineError:
            self._planner.tally["no_picture"] += 1
            return None
        return beside(goal, ahead, model.grid.rows, model.grid.cols)

    def fail(self, error: Exception) -> None:
        """The model has failed too often."""
        self.outcome = Outcome("model_failed", str(error), self._seen, self._target, self._now)

    def deliver(self) -> None:
        """Count it, remember it, and hand it over."""
        tally, outcome = self._planner.tally, self.outcome
        self._planner.finished(outcome)
        if outcome.plan is not None:
            tally["planned"] += 1
            tally["late"] += outcome.is_late
        elif outcome.reason in tally:
            tally[outcome.reason] += 1
        self._deliver(outcome)
