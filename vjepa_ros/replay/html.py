"""A replay as one page that needs nothing else, for people.

A few moments of the recording with latents and errors, errors and times of all windows, and what was lost. Windows and
the report in, a file out. Needs matplotlib and jinja2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vjepa_ros import files
from vjepa_ros.errors import place
from vjepa_ros.forecast.prediction_error import PredictionError
from vjepa_ros.images.preprocess import pixels
from vjepa_ros.pictures.colours import Basis, Picture, evenly
from vjepa_ros.pictures.encoded import lossless, photograph
from vjepa_ros.pictures.heat import Heat, hottest
from vjepa_ros.pictures.paper import Paper, embedded, png
from vjepa_ros.replay.losses import KEPT, LOSSES
from vjepa_ros.replay.page import PAGE
from vjepa_ros.replay.written import Written

PAPER = Paper("html", "pictures")
"""What the page is made with; it is called as the option is."""

_MOST_MOMENTS = 16
_IN_A_ROW = 8
_MOST_TOKENS = 1024  # that the colours are made of
_LEAST_PX = 128  # a side, of a camera's image: an encoder of small pictures sees less than people need
_FORECAST, _STILL, _LOST = "#1f6feb", "#6e7781", "#d1242f"
_STAGES = {"encode": "#1f6feb", "predict": "#1a7f37"}
_PERCENTILES = (50, 95, 99)
_PAUSE = 3  # times the usual time between two windows


@dataclass(frozen=True)
class _Moment:
    """What is shown of one window.

    Attributes:
        at_s: since the recording's first message.
        frame: (h, w, 3), its newest frame as the encoder saw it.
        observed: (H', W', D) float16, the newest step; None where no model runs.
        forecast: the same, as it had been forecast; None where it had not.
        errors: (H', W'), between the two.
        error: over all of it.
    """

    at_s: float
    frame: Picture
    observed: NDArray[np.float16] | None
    forecast: NDArray[np.float16] | None
    errors: NDArray[np.float32] | None
    error: PredictionError | None


@dataclass(frozen=True)
class _Row:
    """What is drawn of a window in the curves."""

    at_s: float
    epoch: int
    error: PredictionError | None
    stages_ms: Mapping[str, float]
    compute_ms: float | None


class Page:
    """Takes windows in and writes the page at the end.

    Of a long recording fewer moments are kept the longer it is: each time they are too many, every second one goes.

    Args:
        file: where to.

    Raises:
        ConfigError: where a package that it needs is not installed.
    """

    def __init__(self, file: Path) -> None:
        PAPER.require()
        self._file = file
        self._moments: list[_Moment] = []
        self._every = 1  # one of so many windows is kept
        self._rows: list[_Row] = []

    def open(self) -> None:
        """Make the folder around the page."""
        self._file.parent.mkdir(parents=True, exist_ok=True)

    def add(self, written: Written) -> None:
        """Take in a window."""
        outcome = written.outcome
        if len(self._rows) % self._every == 0:
            if len(self._moments) == _MOST_MOMENTS:
                self._moments = self._moments[::2]
                self._every *= 2
            if len(self._rows) % self._every == 0:
                self._moments.append(_moment(written))
        stages = {} if outcome is None else outcome.forecast.stages_ms
        compute_ms = None if outcome is None else outcome.compute_ms
        self._rows.append(_Row(written.at_s, written.window.epoch, written.error, stages, compute_ms))

    def write(self, report: Mapping[str, Any], info: Mapping[str, Any] | None) -> None:
        """Write the page.

        Args:
            report: of the replay.
            info: ``latent_info``; None where no model ran.

        Raises:
            OSError: where the disk is full or fails; it names the file.
        """
        text: str = PAPER.template(PAGE).render(
            report=report,
            info=info,
            bags=[place(Path(bag)) for bag in report["bags"]],
            strips=list(self._strips()),
            curves=embedded(_curves(self._rows)) if info is not None and self._rows else "",
            times=_times(self._rows),
            percentiles=_PERCENTILES,
            losses=list(_losses(report["counts"])),
            kept=[(name, words, report["counts"][name]) for name, words in KEPT.items()],
            in_a_row=_IN_A_ROW,
            aspect=self._aspect,
        )
        with files.naming(self._file):
            self._file.write_text(text, encoding="utf-8")

    @property
    def _aspect(self) -> str:
        """Of the pictures, as style sheets have it."""
        height, width = self._moments[0].frame.shape[:2] if self._moments else (1, 1)
        return f"{width} / {height}"

    def _strips(self) -> Iterator[list[dict[str, Any]]]:
        """The moments in rows, with their pictures as they stand in the page."""
        top = max((hottest(moment.errors) for moment in self._moments if moment.errors is not None), default=0.0)
        latents = [moment.observed for moment in self._moments if moment.observed is not None]
        basis = Basis.of(evenly(np.stack(latents).astype(np.float32), _MOST_TOKENS)) if latents else None
        shown = [_shown(moment, basis, top) for moment in self._moments]
        for first in range(0, len(shown), _IN_A_ROW):
            yield shown[first : first + _IN_A_ROW]


def _moment(written: Written) -> _Moment:
    outcome, compared = written.outcome, written.compared
    return _Moment(
        at_s=written.at_s,
        frame=pixels(written.window.frames[-1].image),
        observed=None if outcome is None else outcome.forecast.observed().astype(np.float16),
        forecast=None if compared is None else compared.forecast.astype(np.float16),
        errors=None if compared is None else compared.by_place,
        error=written.error,
    )


def _shown(moment: _Moment, basis: Basis | None, top: float) -> dict[str, Any]:
    """What the template has of a moment; basis and ``top``, the error that is hottest, are those of all moments."""
    side = min(moment.frame.shape[:2])
    frame = moment.frame
    if side < _LEAST_PX:
        whole = -(-_LEAST_PX // side)
        frame = np.asarray(cv2.resize(frame, None, fx=whole, fy=whole, interpolation=cv2.INTER_CUBIC), np.uint8)
    observed, forecast = (
        "" if basis is None or latents is None else embedded(lossless(basis(latents)))
        for latents in (moment.observed, moment.forecast)
    )
    heat = Heat(top)(frame, moment.errors) if moment.errors is not None else None
    return {
        "at_s": moment.at_s,
        "frame": embedded(photograph(frame), "jpeg"),
        "observed": observed,
        "forecast": forecast,
        "heat": "" if heat is None else embedded(photograph(heat), "jpeg"),
        "error": moment.error,
    }


def _curves(rows: Sequence[_Row]) -> bytes:
    """Errors above and times below, over the time of the recording; a line where an epoch begins."""
    figure = PAPER.figure(10, 4.6)
    errors, times = figure.subplots(2, 1, sharex=True)
    at_s = np.array([row.at_s for row in rows])

    def draw(panel: Any, values: Sequence[float | None], label: str, colour: str, **style: Any) -> None:
        known = np.array([np.nan if value is None else value for value in values])
        panel.plot(*_interrupted(at_s, known), color=colour, label=label, **style)

    found = [row.error for row in rows]
    draw(errors, [None if one is None else one.no_change for one in found], "expecting no change", _STILL, lw=1.2)
    draw(errors, [None if one is None else one.error for one in found], "forecast", _FORECAST, lw=1.6)
    for stage, colour in _STAGES.items():
        draw(times, [row.stages_ms.get(stage) for row in rows], stage, colour, lw=1.2)
    draw(times, [row.compute_ms for row in rows], "whole window", _STILL, lw=0.8, ls=":")
    titles = (
        "prediction error: how far forecasts were from what was then observed",
        "latency: how long the model took for each window, ms",
    )
    begins_s = [row.at_s for before, row in zip(rows, rows[1:], strict=False) if row.epoch != before.epoch]
    for panel, title in zip((errors, times), titles, strict=True):
        panel.set_title(title, loc="left", fontsize=9)
        panel.set_ylim(0, None)
        for begin_s in begins_s:
            panel.axvline(begin_s, color=_LOST, lw=0.9, ls=":")
        panel.legend(fontsize=8, frameon=False, ncol=3, loc="lower right", bbox_to_anchor=(1.0, 0.99), borderaxespad=0)
    times.set_xlabel("s since the first message")
    return png(figure)


def _interrupted(at_s: NDArray[np.float64], values: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[Any]]:
    """A curve with holes where no window came for long: a line there would show what nobody measured."""
    steps_s = np.diff(at_s)
    usual_s = float(np.median(steps_s)) if len(steps_s) else 0.0
    pauses = np.flatnonzero(steps_s > _PAUSE * usual_s) + 1
    return np.insert(at_s, pauses, np.nan), np.insert(values, pauses, np.nan)


def _times(rows: Sequence[_Row]) -> list[tuple[str, list[float]]]:
    """(stage, what lies above so many percent of its times, in ms)."""
    whole = [row.compute_ms for row in rows if row.compute_ms is not None]
    named = {stage: [row.stages_ms[stage] for row in rows if stage in row.stages_ms] for stage in _STAGES}
    return [
        (name, [float(value) for value in np.percentile(found, _PERCENTILES)])
        for name, found in {**named, "whole window": whole}.items()
        if found
    ]


def _losses(counts: Mapping[str, Any]) -> Iterator[tuple[str, int, str]]:
    """(what, how many, what it means) of all that was lost, or stood in for something."""
    for name, (what, why) in LOSSES.items():
        yield what, counts[name], why
    for topic, by_reason in counts["rejected"].items():
        for reason, count in by_reason.items():
            yield f"{topic}: {reason}", count, "messages that could not be used"
