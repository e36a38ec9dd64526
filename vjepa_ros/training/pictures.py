"""The pictures of a training's report, as PNGs: courses of losses, errors, the grid of actions, frames.

Figures in, bytes out. Needs matplotlib.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.pictures.paper import Paper, png
from vjepa_ros.training.action_grid import ActionGrid
from vjepa_ros.training.figures import Evaluation

PAPER = Paper("report.html", "train")
"""What the report is made with."""

_MODEL, _STILL, _SHUFFLED = "#1f6feb", "#6e7781", "#d1242f"  # the same thing has the same colour in every picture
_GRID_COLOURS = "viridis_r"  # dark is high, as in the probe's picture
_SKILLS = (
    ("near", "near_still", "1 step ahead", "-"), ("far", "far_still", "rollout's end", "--"),
    ("prediction", "still", "1 step ahead", "-"),
)  # fmt: skip
"""Of what is told of a course: an error, that of no change, what they are, and the line for it."""


def course(history: Sequence[Mapping[str, float]], name: str) -> bytes:
    """The loss, and forecast errors over those of no change, by steps of the optimizer.

    Args:
        history: as :class:`vjepa_ros.training.predictor.Trained` has it.
        name: of what was trained.
    """
    figure = PAPER.figure(9, 3.2)
    loss, skill = figure.subplots(1, 2)
    for prefix, label, colour in (("", "trained on", _STILL), ("held_back_", "held back", _MODEL)):
        rows = [row for row in history if f"{prefix}loss" in row]
        steps = [row["step"] for row in rows]
        loss.plot(steps, [row[f"{prefix}loss"] for row in rows], color=colour, label=label, linewidth=1.4)
        for error, still, words, style in _SKILLS:
            known = [row for row in rows if row.get(prefix + still)]
            ratios = [row[prefix + error] / row[prefix + still] for row in known]
            if known:
                skill.plot([row["step"] for row in known], ratios, style, color=colour, linewidth=1.4,
                           label=f"{label}, {words}")  # fmt: skip
    skill.axhline(1.0, color="black", linewidth=0.8, linestyle=":")
    loss.set(title=f"loss of the {name}", xlabel="steps of the optimizer", ylim=(0, None))
    skill.set(title="error over that of no change", xlabel="steps of the optimizer", ylim=(0, None))
    loss.legend(fontsize=7, frameon=False)
    skill.legend(fontsize=7, frameon=False)
    return png(figure)


def by_distance(found: Evaluation) -> bytes:
    """Errors by steps ahead, of the forecast, of no change and of shuffled actions."""
    figure = PAPER.figure(4.4, 3.2)
    panel = figure.subplots()
    farthest = found.forecasts[max(found.forecasts)]
    steps = np.arange(1, farthest.right.shape[1] + 1)
    for values, label, colour in (
        (farthest.still, "predicting no change", _STILL), (farthest.shuffled, "with shuffled actions", _SHUFFLED),
        (farthest.right, "forecast", _MODEL),
    ):  # fmt: skip
        panel.plot(steps, values.mean(axis=0), "o-", color=colour, label=label, markersize=4)
    panel.set(xlabel="steps ahead", ylabel="mean absolute error", ylim=(0, None), title="held-back recordings")
    panel.set_xticks(steps)
    panel.legend(fontsize=8, frameon=False)
    return png(figure)


def by_joint(found: Evaluation) -> bytes:
    """Error with one joint's actions shuffled over that with the right ones, for each."""
    figure = PAPER.figure(4.4, max(2.2, 0.32 * len(found.joints) + 1.2))
    panel = figure.subplots()
    names = [joint.name for joint in found.joints]
    values = [joint.shuffled or 0.0 for joint in found.joints]
    panel.barh(names[::-1], values[::-1], color=_MODEL, height=0.6)
    panel.axvline(1.0, color="black", linewidth=0.8, linestyle=":")
    panel.set(xlabel="error with this one shuffled / right", xlim=(0, max(1.5, *values) * 1.05))
    panel.tick_params(axis="y", labelsize=8)
    return png(figure)


def by_speed(found: Evaluation) -> bytes:
    """Errors one step ahead by how fast the robot moves, of the forecast and of no change."""
    figure = PAPER.figure(4.4, 3.0)
    panel = figure.subplots()
    places = np.arange(len(found.speeds))
    panel.bar(places - 0.2, [one.still for one in found.speeds], 0.4, color=_STILL, label="predicting no change")
    panel.bar(places + 0.2, [one.right for one in found.speeds], 0.4, color=_MODEL, label="forecast")
    panel.set_xticks(places, [f"{one.name}\n{one.samples}" for one in found.speeds], fontsize=8)
    panel.set(ylabel="mean absolute error")
    panel.legend(fontsize=8, frameon=False)
    return png(figure)


def grid(found: ActionGrid) -> bytes:
    """The mean energies around the true action, as the probe draws them."""
    figure = PAPER.figure(4.4, 3.6)
    panel = figure.subplots()
    mean = found.mean
    lowest = np.unravel_index(int(mean.argmin()), mean.shape)
    minimum = [along[place] for along, place in zip(found.offsets, lowest, strict=True)]
    labels = [f"{axis.label}, off the true one" for axis in found.axes]
    if len(found.axes) == 1:
        panel.plot(found.offsets[0], mean, "o-", color=_MODEL)
        panel.axvline(0.0, color="black", linewidth=0.8, linestyle=":", label="true action")
        panel.set(xlabel=labels[0], ylabel="energy, less the true action's")
    else:
        mesh = panel.pcolormesh(*found.offsets, mean.T, shading="nearest", cmap=_GRID_COLOURS)
        panel.scatter(0, 0, marker="+", color="black", s=110, linewidths=2.2, label="true action")
        panel.scatter(*minimum, marker="o", facecolor="none", edgecolor="red", s=90, linewidths=2, label="minimum")
        panel.set(xlabel=labels[0], ylabel=labels[1])
        figure.colorbar(mesh, ax=panel, label="energy, less the true action's")
    panel.legend(fontsize=8, loc="upper right")
    return png(figure)


def frame(image: NDArray[np.uint8]) -> bytes:
    """(h, w, 3) RGB as it is."""
    PAPER.require()
    from matplotlib.image import imsave

    held = io.BytesIO()
    imsave(held, image, format="png")
    return held.getvalue()
