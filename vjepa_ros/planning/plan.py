"""From observed steps and a goal to a plan: what V-JEPA 2-AC's planner does, with any solver.

Tensors and arrays in, a plan out; no ROS and no threads. It knows no robot: limits are what it is given.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vjepa_ros.config.checks import require, require_choice
from vjepa_ros.config.model import ModelConfig
from vjepa_ros.devices import failures
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import ShapeError
from vjepa_ros.model.rollout import Observed
from vjepa_ros.planning.solvers import SOLVERS, Options, Problem, Solution, costs_of, search, shifted
from vjepa_ros.planning.spaces import ActionSpace, Space

Array = NDArray[Any]
"""Of float64."""


@dataclass(frozen=True)
class Plan:
    """What a solver settled on.

    Attributes:
        actions: (H, A) float64, as they are read; the first is in force from the newest observed step on.
        samples: (H-n, dims) what stands for all but the n committed ones in the space that candidates are drawn in.
        energies: (H-n,) float64, of the steps that the actions after the committed ones lead to.
        now: the energy of the newest observed step.
        tried: per iteration (the samples (K, H-n, dims) of the candidates, their energies (K, H-n)).
        ended_early: whether the time was up before the last iteration.
    """

    actions: Array
    samples: Array
    energies: Array
    now: float
    tried: tuple[tuple[Array, Array], ...]
    ended_early: bool

    @property
    def nearest(self) -> int:
        """How many steps after the committed ones it comes nearest to the goal, 1 to H-n."""
        return int(np.argmin(self.energies)) + 1


def plan(
    wm: WorldModel,
    seen: Observed,
    goal: torch.Tensor,
    *,
    horizon: int,
    std: float | Array,
    mean: Array | None = None,
    low: float | Array = -np.inf,
    high: float | Array = np.inf,
    committed: Array | None = None,
    last: Plan | None = None,
    executed: int = 1,
    action_repeat: int = 1,
    mask: Array | None = None,
    space: Space | None = None,
    solver: str = "cem",
    options: Options | None = None,
    batch_size: int = 64,
    time_limit_s: float = np.inf,
    seed: int = 0,
) -> Plan:
    """Find the actions whose forecast comes nearest to a goal.

    Only as many of the observed steps are used as leave room for the horizon: more of them would push out the oldest
    ones, and everything would be computed again for each candidate. The numbers are those of a window that had no more.

    >>> import numpy as np, vjepa_ros
    >>> wm = vjepa_ros.load("tiny_random")
    >>> frames = np.zeros((16, 120, 160, 3), np.uint8)  # RGB
    >>> context = wm.encode(wm.preprocess(frames))
    >>> seen = wm.observe(context, np.zeros((1, 7, 7)), np.zeros((1, 8, 7)))
    >>> goal = wm.encode_goal(np.full((120, 160, 3), 255, np.uint8))
    >>> found = vjepa_ros.plan(wm, seen, goal, horizon=2, std=0.05, low=-0.1, high=0.1)
    >>> found.actions.shape, found.energies.shape, len(found.tried)
    ((2, 7), (2,), 4)

    Args:
        wm: the world model.
        seen: the observed steps of one window, as :meth:`WorldModel.observe` prepares them.
        goal: (1, H'*W', D), as :meth:`WorldModel.encode_goal` gives it.
        horizon: H, how many steps ahead.
        std: of the first candidates, in the unit of the space: a number, (dims,) or (H-n, dims); 0 freezes.
        mean: (dims,) or (H-n, dims) what they are drawn around; zeros where nothing is said.
        low, high: what candidates are clipped to: a number, (dims,) or (H-n, dims).
        committed: (n, A) the first actions, which are decided already and stay: those in force, or sent before the plan
            will be there; none where nothing is said.
        last: the plan before: what is left of it is drawn around instead of ``mean``, and tried (a warm start).
        executed: how many steps of the last plan were executed since.
        action_repeat: for how many steps what is drawn for one of them is kept up: a plan that looks far ahead with few
            numbers to find. All that is said below of H-n is then of one in so many of them.
        mask: (H', W') bool, the tokens of the goal that count; all where there is none.
        space: what candidates are drawn in, dims numbers a step; the actions themselves where nothing is said.
        solver: ``cem``, ``icem`` or ``mppi``.
        options: of the solver: samples, elites, iterations and so on.
        batch_size: candidates that are rolled out at once; bounds the memory.
        time_limit_s: after this time no batch begins, and the best so far is the plan.
        seed: of all chance.

    Raises:
        ConfigError: for options that make no sense, or where nobody knows how actions advance states.
        ShapeError: where shapes do not fit, naming both.
        InputError: ``not_finite`` where energies or numbers are not; ``no_time`` where the time was up before any
            iteration was done.
        EngineError: where model or device fail.
    """
    planning = Planning(
        wm, seen, goal, horizon=horizon, std=std, mean=mean, low=low, high=high, committed=committed, last=last,
        executed=executed, action_repeat=action_repeat, mask=mask, space=space, solver=solver, options=options,
        batch_size=batch_size, time_limit_s=time_limit_s, seed=seed,
    )  # fmt: skip
    while not planning.turn():
        pass
    return planning.plan


def observed_before(config: ModelConfig, horizon: int) -> int:
    """How many of the newest steps a plan begins from, at most: as many as leave room for its own."""
    return max(1, config.most_context - horizon + 1)


class Planning:
    """A plan in the making, a batch of candidates at a time, for whoever has other work for the model in between.

    Args:
        began_s: on the monotonic clock, from when on the time is limited; now where nothing is said. All others as for
            :func:`plan`.
    """

    def __init__(
        self,
        wm: WorldModel,
        seen: Observed,
        goal: torch.Tensor,
        *,
        horizon: int,
        std: float | Array,
        mean: Array | None = None,
        low: float | Array = -np.inf,
        high: float | Array = np.inf,
        committed: Array | None = None,
        last: Plan | None = None,
        executed: int = 1,
        action_repeat: int = 1,
        mask: Array | None = None,
        space: Space | None = None,
        solver: str = "cem",
        options: Options | None = None,
        batch_size: int = 64,
        time_limit_s: float = np.inf,
        seed: int = 0,
        began_s: float | None = None,
    ) -> None:
        options = options or Options()
        require_choice(solver, "planner.solver", SOLVERS)
        require(horizon >= 1, "planner.horizon", "must be at least 1")
        if seen.windows != 1:
            raise ShapeError(f"{seen.windows} windows where a plan is made for one")
        self._until_s = (time.monotonic() if began_s is None else began_s) + time_limit_s
        self._wm, self._goal, self._mask, self._batch_size = wm, goal, mask, batch_size
        action_dim = wm.config.action_dim
        self._space = space or ActionSpace(action_dim)
        self._committed = _decided(committed, action_dim, horizon)
        require(action_repeat >= 1, "planner.action_repeat", "must be at least 1")
        self._repeat, self._free = action_repeat, horizon - len(self._committed)
        shape = (-(-self._free // action_repeat), self._space.dims)
        problem = _problem(shape, std, mean, low, high, last, executed / action_repeat, options)
        self._room = wm.newest(seen, observed_before(wm.config, horizon))
        newest = seen.context[0, -wm.grid.tokens_per_step :]
        with failures("comparing with the goal"):
            self._now = float(wm.energy(newest, goal, mask))
        method = SOLVERS[solver](problem, options, np.random.default_rng(seed))
        self._search = search(method, options, self._free)
        self._found: Plan | None = None
        self._ask(next(self._search))

    @property
    def plan(self) -> Plan:
        """The plan, once a turn has said that it is there."""
        assert self._found is not None, "it is not there yet"
        return self._found

    def turn(self) -> bool:
        """Compare a batch of candidates with the goal; whether the plan is there. It can be called again after an
        EngineError.

        Raises:
            InputError: ``not_finite`` or ``no_time``, as :func:`plan`.
            EngineError: where model or device fail.
        """
        if time.monotonic() >= self._until_s:
            return self._hear(None)
        batch = slice(self._done, self._done + self._batch_size)
        self._actions_asked = self._actions(self._candidates[batch])
        forecasts = self.forecasts(self._actions_asked)  # (K, H, H'*W', D)
        with failures("comparing with the goal"):
            energies = self._wm.energy(forecasts[:, len(self._committed) :], self._goal, self._mask)
            self._energies[batch] = energies.cpu().numpy()
        self._done += self._batch_size
        return self._done >= len(self._energies) and self._hear(self._energies)

    def forecasts(self, actions: Array) -> torch.Tensor:
        """(K, H, A) actions -> (K, H, H'*W', D) what they are expected to lead to."""
        return self._wm.rollout_from(self._room, actions)

    def _actions(self, samples: Array) -> Array:
        """(K, H-n, dims) -> (K, H, A)"""
        first = np.broadcast_to(self._committed, (len(samples), *self._committed.shape))
        drawn = np.repeat(samples, self._repeat, axis=1)[:, : self._free]
        return np.concatenate([first, self._space.actions(drawn)], axis=1)

    def _ask(self, candidates: Array) -> None:
        self._candidates: Array = candidates
        self._energies: Array = np.empty((len(candidates), self._free))
        self._done = 0

    def _hear(self, energies: Array | None) -> bool:
        try:
            self._ask(self._search.send(energies))
        except StopIteration as ended:
            found: Solution = ended.value
            was_asked = len(self._candidates) == 1 and np.array_equal(self._candidates[0], found.actions)
            (actions,) = self._actions_asked if was_asked else self._actions(found.actions[None])
            self._found = Plan(actions, found.actions, found.energies, self._now, found.tried, found.ended_early)
            return True
        return False


def _decided(committed: Array | None, action_dim: int, horizon: int) -> Array:
    """(n, A) what is committed, n less than the horizon."""
    decided = np.zeros((0, action_dim)) if committed is None else np.asarray(committed, np.float64)
    if decided.ndim != 2 or decided.shape[1] != action_dim or len(decided) >= horizon:
        raise ShapeError(
            f"committed actions of shape {decided.shape} where (n, {action_dim}) is needed, n less than the horizon, "
            f"{horizon}"
        )
    return decided


def _problem(
    shape: tuple[int, int],
    std: float | Array,
    mean: Array | None,
    low: float | Array,
    high: float | Array,
    last: Plan | None,
    executed: float,
    options: Options,
) -> Problem:
    """What a solver is given."""
    fits = _fitting(shape)
    start = fits("mean", np.zeros(()) if mean is None else mean)
    warm: Array = np.empty((0, 0, 0))
    if last is not None:
        if last.samples.shape != shape:
            raise ShapeError(f"a last plan with samples of shape {last.samples.shape} where {shape} is needed")
        free = fits("std", std) > 0  # the others stay where they are now
        start = np.where(free, _left(last.samples, executed), start)
        best = _left(_best(last, round(options.kept_elites * options.elites), options.cost), executed)
        warm = np.concatenate([start[None], best])
    return Problem(start, fits("std", std), fits("low", low), fits("high", high), warm)


def _left(samples: Array, executed: float) -> Array:
    """(..., n, dims) what is left of a plan of which so many samples, and a part of one, were executed: the mean of
    what each new one lasts for."""
    whole = int(executed)
    now, then = shifted(samples, whole), shifted(samples, whole + 1)
    return now + (executed - whole) * (then - now)


def _best(plan: Plan, count: int, cost: str) -> Array:
    """(n, H-n, dims) the best candidates of a plan's last iteration."""
    candidates, energies = plan.tried[-1]
    return candidates[np.argsort(costs_of(energies, cost), kind="stable")[:count]]


def _fitting(shape: tuple[int, int]) -> Callable[[str, Any], Array]:
    def fits(name: str, value: Any) -> Array:
        array = np.asarray(value, np.float64)
        if array.shape not in ((), shape[1:], shape):
            raise ShapeError(f"{name} of shape {array.shape} where a number, {shape[1:]} or {shape} is needed")
        return np.broadcast_to(array, shape).copy()

    return fits
