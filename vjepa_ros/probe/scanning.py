"""A recording probed with several values of one parameter: which of them goes with the robot.

The landscapes are those of :mod:`vjepa_ros.probe.probing`, with the same dimensions and the same grid for every value.
It knows no command line and draws nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

import vjepa_ros
from vjepa_ros import files
from vjepa_ros.config.checks import require
from vjepa_ros.config.node import NodeConfig, resolve
from vjepa_ros.devices import release_memory
from vjepa_ros.documents import to_json
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import BagError, brief, listed
from vjepa_ros.forecast import info
from vjepa_ros.forecast.forecaster import Forecaster, load_model, notices
from vjepa_ros.planning.energies import Energies
from vjepa_ros.probe import scan_picture
from vjepa_ros.probe.canvas import blank
from vjepa_ros.probe.landscape import Landscape, Scan, choose_axes, survey
from vjepa_ros.probe.pairs import require_pairs
from vjepa_ros.probe.plan import SCAN_PICTURE, SCAN_REPORT, TOOL, ScanPlan
from vjepa_ros.probe.reading import PASSES, SET_HERE, PairReader, counting, one_ahead
from vjepa_ros.probe.scan_figures import FIGURES, Figures, best, sentences
from vjepa_ros.recordings import feed
from vjepa_ros.recordings.feed import Source
from vjepa_ros.recordings.reading import Progress, Say


@dataclass(frozen=True)
class _Trial:
    """One of the values.

    Attributes:
        value: it.
        source: the recording, read with it.
        reader: of its pairs.
    """

    value: Any
    source: Source
    reader: PairReader

    @property
    def config(self) -> NodeConfig:
        return self.source.config


def scan(
    plan: ScanPlan,
    progress: Progress = lambda what, done, total: None,
    say: Say = lambda sentence: None,
) -> dict[str, Any]:
    """Probe a recording with each value of a parameter. It is read twice for each of them.

    A value with which there is no window to be probed has no figures; the report says why.

    Args:
        plan: what and where to.
        progress: is told how far it has come.
        say: is told, once each, of what was found on the way and people should know.

    Returns:
        The report, as it was written; what it ``says`` has fields of the plan in backquotes.

    Raises:
        ConfigError: naming a parameter or a field of the plan that makes no sense; also for values with which the
            action has other dimensions.
        BagError, OutputError, EngineError, OSError: as for :func:`vjepa_ros.probe.probing.probe`; where no value has a
            window. Whatever is raised, no output is left or changed.
    """
    files.require_apart([plan.out], plan.inputs)
    figure = blank(SCAN_PICTURE, 4.4) if plan.draws else None
    once = _once(say)
    with ExitStack() as stack:
        trials = _opened(plan, once, stack, progress)
        config = trials[0].config
        choose_axes(config.stream, plan.dims, np.zeros(config.model.action_dim), plan.spans)  # refuses early
        new = stack.enter_context(files.whole([plan.out], tool=TOOL, force=plan.force))[plan.out]
        nothing: dict[int, str] = {}  # why, by the place of the value
        counts, movement = [], np.zeros(config.model.action_dim)
        for place, trial in enumerate(trials):
            count, moved = trial.reader.overview(once)
            counts.append(count)
            if count:
                movement += moved / count
            else:
                nothing[place] = trial.reader.nothing()
        if not any(counts):
            raise BagError(f"with {plan.parameter} {brief(trials[0].value)} {nothing[0]}")
        grid = Scan(choose_axes(config.stream, plan.dims, movement, plan.spans), plan.points)
        forecasts = sum(min(count, plan.windows) for count in counts) * plan.points**2
        forecast, models = counting(progress, "forecasts", forecasts), _Models(once)
        figures, rows = [], []
        for trial, count in zip(trials, counts, strict=True):
            model = models.of(trial.config) if count else None
            landscapes = _landscapes(trial, model, grid, count, plan.windows, forecast) if model else []
            found = Figures.of(trial.value, count, landscapes, grid)
            figures.append(found)
            rows.append(_row(trial, found, model, landscapes, grid))
        without = [f"With {plan.parameter} {brief(trials[place].value)} {why}." for place, why in nothing.items()]
        report = {
            "vjepa_ros": vjepa_ros.__version__,
            **_read(trials),
            "parameter": plan.parameter,
            "dims": [asdict(axis) for axis in grid.axes],
            "points": grid.points,
            "values": rows,
            "best": {name: best(figures, name) for name in FIGURES},
            "says": [*sentences(plan.parameter, figures, trained=models.trained), *without],
        }
        new.mkdir()
        with files.naming(new / SCAN_REPORT):
            (new / SCAN_REPORT).write_text(to_json(report, indent=2) + "\n", encoding="utf-8")
        if figure is not None:
            with files.naming(new / SCAN_PICTURE):
                scan_picture.draw(figure, plan.parameter, figures, grid, _title(plan, rows), new / SCAN_PICTURE)
    return report


def _once(say: Say) -> Say:
    """The same, told every sentence once: many are true whatever the value is."""
    told: set[str] = set()

    def once(sentence: str) -> None:
        if sentence not in told:
            told.add(sentence)
            say(sentence)

    return once


def _opened(plan: ScanPlan, say: Say, stack: ExitStack, progress: Progress) -> list[_Trial]:
    """All values validated, then the recording opened with each."""
    name, tried = plan.parameter, list(plan.tried)
    require(name not in SET_HERE, "scan", f"{name} is set by the probe itself: windows end at every step, one forecast")
    require(len(tried) >= 2, "scan", f"{name} needs two values at least, to be compared")
    for index, value in enumerate(tried):
        require(value not in tried[:index], "scan", f"{name} has {brief(value)} twice")
    configs = [resolve(one_ahead({**plan.values, name: value})) for value in tried]
    first = configs[0].stream
    for value, config in zip(tried, configs, strict=True):
        require_pairs(config.stream)
        names, others = config.stream.commands.joint_names, first.commands.joint_names
        require(
            names == others and config.stream.are_actions_poses == first.are_actions_poses, "scan",
            f"{name} {brief(value)} makes actions of {listed(names)}, and {brief(tried[0])} of {listed(others)}: their "
            "grids do not compare",
        )  # fmt: skip
    sources = [feed.open_source(plan.bags, config, plan.topics, plan.urdf, say, stack) for config in configs]
    read = counting(progress, "messages", PASSES * sum(source.count for source in sources))
    return [
        _Trial(value, source, PairReader(source, plan.fallback, read))
        for value, source in zip(tried, sources, strict=True)
    ]


def _landscapes(
    trial: _Trial, model: WorldModel, grid: Scan, count: int, wanted: int, forecast: Callable[[int], None]
) -> list[Landscape]:
    forecaster, energies = Forecaster(model, trial.config), Energies(model)
    return [
        survey(model, forecaster, energies, grid, pair, trial.config.candidates.batch_size, forecast)
        for pair in trial.reader.chosen(count, wanted)
    ]


class _Models:
    """The model of each value, one at a time; it is loaded again only where the value is one of the model's."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._model: WorldModel | None = None
        self._made_of: tuple[Any, ...] = ()
        self.trained = True

    def of(self, config: NodeConfig) -> WorldModel:
        """Raises ConfigError naming the parameter at fault: what it cannot be built of, loaded from or run on."""
        made_of = (
            config.model, config.weights, config.engine, config.normalization, config.state_change,
            str(config.no_state_change),
        )  # fmt: skip
        if self._model is None or made_of != self._made_of:
            self._model = None  # before there are two
            release_memory()
            self._model, self._made_of = load_model(config), made_of
        self.trained &= self._model.trained
        for notice in notices(config, self._model):
            self._say(notice)
        return self._model


def _row(
    trial: _Trial, found: Figures, model: WorldModel | None, landscapes: Sequence[Landscape], grid: Scan
) -> dict[str, Any]:
    """What the report says of one value; of one without windows no model was needed."""
    windows = [
        {**landscape.row(grid), "distance": distance}
        for landscape, distance in zip(landscapes, found.distances, strict=True)
    ]
    return {
        "value": found.value,
        "windows_there": found.windows_there,
        **{name: found.figure(name) for name in FIGURES},
        "windows": windows,
        "topics": trial.source.named,
        "parameters": dict(trial.config.parameters),
        "latent_info": info.latent_info(trial.config, model) if model else None,
    }


def _read(trials: Sequence[_Trial]) -> dict[str, Any]:
    """What was read, and what of it could not be with any of the values."""
    reports = [trial.source.report for trial in trials]
    found: dict[str, Any] = {"bags": reports[0]["bags"]}
    for name in ("notes", "incomplete"):
        found[name] = []
        for report in reports:
            found[name] += [one for one in report[name] if one not in found[name]]
    return found


def _title(plan: ScanPlan, rows: Sequence[dict[str, Any]]) -> str:
    names = ", ".join(path.resolve().name for path in plan.bags)
    infos = [row["latent_info"] for row in rows if row["latent_info"]]
    models = list(dict.fromkeys(str(info["model"]) for info in infos))
    first = f"vjepa_probe of {names} by {', '.join(models)}: {plan.parameter}"
    notices = [info["notice"] for info in infos if not info["trained"]]
    return f"{first}\n{notices[0]}: the picture means nothing" if notices else first
