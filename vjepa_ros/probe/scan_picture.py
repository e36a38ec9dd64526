"""The picture of a scan: a panel for each figure, the values of the parameter side by side. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vjepa_ros.errors import brief
from vjepa_ros.probe.landscape import Scan
from vjepa_ros.probe.scan_figures import FIGURES, Figures, best

_ALL, _BEST = "#1f5fa8", "red"
_MOST_OF_A_VALUE = 18  # characters


def draw(figure: Any, parameter: str, found: Sequence[Figures], grid: Scan, title: str, path: Path) -> None:
    """Draw on a figure and write it as a PNG.

    Args:
        figure: from :func:`vjepa_ros.probe.canvas.blank`.
        parameter: its name.
        found: the figures of each value.
        grid: of the landscapes.
        title: stands above.
        path: where to.
    """
    figure.suptitle(title, fontsize=10)
    units = dict.fromkeys(axis.unit for axis in grid.axes)
    labels = {
        "distance": f"minimum to recorded action [{' and '.join(units)}]",
        "rank": f"rank of the recorded action, of {grid.points**2}",
        "error_over_no_change": "error over that of no change",
    }
    useless = {"rank": (grid.points**2 + 1) / 2, "error_over_no_change": 1.0}
    for panel, name in zip(figure.subplots(1, len(FIGURES)), FIGURES, strict=True):
        _draw_figure(panel, name, found)
        panel.set_title(labels[name], fontsize=10)
        panel.set_xlabel(parameter)
        if name in useless:
            panel.axhline(useless[name], color="black", linewidth=0.8, linestyle=":", label="forecasts worth nothing")
        panel.set_ylim(bottom=0)
    figure.legend(*panel.get_legend_handles_labels(), loc="outside lower center", ncol=4, fontsize=8, frameon=False)
    figure.savefig(path, format="png", dpi=80, metadata={"Software": None})


def _draw_figure(panel: Any, name: str, found: Sequence[Figures]) -> None:
    """The mean of each value, the middle half of its windows, and a circle around the lowest mean."""
    places = np.arange(len(found))
    means = [np.nan if (figure := one.figure(name)) is None else figure for one in found]
    label = {"label": "the middle half of the windows"}
    for place, one in zip(places, found, strict=True):
        each = one.each(name)
        if len(each):
            low, high = np.quantile(each, (0.25, 0.75))
            panel.plot([place, place], [low, high], color=_ALL, linewidth=7, alpha=0.25, solid_capstyle="butt", **label)
            label = {}  # once
    panel.plot(places, means, "o-", color=_ALL, linewidth=1, label="all windows")
    lowest = best(found, name)
    at = [place for place, one in zip(places, found, strict=True) if one.value in lowest]
    panel.scatter(at, [means[place] for place in at], marker="o", facecolor="none", edgecolor=_BEST, s=140,
                  linewidths=2, zorder=3, label="lowest")  # fmt: skip
    panel.set_xticks(places, [_tick(one) for one in found])
    panel.set_xlim(-0.5, len(found) - 0.5)


def _tick(one: Figures) -> str:
    value = brief(one.value, _MOST_OF_A_VALUE).strip("'")
    return value if len(one.distances) else f"{value}\nno windows"
