"""What docs/strategies.md shows of the figures: a table between two marks and a plot. Figures in, text and plot out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tools.strategies.training import FRAME_S
from tools.strategies.variants import VARIANTS

BEGIN, END = "<!-- begin: tools.strategies -->", "<!-- end: tools.strategies -->"
PAGE, FIGURES, PLOT = "strategies.md", "strategies.json", "strategies.png"
NEAR_S, FAR_S = "0.4", "0.8"
"""Ahead, of the errors in the table."""

Found = Mapping[str, Any]


def step_s(name: str) -> float:
    """The length of a variant's step."""
    return VARIANTS[name].stride * FRAME_S


def table(results: Found) -> str:
    """The figures as Markdown; times as ratios to the first variant's."""
    costs, trained = results["costs"], results["variants"]
    goals = results["about"]["goals"]

    def of_model(cell: Callable[[Found], str]) -> Callable[[str], str]:
        return lambda name: cell(trained[name]) if name in trained else "-"

    def ratio(value: Callable[[str], float]) -> Callable[[str], str]:
        return lambda name: f"{value(name) / value(next(iter(VARIANTS))):.2f}"

    columns: dict[str, Callable[[str], str]] = {
        "variant": lambda name: f"`{name}`",
        "": lambda name: VARIANTS[name].about,
        "step, s": lambda name: f"{step_s(name):.1f}",
        "CPU-min": of_model(lambda found: f"{sum(found['cpu_s'].values()) / 60:.1f}"),
        "training steps": of_model(lambda found: " + ".join(f"{steps:,}" for steps in found["steps"].values())),
        f"error {NEAR_S} s": of_model(lambda found: f"{found['error'][NEAR_S]:.2f}"),
        f"{FAR_S} s": of_model(lambda found: f"{found['error'][FAR_S]:.2f}"),
        f"shuffled {FAR_S} s": of_model(lambda found: f"{found['shuffled'][FAR_S]:.1f}"),
        f"within 4 cm, of {goals}": of_model(lambda found: str(found["reached"])),
        "median, cm": of_model(lambda found: f"{found['median_cm']:.1f}"),
        "time: a window": ratio(lambda name: costs[name]["seconds"]["window"]),
        "a new step": ratio(lambda name: costs[name]["seconds"]["encoder"]),
        "a step ahead": ratio(lambda name: costs[name]["seconds"]["predictor"]),
        "a second of planning": ratio(lambda name: costs[name]["plan_s"] / step_s(name)),
        "ViT-L encoder": lambda name: f"{costs[name]['operations_a_second']['encoder'] / 1e12:.2f}",
        "ViT-L predictor": lambda name: f"{costs[name]['operations_a_second']['predictor'] / 1e12:.3f}",
    }
    rows = [list(columns), ["---"] * len(columns)]
    rows += [[cell(name) for cell in columns.values()] for name in VARIANTS]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def with_table(page: str, results: Found) -> str:
    """A page with its table replaced."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n{table(results)}\n{END}{rest.split(END)[1]}"


def write(folder: Path, results: Found) -> None:
    """Write figures, table and plot into the folder of the pages."""
    (folder / FIGURES).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    page = folder / PAGE
    page.write_text(with_table(page.read_text(encoding="utf-8"), results), encoding="utf-8")
    plot(folder / PLOT, results)


def plot(path: Path, results: Found) -> None:
    """Errors by time, goals reached, and what a second of planning costs."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    found: Mapping[str, Found] = {name: results["variants"][name] for name in VARIANTS if name in results["variants"]}
    names = list(VARIANTS)
    colours = [f"C{number}" for number in range(len(names))]
    figure = Figure(figsize=(13, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    errors, reached, cost = figure.subplots(1, 3, width_ratios=(1.5, 1, 1))
    for name, colour in zip(names, colours, strict=True):
        if name not in found:
            continue
        seconds = [float(at) for at in found[name]["error"]]
        style = "--" if VARIANTS[name].frozen else "-"
        errors.plot(seconds, list(found[name]["error"].values()), style, marker=".", color=colour, label=name)
    errors.axhline(1, color="0.6", linewidth=1)
    errors.set(xlabel="seconds ahead", ylabel="error of forecasts / error of no change", ylim=(0, None), xlim=(0, None))
    if found:
        errors.legend(fontsize=8)
    places = list(range(len(names)))[::-1]
    goals = results["about"]["goals"]
    for place, name, colour in zip(places, names, colours, strict=True):
        if name in found:
            reached.barh(place, found[name]["reached"], color=colour)
        else:
            reached.text(0, place, " not measured", va="center", color="0.5", fontsize=8)
    reached.set(xlabel=f"goals reached within 4 cm, of {goals}", xlim=(0, goals), ylim=(-0.6, len(names) - 0.4))
    reached.set_yticks(places, names)
    cost.barh(places, [1000 * results["costs"][name]["plan_s"] / step_s(name) for name in names], color=colours)
    cost.set(xlabel="ms to encode and plan 1 s, one thread", ylim=reached.get_ylim())
    cost.set_yticks(places, [""] * len(names))
    figure.savefig(path, dpi=100)
