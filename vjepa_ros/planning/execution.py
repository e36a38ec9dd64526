"""Whether plans are sent to the robot, and what ends that: off until it is switched on, and at once off for a reason.

One lock is held while something is judged and sent, and while execution ends: once :meth:`Execution.end` has returned,
nothing more is sent. It is used from two threads. No ROS: what sends is given, and the only clock of its own is the
monotonic one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.config.planner import JOINT_STATE, TWIST, PlannerConfig
from vjepa_ros.errors import InputError
from vjepa_ros.geometry import Vector
from vjepa_ros.planning.arm import Arm
from vjepa_ros.planning.command import Command, Sender, Step
from vjepa_ros.planning.freshness import Freshness
from vjepa_ros.planning.safety import Verdict, judge, judge_ahead
from vjepa_ros.units import S_TO_NS

REASONS = (
    "switched_off",  # by ~/execute
    "stopped",  # by ~/stop
    "deactivated",
    "reached",  # the last goal is met
    "new_robot",  # another robot description came
    "time_jumped",  # back, or a reset came
    "stale_input",  # no window, no measured joints, or no prediction error that are new enough
    "no_progress",  # the energy is not lower than at the start
    "prediction_error",  # above its bound
    "not_finite",  # a prediction error, an energy or a command that is not
    "model_failed",
    "limit_hits",  # too many
    "steps_done",  # as many commands as were asked for
    "internal_error",
)
"""Why execution ended."""


class Execution:
    """Sends the first step of plans, while it is on.

    Args:
        config: what ends it.
        sender: sends.
        tell: called with (reason, detail) once it has ended.
        now_ns: the time on the clock of the stamps.
        jump_back_s: measured joints that go back by this much mean that time has jumped.

    Attributes:
        reason, detail: why it ended last; empty before that.
        hits: commands that a limit has cut or kept back since it was switched on.
        sent: commands since then.
    """

    def __init__(
        self,
        config: PlannerConfig,
        sender: Sender,
        tell: Callable[[str, str], None],
        now_ns: Callable[[], int] = time.time_ns,
        jump_back_s: float = 1.0,
    ) -> None:
        self._config = config
        self._sender = sender
        self._tell = tell
        self._lock = threading.RLock()
        self._on = False
        self._arm: Arm | None = None
        self._now_ns = now_ns
        self._seen = Freshness(config.max_age_s, jump_back_s, now_ns)
        self._since_s = np.inf  # when it was switched on
        self._last: tuple[Step, Vector] | None = None  # what was sent last, and where that leads
        self._moves_until_s = np.inf  # a speed is sent for one step
        self._plans = 0
        self._first_energy = np.inf
        self.reason = self.detail = ""
        self.hits = self.sent = 0

    @property
    def is_on(self) -> bool:
        """Whether plans are sent."""
        return self._on

    def describe(self, arm: Arm | None) -> None:
        """Take in another robot, of which nothing is measured yet; None where its description cannot be used."""
        what = "another robot description came"
        self.end("new_robot", what if arm is not None else f"{what}, and it cannot be used: see the log")
        with self._lock:
            self._arm = arm
            self._seen.describe(arm)

    def measured(self, joints: NDArray[np.int64] | slice, positions: Vector, stamp_ns: int) -> None:
        """Take in measured positions of some of the arm's joints.

        Raises:
            InputError: ``out_of_order`` where something newer of them has come already.
        """
        with self._lock:
            if jumped := self._seen.measured(joints, positions, stamp_ns):
                self.end("time_jumped", jumped)

    def window(self, stamp_ns: int, every_s: float) -> None:
        """Take in that a window came, the stamp of its newest frame, and how often they come."""
        with self._lock:
            self._seen.window(stamp_ns, every_s)

    def prediction_error(self, error: float) -> None:
        """Take in how wrong a forecast was."""
        most = self._config.max_prediction_error
        with self._lock:
            self._seen.compared()
        if not np.isfinite(error):
            self.end("not_finite", f"a prediction error of {error}")
        elif most and error > most:
            self.end("prediction_error", f"{error:.4g} is above planner.max_prediction_error, {most:g}")

    def switch_on(self, require: Callable[[], None] = lambda: None) -> None:
        """Send plans from now on: those that are begun from now on.

        Args:
            require: raises InputError for whatever else speaks against it; what ends execution waits until it is on.

        Raises:
            InputError: where it must not: ``not_allowed``, ``no_limits``, ``stale_input``.
        """
        with self._lock:
            require()
            if not self._config.execute:
                raise InputError("not_allowed", "planner.execute is false: set it, and configure again")
            if self._arm is None:
                raise InputError("no_limits", "no robot description with limits has come, see the log")
            if stale := self._seen.stale():
                raise InputError("stale_input", stale)
            if self._on:
                return
            self._on, self.reason, self.detail = True, "", ""
            self._seen.compared()  # the next one is waited for
            self._since_s, self._last = time.monotonic(), None
            self.hits = self.sent = 0
            self.restart()

    def restart(self) -> None:
        """Judge progress anew: another goal is aimed at."""
        with self._lock:
            self._plans, self._first_energy = 0, np.inf

    def end(self, reason: str, detail: str) -> bool:
        """Send nothing more, but that speeds are zero; whether it was on."""
        with self._lock:
            if not self._on:
                return False
            self._on, self.reason, self.detail = False, reason, detail
            self._moves_until_s = np.inf
            self._sender.rest()
        self._tell(reason, detail)
        return True

    def check(self) -> None:
        """End it where what is needed has not come in time; a speed that nobody has renewed becomes zero."""
        with self._lock:
            if not self._on:
                return
            if stale := self._seen.stale() or self._seen.blind():
                self.end("stale_input", stale)
            elif time.monotonic() > self._moves_until_s:
                self._moves_until_s = np.inf
                self._sender.rest()

    def offer(self, step: Step, sent: Callable[[Command], None] = lambda command: None) -> bool:
        """Take the first free step of a plan, and send it where that is on and allowed; whether it was sent.

        Args:
            step: of a plan. One that was begun before execution was switched on is not sent.
            sent: told of what was sent, which limits may have cut; before anything can end execution.
        """
        with self._lock:
            self.check()
            if not self._on or self._arm is None or step.begun_s < self._since_s or not self._progresses(step.energy):
                return False
            if 0 < self._config.execute_steps <= self.sent:
                return not self.end("steps_done", f"planner.execute_steps is {self._config.execute_steps}")
            arm, now, at_ns = self._arm, self._seen.joints.copy(), self._now_ns()
            if step.ends_ns <= at_ns and self._config.command_type == JOINT_STATE:
                return False  # it is over
            try:
                target = arm.reach(now, step.target) if step.is_pose else _with_others(step.target, now)
            except InputError as error:
                return self._hit(error.detail)
            verdict, period_s = self._judge(arm, now, target, step, at_ns)
            if verdict.hit and not self._hit(verdict.hit, goes_on=verdict.positions is not None):
                return False
            if verdict.positions is None:
                return False
            if self._config.command_type == TWIST:
                self._moves_until_s = time.monotonic() + period_s
            self.sent += 1
            self._last = step, verdict.positions
            command = Command(arm, now, verdict.positions, period_s, step.begins_ns, is_cut=bool(verdict.hit))
            self._sender.send(command)
            sent(command)
            return True

    def _judge(self, arm: Arm, now: Vector, target: Vector, step: Step, at_ns: int) -> tuple[Verdict, float]:
        """What becomes of a command, and how long it has for its way.

        One that is stamped with when its step begins waits until then, while the one before it is in force: it has one
        step, from where that one leads, or what is left of its step.
        """
        if self._config.command_type != JOINT_STATE:
            period_s = (step.ends_ns - step.begins_ns) / S_TO_NS
            return judge(arm, now, target, period_s), period_s
        period_s = (step.ends_ns - max(at_ns, step.begins_ns)) / S_TO_NS
        if self._last is not None and at_ns < self._last[0].ends_ns:
            within_s = (step.ends_ns - at_ns) / S_TO_NS
            return judge_ahead(arm, now, self._last[1], target, within_s, period_s), period_s
        return judge(arm, now, target, period_s), period_s

    def _hit(self, detail: str, *, goes_on: bool = False) -> bool:
        """Count a hit; whether the command is sent all the same."""
        self.hits += 1
        if self.hits >= self._config.max_limit_hits:
            self.end("limit_hits", f"{self.hits} commands were cut or kept back, the last one by: {detail}")
            return False
        return goes_on

    def _progresses(self, energy: float) -> bool:
        """Whether the energy is lower than at the start, once there were enough plans."""
        if not np.isfinite(energy):
            return not self.end("not_finite", f"an energy of {energy}")
        if self._plans == 0:
            self._first_energy = energy
        self._plans += 1
        if self._plans > self._config.patience and energy >= self._first_energy:
            return not self.end(
                "no_progress", f"after {self._plans - 1} plans the energy is {energy:.4g}, and was "
                f"{self._first_energy:.4g} at the start",
            )  # fmt: skip
        return True


def _with_others(joints: Vector, now: Vector) -> Vector:
    """(joints,) those that actions are about, and the others where they are."""
    return np.concatenate([joints, now[len(joints) :]])
