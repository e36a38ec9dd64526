"""What a model has learnt, on recordings that it was never trained on: its forecasts against what came.

The one measure is the mean absolute difference of layer-normalised latents, that of the planner's energies; what it is
worth shows beside that of predicting no change, and that of the same forecast with other actions. Only forecasts count
(rule 8). A model and latents in, figures out; it knows no recordings, no files and no pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.config.stream import StreamConfig
from vjepa_ros.devices import failures
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import ConfigError, EngineError
from vjepa_ros.model.state_model import StateModel
from vjepa_ros.recordings.reading import Progress
from vjepa_ros.training import action_grid
from vjepa_ros.training.figures import Evaluation, Forecasts, JointFigures, SpeedFigures, Worst, ratio
from vjepa_ros.training.runs import Dataset, Sample
from vjepa_ros.training.steps import LEAST_SPEED, Steps

AHEAD = (1, 4, 8)
"""Steps ahead that are looked at."""
MOST_SAMPLES, MOST_SCANNED, WORST = 256, 32, 6
_BATCH = 16  # rollouts at once
_SPEEDS = ("still", "slow", "medium", "fast")


def evaluate(
    model: WorldModel,
    data: Dataset,
    stream: StreamConfig,
    seed: int = 0,
    progress: Progress = lambda what, done, total: None,
) -> Evaluation:
    """Forecast held-back samples, as a planner would: from all the context that the model takes.

    Args:
        model: whose latents ``data`` has.
        data: runs that were held back.
        stream: names the joints, and says what actions do.
        seed: of what is shuffled.
        progress: is told how many rollouts are done.

    Raises:
        ConfigError: where no run is long enough for a single forecast.
        EngineError: where the model or its device fails, or gives what is not finite.
    """
    context = model.config.most_context
    chosen = {ahead: _spread(data.samples(context, ahead), MOST_SAMPLES) for ahead in AHEAD}
    chosen = {ahead: samples for ahead, samples in chosen.items() if samples}
    if not chosen:
        raise ConfigError(
            "hold_back", f"no recording held back has {context + 1} steps that follow each other without a gap"
        )  # fmt: skip
    steps = Steps.of(data.runs, stream)
    speeds = steps.of_samples(chosen[1])
    moves = speeds > LEAST_SPEED
    scanned = _spread([sample for sample, is_moving in zip(chosen[1], moves, strict=True) if is_moving], MOST_SCANNED)
    apart = 4 if 4 in chosen else 1  # where joints are told apart, and the worst are looked for
    dims = len(steps.lengths)
    total = sum(2 * len(samples) for samples in chosen.values()) + dims * len(chosen[apart]) + len(scanned)
    rollouts = _Rollouts(model, data, _counting(progress, total))
    generator = np.random.default_rng(seed)
    found, orders = {}, {}
    for ahead, samples in chosen.items():
        orders[ahead] = _others(len(samples), generator)
        found[ahead] = rollouts.forecasts(samples, ahead, orders[ahead])
    joints = []
    for index, name in enumerate(stream.commands.joint_names):
        shuffled, _ = rollouts.errors(chosen[apart], apart, orders[apart], only=index)
        several = len(chosen[apart]) > 1
        worse = ratio(shuffled[:, -1], found[apart].right[:, -1]) if several else None
        joints.append(JointFigures(name, *steps.ranges[index], float(steps.moving[index]), worse))
    grid = None
    if scanned:
        grid = action_grid.scan(model, data, scanned, stream, steps.lengths, _BATCH, rollouts.done)
    return Evaluation(
        found, grid, tuple(joints), _by_speed(found[1], speeds), _worst(found[apart], apart, data), steps.share,
        rollouts.states_held,
    )  # fmt: skip


class _Rollouts:
    """Forecasts from samples, many at once."""

    def __init__(self, model: WorldModel, data: Dataset, done: Callable[[int], None]) -> None:
        self.model, self.data, self.done = model, data, done
        self.states_held = False
        try:
            self.states = model.state_model
        except ConfigError:
            self.states_held = True
            self.states = StateModel("none", model.config.action_dim, model.config.state_dim)

    def forecasts(self, samples: Sequence[Sample], ahead: int, others: NDArray[np.int64]) -> Forecasts:
        right, still = self.errors(samples, ahead)
        shuffled, _ = self.errors(samples, ahead, others)
        return Forecasts(tuple(samples), right, still, shuffled)

    def errors(
        self, samples: Sequence[Sample], ahead: int, others: NDArray[np.int64] | None = None, only: int | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(n, h) of the forecasts and of no change; with the actions of other samples, or one dimension of these."""
        model, context = self.model, self.model.config.most_context
        right, still = np.empty((len(samples), ahead)), np.empty((len(samples), ahead))
        for start in range(0, len(samples), _BATCH):
            part = slice(start, start + _BATCH)
            batch = self.data.batch(samples[part], context, ahead)
            past, future = batch.actions[:, : context - 1], batch.actions[:, context - 1 :].clone()
            if others is not None:
                dims: Any = slice(None) if only is None else only
                taken = self.data.batch([samples[index] for index in others[part]], context, ahead).actions
                future[..., dims] = taken[:, context - 1 :, dims]
            forecasts = model.rollout(
                batch.context.flatten(1, 2), past, batch.states[:, :context], future[:, None], state_model=self.states
            )[:, 0]  # (b, h, H'*W', D)
            with failures("comparing forecasts"):
                targets = batch.targets.to(forecasts.device)
                newest = batch.context[:, -1:].to(forecasts.device)
                right[part] = (forecasts - targets).abs().mean((2, 3)).cpu().numpy()
                still[part] = (newest - targets).abs().mean((2, 3)).cpu().numpy()
            self.done(len(batch.context))
        if not (np.isfinite(right).all() and np.isfinite(still).all()):
            raise EngineError("forecasts of held-back windows are not finite: the model cannot be used")
        return right, still


def _counting(progress: Progress, total: int) -> Callable[[int], None]:
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        progress("rollouts", done, total)

    return count


def _spread(samples: Sequence[Sample], most: int) -> list[Sample]:
    """At most so many of them, evenly spaced."""
    if len(samples) <= most:
        return list(samples)
    return [samples[index] for index in np.linspace(0, len(samples) - 1, most).round().astype(int)]


def _others(count: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """(n,) another number for each, every one once: a single circle in random order."""
    order = generator.permutation(count)
    others = np.empty(count, np.int64)
    others[order] = np.roll(order, 1)
    return others


def _by_speed(found: Forecasts, speeds: NDArray[np.float64]) -> tuple[SpeedFigures, ...]:
    moves = speeds > LEAST_SPEED
    edges = np.quantile(speeds[moves], (1 / 3, 2 / 3)) if moves.any() else np.zeros(2)
    kinds = np.where(moves, 1 + np.searchsorted(edges, speeds, side="left"), 0)
    figures = []
    for kind, name in enumerate(_SPEEDS):
        mine = kinds == kind
        if mine.any():
            right, still = float(found.right[mine, 0].mean()), float(found.still[mine, 0].mean())
            figures.append(SpeedFigures(name, int(mine.sum()), right, still))
    return tuple(figures)


def _worst(found: Forecasts, ahead: int, data: Dataset) -> tuple[Worst, ...]:
    """The largest errors, no two of them within a window of each other."""
    worst: list[Worst] = []
    for index in np.argsort(-found.right[:, -1], kind="stable"):
        sample = found.samples[index]
        near = (one for one in worst if one.sample.run == sample.run)
        if any(abs(one.sample.newest - sample.newest) < data.window_steps for one in near):
            continue
        run = data.runs[sample.run]
        errors = float(found.right[index, -1]), float(found.still[index, -1])
        worst.append(Worst(sample, run.recording, int(run.stamps_ns[sample.newest]), ahead, *errors))
        if len(worst) == WORST:
            break
    return tuple(worst)
