"""The picture of a probe: the mean landscape around the recorded action, and a few windows'. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vjepa_ros.probe.landscape import Landscape, Scan
from vjepa_ros.probe.pairs import spread
from vjepa_ros.units import S_TO_NS

_MOST_WINDOWS = 6
_COLOURS = "viridis_r"  # dark is high, so that both marks show on the bright ground of a minimum
_RECORDED: dict[str, Any] = {"marker": "+", "color": "black", "s": 110, "linewidths": 2.2}
_MINIMUM: dict[str, Any] = {"marker": "o", "facecolor": "none", "edgecolor": "red", "s": 90, "linewidths": 2}


def draw(figure: Any, scan: Scan, landscapes: Sequence[Landscape], title: str, path: Path) -> None:
    """Draw on a figure and write it as a PNG.

    Args:
        figure: from :func:`vjepa_ros.probe.canvas.blank`.
        scan: the grid of all landscapes.
        landscapes: at least one.
        title: stands above.
        path: where to.
    """
    figure.suptitle(title, fontsize=10)
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.35))
    _draw_mean(left, scan, landscapes)
    shown = [landscapes[index] for index in spread(len(landscapes), _MOST_WINDOWS)]
    columns = min(3, len(shown))
    panels = list(right.subplots(-(-len(shown) // columns), columns, squeeze=False).flat)
    for panel in panels:
        panel.set_axis_off()
    for panel, landscape in zip(panels, shown, strict=False):
        panel.set_axis_on()
        seconds = (landscape.stamp_ns - landscapes[0].stamp_ns) / S_TO_NS
        panel.set_title(f"{seconds:+.2f} s: rank {landscape.rank:g} of {scan.points**2}", fontsize=9)
        recorded = [landscape.action[axis.index] for axis in scan.axes]
        x, y = (scan.offsets(place) + recorded[place] for place in (0, 1))
        panel.pcolormesh(x, y, landscape.energies.T, shading="nearest", cmap=_COLOURS)
        _mark(panel, recorded, [x[landscape.minimum[0]], y[landscape.minimum[1]]])
        panel.set_xlabel(scan.axes[0].label, fontsize=8)
        panel.set_ylabel(scan.axes[1].label, fontsize=8)
        panel.tick_params(labelsize=7)
        panel.locator_params(nbins=4)
        panel.set_box_aspect(1)
    right.suptitle(f"{len(shown)} of {len(landscapes)} windows, each with colours of its own", fontsize=9)
    figure.savefig(path, format="png", dpi=80, metadata={"Software": None})


def _draw_mean(figure: Any, scan: Scan, landscapes: Sequence[Landscape]) -> None:
    panel = figure.subplots()
    # Windows differ more from each other than actions do: what is averaged is the difference from the recorded action.
    mean = np.mean([landscape.energies - landscape.recorded for landscape in landscapes], axis=0)
    x, y = scan.offsets(0), scan.offsets(1)
    mesh = panel.pcolormesh(x, y, mean.T, shading="nearest", cmap=_COLOURS)
    first, second = np.unravel_index(int(mean.argmin()), mean.shape)
    minima = np.array([landscape.minimum for landscape in landscapes])
    panel.scatter(x[minima[:, 0]], y[minima[:, 1]], marker=".", color="white", edgecolor="black", s=70,
                  linewidths=0.6, label="minimum of a window")  # fmt: skip
    _mark(panel, [0.0, 0.0], [x[first], y[second]])
    panel.set_xlabel(f"{scan.axes[0].label}, off the recorded one")
    panel.set_ylabel(f"{scan.axes[1].label}, off the recorded one")
    panel.set_title(f"mean of {len(landscapes)} windows", fontsize=9)
    panel.locator_params(nbins=5)
    panel.set_box_aspect(1)
    panel.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncol=3, fontsize=8, frameon=False)
    figure.colorbar(mesh, ax=panel, label="energy, less that of the recorded action", pad=0.02, shrink=0.75)


def _mark(panel: Any, recorded: Sequence[float], minimum: Sequence[float]) -> None:
    panel.scatter(*recorded, label="recorded action", **_RECORDED)
    panel.scatter(*minimum, label="minimum", **_MINIMUM)
