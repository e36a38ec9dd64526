"""What the landscapes of several values of a parameter come to: three figures for each, and which value has the best.

Numbers in, numbers and sentences out; it knows no recordings, no models and no files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.errors import brief
from vjepa_ros.probe.landscape import Landscape, Scan

FIGURES = ("distance", "rank", "error_over_no_change")
"""Of each value, the less the better."""
_WORDS = {
    "distance": "the distance of the minimum from the recorded action",
    "rank": "the recorded action's rank",
    "error_over_no_change": "the error over that of no change",
}


@dataclass(frozen=True)
class Figures:
    """The figures of one value.

    Attributes:
        value: it.
        windows_there: how many windows could have been probed with it.
        distances: (n,) how far the energy's minimum is from the recorded action, in units as read, on the plane of the
            two dimensions of the grid.
        ranks: (n,) of the recorded action among the grid, 1 for the lowest energy.
        on_edge: (n,) whether the minimum lies on the edge of the grid.
        errors, no_change: (n,) the energies of the recorded action's forecast, and of expecting no change.
    """

    value: Any
    windows_there: int
    distances: NDArray[np.float64]
    ranks: NDArray[np.float64]
    on_edge: NDArray[np.bool_]
    errors: NDArray[np.float64]
    no_change: NDArray[np.float64]

    @classmethod
    def of(cls, value: Any, windows_there: int, landscapes: Sequence[Landscape], grid: Scan) -> Figures:
        """Those of some landscapes on one grid; of none there are no figures."""
        minima = np.array([landscape.minimum for landscape in landscapes], np.intp).reshape(-1, 2)  # (n, 2)
        offsets = np.stack([grid.offsets(axis)[minima[:, axis]] for axis in (0, 1)])  # (2, n)
        return cls(
            value,
            windows_there,
            np.hypot(offsets[0], offsets[1]),
            np.array([landscape.rank for landscape in landscapes]),
            np.asarray(np.isin(minima, (0, grid.points - 1)).any(axis=1), np.bool_),
            np.array([landscape.recorded for landscape in landscapes]),
            np.array([landscape.no_change for landscape in landscapes]),
        )

    def each(self, name: str) -> NDArray[np.float64]:
        """(n,) one of :data:`FIGURES`, of each window; of windows in which nothing changed, no error over it."""
        if name == "error_over_no_change":
            changed = self.no_change > 0
            return np.asarray(self.errors[changed] / self.no_change[changed], np.float64)
        return self.distances if name == "distance" else self.ranks

    def figure(self, name: str) -> float | None:
        """One of :data:`FIGURES`: the mean of distances, or of ranks; the sum of errors over that of no change, where a
        window in which much happens counts more than one that stands still. None without windows, or where nothing
        changed at all."""
        if len(self.distances) == 0:
            return None
        if name != "error_over_no_change":
            return float(self.each(name).mean())
        still = float(self.no_change.sum())
        return float(self.errors.sum()) / still if still > 0 else None


def best(figures: Sequence[Figures], name: str) -> list[Any]:
    """The values whose figure is the lowest: one, or those that share it."""
    found = [(one.figure(name), one.value) for one in figures]
    lowest = min((figure for figure, _ in found if figure is not None), default=None)
    return [value for figure, value in found if figure is not None and figure == lowest]


def sentences(parameter: str, figures: Sequence[Figures], *, trained: bool) -> list[str]:
    """What the figures come to, in words.

    Args:
        parameter: its name.
        figures: of each of its values, of which one at least has windows.
        trained: whether all weights are.
    """
    probed = [one for one in figures if len(one.distances)]
    found = {name: best(figures, name) for name in FIGURES}
    shared = [value for value in found["distance"] if all(value in found[name] for name in FIGURES)]
    said = []
    if len(probed) == 1:
        said.append(f"Only with {parameter} {brief(probed[0].value)} are there windows to probe: nothing to compare.")
    elif shared:
        lower = ", ".join(f"{_figure(figures, shared[0], name)} for {_WORDS[name]}" for name in FIGURES)
        said.append(f"With {parameter} {_or(shared)} every figure is lowest: {lower}.")
    else:
        each = "; ".join(
            f"{_WORDS[name]} with {_or(found[name])} ({_figure(figures, found[name][0], name)})"
            for name in FIGURES
            if found[name]
        )
        said.append(
            f"The figures do not agree on one {parameter}. Lowest are {each}. More windows (`windows`), or a recording "
            "with more motion, tell more."
        )
    values = [one.value for one in figures]
    lowest = found["distance"]
    if len(lowest) == 1 and len(probed) > 2 and _in_order(values) and lowest[0] in (values[0], values[-1]):
        said.append(f"The distance is lowest at the end of what was tried, {brief(lowest[0])}: try values beyond it.")
    on_edge = max(float(one.on_edge.mean()) for one in probed)
    if on_edge > 0.5:
        said.append(f"With one value {on_edge:.0%} of the minima lie on the edge of the grid; `spans` widens it.")
    ratios = [ratio for one in figures if (ratio := one.figure("error_over_no_change")) is not None]
    if ratios and min(ratios) >= 1:
        said.append("With no value are forecasts nearer to what came than no change: look at weights and view first.")
    if not trained:
        return ["UNTRAINED: weights are not trained, so none of this says anything about the robot.", *said]
    return said


def _figure(figures: Sequence[Figures], value: Any, name: str) -> str:
    return f"{next(one for one in figures if one.value == value).figure(name):.3g}"


def _or(values: Sequence[Any]) -> str:
    return " or ".join(map(brief, values))


def _in_order(values: Sequence[Any]) -> bool:
    """Whether they are numbers that rise or fall."""
    if not all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        return False
    steps = np.diff(np.asarray(values, np.float64))
    return bool((steps > 0).all() or (steps < 0).all())
