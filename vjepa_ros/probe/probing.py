"""A recording probed without a ROS graph: what is read, what is written and when it is whole, and what it says.

The landscapes are :mod:`vjepa_ros.probe.landscape`'s; the command line is :mod:`vjepa_ros.commands.probe`.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from vjepa_ros import files
from vjepa_ros.config.node import resolve
from vjepa_ros.documents import to_json
from vjepa_ros.errors import BagError
from vjepa_ros.forecast import info
from vjepa_ros.forecast.forecaster import Forecaster, load_model, notices
from vjepa_ros.planning.energies import Energies
from vjepa_ros.probe import picture
from vjepa_ros.probe.canvas import blank
from vjepa_ros.probe.landscape import Landscape, Scan, choose_axes, medians, survey
from vjepa_ros.probe.pairs import require_pairs
from vjepa_ros.probe.plan import PICTURE, REPORT, TABLE, TOOL, Plan
from vjepa_ros.probe.reading import PASSES, PairReader, counting, one_ahead
from vjepa_ros.recordings import feed
from vjepa_ros.recordings.reading import Progress, Say


def probe(
    plan: Plan,
    progress: Progress = lambda what, done, total: None,
    say: Say = lambda sentence: None,
) -> dict[str, Any]:
    """Probe a recording. It is read twice: once to see what there is, once for the windows that are chosen.

    Args:
        plan: what and where to.
        progress: is told how far it has come.
        say: is told, once each, of what was found on the way and people should know.

    Returns:
        The report, as it was written; what it ``says`` has fields of the plan in backquotes. Nothing in it depends on
        the time of day or on how long anything took.

    Raises:
        BagError: for a recording that cannot be used, or in which no window is followed by another.
        OutputError: for an output that must not be written.
        ConfigError: naming a parameter or a field of the plan that makes no sense.
        EngineError: where the model fails.
        OSError: where the disk is full or fails; it names the file. Whatever is raised, no output is left or changed.
    """
    files.require_apart([plan.out], plan.inputs)
    figure = blank(PICTURE, 5.6) if plan.draws else None
    with ExitStack() as stack:
        source = feed.open_source(plan.bags, resolve(one_ahead(plan.values)), plan.topics, plan.urdf, say, stack)
        config = source.config
        require_pairs(config.stream)
        choose_axes(config.stream, plan.dims, np.zeros(config.model.action_dim), plan.spans)  # refuses early
        new = stack.enter_context(files.whole([plan.out], tool=TOOL, force=plan.force))[plan.out]
        reader = PairReader(source, plan.fallback, counting(progress, "messages", PASSES * source.count))
        count, movement = reader.overview(say)
        if count == 0:
            raise BagError(reader.nothing())
        scan = Scan(choose_axes(config.stream, plan.dims, movement, plan.spans), plan.points)
        model = load_model(config)
        for notice in notices(config, model):
            say(notice)
        forecaster, energies, batch_size = Forecaster(model, config), Energies(model), config.candidates.batch_size
        forecast = counting(progress, "forecasts", min(count, plan.windows) * plan.points**2)
        landscapes = [
            survey(model, forecaster, energies, scan, pair, batch_size, forecast)
            for pair in reader.chosen(count, plan.windows)
        ]
        rows = [landscape.row(scan) for landscape in landscapes]
        middle = medians(rows)
        report = {
            **source.report,
            "parameters": dict(config.parameters),
            "latent_info": info.latent_info(config, model),
            "dims": [asdict(axis) for axis in scan.axes],
            "points": scan.points,
            "windows_there": count,
            "windows": [
                {**row, "action": landscape.action.tolist(), "energies": landscape.energies.tolist()}
                for row, landscape in zip(rows, landscapes, strict=True)
            ],
            "medians": middle,
            "says": sentences(scan, landscapes, model.trained),
        }
        new.mkdir()
        _write_table(new / TABLE, rows, middle)
        with files.naming(new / REPORT):
            (new / REPORT).write_text(to_json(report, indent=2) + "\n", encoding="utf-8")
        if figure is not None:
            with files.naming(new / PICTURE):
                picture.draw(figure, scan, landscapes, _title(plan, report), new / PICTURE)
    return report


def _write_table(path: Path, rows: Sequence[dict[str, Any]], middle: Mapping[str, float]) -> None:
    """A line per window, then one of medians."""
    with files.naming(path), path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        writer.writerow({"epoch": "median", **middle})


def _title(plan: Plan, report: Mapping[str, Any]) -> str:
    latent_info = report["latent_info"]
    names = ", ".join(path.resolve().name for path in plan.bags)
    first = f"vjepa_probe of {names} by {latent_info['model']}: energy of forecasts, by the action they are made for"
    return first if latent_info["trained"] else f"{first}\n{latent_info['notice']}: the picture means nothing"


def sentences(scan: Scan, landscapes: Sequence[Landscape], trained: bool) -> list[str]:
    """What the landscapes come to, in words.

    Args:
        scan: their grid.
        landscapes: at least one.
        trained: whether all weights are.
    """
    count, rows = len(landscapes), [landscape.row(scan) for landscape in landscapes]
    middle = medians(rows)
    off = " and ".join(f"{middle[f'offset_{axis.name}']:+.3g} in {axis.label}" for axis in scan.axes)
    steps = " and ".join(f"{axis.span / (scan.points // 2):.3g}" for axis in scan.axes)
    depth = np.median([row["energy_maximum"] - row["energy_minimum"] for row in rows])
    on_edge = sum(row["steps_off"] == scan.points // 2 for row in rows)
    nearer = sum(landscape.recorded < landscape.no_change for landscape in landscapes)
    said = [
        f"The minimum lies {off} off the recorded action on the median of {count} windows, {middle['steps_off']:g} "
        f"grid steps (of {steps}) away; the recorded action ranks {middle['rank']:g} of {scan.points**2}.",
        f"The energies of a grid differ by {depth:.2g}, of {middle['energy_recorded']:.4g} for the recorded action; "
        f"its forecast was nearer to what came than no change in {nearer} of {count} windows.",
    ]
    if on_edge:
        said.append(f"In {on_edge} of {count} windows the minimum lies on the edge of the grid; `spans` widens it.")
    if not trained:
        return ["UNTRAINED: the weights are not trained, so none of this says anything about the camera.", *said]
    if 2 * nearer < count:
        said.append(
            "Forecasts farther off than no change are worth little: look at weights, view and the actions' units first."
        )
    elif middle["steps_off"] > 1:
        said.append(
            "The same offset in most windows can come from a camera's pose, or a convention of the actions, that is "
            "unlike the training's; offsets all over the grid say that the forecasts hardly tell these actions apart."
        )
    return said
