"""How the times grow with window, image, horizon and candidates, ours and the reference's: measured, and drawn.

Only the drawing needs matplotlib.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from support.agreement import CHAINED_TOLERANCE, TOLERANCE

from benchmarks.cases import Case, predict, rollout, window
from benchmarks.measure import Line, Plan, measure_case
from benchmarks.setups import Settings
from vjepa_ros.errors import ConfigError

PICTURE = "performance_scaling.png"


@dataclass(frozen=True)
class Axis:
    """One quantity that is varied.

    Attributes:
        name: of it, with its unit.
        work: what is timed.
        values: of the quantity.
        cases: one for each value.
    """

    name: str
    work: str
    values: tuple[int, ...]
    cases: tuple[Case, ...]


def axes(toy: bool) -> tuple[Axis, ...]:
    """What is varied; few and small values where only the way is tried."""
    frames = (4, 8, 16) if toy else (4, 8, 16, 32)
    sides = (32, 64) if toy else (128, 192, 256, 384)
    horizons, candidates = ((1, 2), (1, 2)) if toy else ((1, 2, 4, 6, 8), (1, 4, 8, 16, 32))
    return (
        Axis("window, frames", "encoder", frames, tuple(_case(window, num_frames=value) for value in frames)),
        Axis("image side, px", "encoder, 16 frames", sides, tuple(_case(window, image_size=value) for value in sides)),
        Axis("window, steps", "AC predictor", tuple(value // 2 for value in frames),
             tuple(_case(predict, num_frames=value) for value in frames)),
        Axis("image side, px", "AC predictor, 8 steps", sides,
             tuple(_case(predict, image_size=value) for value in sides)),
        Axis("horizon, steps", "rollout, 4 candidates", horizons,
             tuple(_case(rollout, candidates=4, observed=1, horizon=value) for value in horizons)),
        Axis("candidates", "rollout, 3 steps", candidates,
             tuple(_case(rollout, candidates=value, observed=1, horizon=3) for value in candidates)),
    )  # fmt: skip


def _case(build: Any, **sizes: Any) -> Case:
    return Case("scaling", "", {}, partial(build, **sizes), CHAINED_TOLERANCE if build is rollout else TOLERANCE)


def measure_scaling(settings: Settings, plan: Plan) -> Iterator[tuple[Axis, list[Line]]]:
    """Each axis with a line for each of its values, in the first of the plan's dtypes."""
    plan = replace(plan, dtypes=plan.dtypes[:1])
    for axis in axes(settings.toy):
        lines: list[Line] = []
        for case in axis.cases:
            with tempfile.TemporaryDirectory(prefix="bench_") as folder:
                setup = case.build(settings, Path(folder))
                setup.references = dict([next(iter(setup.references.items()))])  # one is enough for a picture
                lines += measure_case(case, setup, settings, plan)
        yield axis, lines


def blank() -> Any:
    """A figure to draw on: to be had before minutes are spent on measuring.

    Raises:
        ConfigError: where matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError("--scaling", f"drawing needs the package matplotlib ({error})") from error
    return Figure(figsize=(11, 6.6), layout="constrained")


def draw(figure: Any, measured: Sequence[tuple[Axis, list[Line]]], title: str, picture: Path) -> None:
    """Draw on a figure and write it."""
    figure.suptitle(title, fontsize=10)
    panels = figure.subplots(2, (len(measured) + 1) // 2, squeeze=False).T.flat
    for panel, (axis, lines) in zip(panels, measured, strict=False):
        for label, times_ms, style in (
            ("reference", [line.references_ms[line.reference] for line in lines], "s--"),
            ("ours", [line.ours_ms for line in lines], "o-"),
            ("bound", [line.bound_ms for line in lines], ":"),
        ):
            panel.plot(axis.values, times_ms, style, label=label, markersize=4)
        panel.set_title(axis.work, fontsize=10)
        panel.set_xlabel(axis.name)
        panel.set_ylabel("ms")
        panel.set_ylim(bottom=0)
        panel.set_xticks(axis.values)
        panel.grid(alpha=0.3)
        panel.legend(fontsize=8, loc="upper left")
    figure.savefig(picture, dpi=110)


def as_json(measured: Sequence[tuple[Axis, list[Line]]]) -> list[dict[str, Any]]:
    """The picture's numbers."""
    return [
        {
            "work": axis.work,
            "axis": axis.name,
            "values": list(axis.values),
            "ours_ms": [line.ours_ms for line in lines],
            "reference_ms": [line.references_ms[line.reference] for line in lines],
            "bound_ms": [line.bound_ms for line in lines],
            "agrees": [line.agreement.holds for line in lines],
        }
        for axis, lines in measured
    ]
