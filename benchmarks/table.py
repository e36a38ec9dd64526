"""The figures as a table for the terminal, as Markdown for the docs, and as one line of JSON for programs.

It knows no more than the figures.
"""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.table import Table
from support.agreement import Agreement

from benchmarks.measure import OURS, Line
from benchmarks.setups import RUNTIMES
from vjepa_ros.errors import ConfigError

BEGIN, END = "<!-- results: written by make bench ARGS=--markdown -->", "<!-- end of the results -->"
_BETWEEN = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)


def columns(lines: Sequence[Line]) -> dict[str, list[str]]:
    """The cells of each column, one for each line, by the column's name; those that would be empty are left out."""
    every: dict[str, Callable[[Line], str]] = {
        "work": lambda line: line.what,
        "dtype": lambda line: line.dtype,
        "ours ms": lambda line: f"{line.ours_ms:.1f}",
        "reference ms": lambda line: f"{line.references_ms[line.reference]:.1f} {line.reference}",
        **{f"{name} ms": partial(_of_runtime, name) for name in RUNTIMES},
        "ratio": lambda line: f"{line.ratio:.2f}",
        "bound": lambda line: f"{line.bound_ratio:.2f}",
        "aim": lambda line: "" if line.aim is None else f"{line.aim:.2f}",
        "loaded, ours": lambda line: _times(line.slowed(OURS)),
        "reference": lambda line: _times(line.slowed(line.reference)),
        "max. diff.": lambda line: f"{line.agreement.maximum:.1e}",
        "mean diff.": lambda line: f"{line.agreement.mean:.1e}",
        "agrees": lambda line: _verdict(line.agreement),
        "MB, reference": lambda line: f"{line.ours_peak_mb:.0f}, {line.reference_peak_mb:.0f}",
    }
    cells = {name: [cell(line) for line in lines] for name, cell in every.items()}
    return {name: column for name, column in cells.items() if any(column)}


def _of_runtime(name: str, line: Line) -> str:
    return f"{line.runtimes_ms[name]:.1f}" if name in line.runtimes_ms else ""


def _times(slowed: float | None) -> str:
    return "" if slowed is None else f"{slowed:.2f} x"


def _verdict(agrees: Agreement) -> str:
    return "yes" if agrees.holds else f"NO ({agrees.maximum_allowed:.1e}, {agrees.mean_allowed:.1e} allowed)"


def terminal(lines: Sequence[Line], settings: Mapping[str, Any]) -> Table:
    """For people at a terminal."""
    table = Table(title=f"ours / reference: {describe(settings)}", caption=caption())
    shown = columns(lines)
    for name in shown:
        left = name in ("work", "dtype")
        table.add_column(name, justify="left" if left else "right", no_wrap=not left)
    for line, *row in zip(lines, *shown.values(), strict=True):
        table.add_row(*row, style=None if line.agreement.holds else "bold red")
    return table


def caption() -> str:
    """What the columns are."""
    return (
        "ms: medians; onnxruntime and openvino compute this model too, where they are installed. "
        "ratio and bound: ours and the bare matrix products and attentions, over the reference. "
        "loaded: how many times as long it takes beside a process that keeps a core busy. "
        "MB: memory at the peak of a run, on top of weights and inputs."
    )


def node_table(figures: Sequence[Mapping[str, Any]]) -> Table:
    """What was measured around the model, for people at a terminal."""
    table = Table(title="around the model")
    for name in ("what", "measured", "goal", "from"):
        table.add_column(name)
    for figure in figures:
        table.add_row(*node_cells(figure))
    return table


def node_cells(figure: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """What, its value, its goal, and what the figures came from."""
    unit = figure["unit"]
    detail = ", ".join(f"{key} {value:g}" for key, value in figure["from"].items())
    goal = "" if figure["goal"] is None else f"at most {figure['goal']:.3g} {unit}"
    return figure["what"], f"{figure['value']:.3g} {unit}", goal, detail


def markdown(lines: Sequence[Line], figures: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> str:
    """Both tables for a page of the docs."""
    text = [f"Measured with {describe(settings)}."]
    if lines:
        shown = columns(lines)
        text += ["", *_rows(list(shown), zip(*shown.values(), strict=True))]
    if figures:
        text += ["", *_rows(("around the model", "measured", "goal", "from"), map(node_cells, figures))]
    return "\n".join(text)


def _rows(head: Sequence[str], rows: Any) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def marked(page: Path) -> str:
    """The text of a page that has the two marks.

    Raises:
        ConfigError: where the page is not there or has no such marks.
    """
    found = page.read_text(encoding="utf-8") if page.is_file() else ""
    if not _BETWEEN.search(found):
        raise ConfigError("--markdown", f"{page} has no lines {BEGIN!r} and {END!r}")
    return found


def write_markdown(page: Path, text: str, picture: str) -> None:
    """Replace what stands between the two marks of a page.

    Args:
        page: the page.
        text: what to put there.
        picture: a file that is shown below it, where there is one of this name beside the page.

    Raises:
        ConfigError: where the page is not there or has no such marks.
    """
    found = marked(page)
    if (page.parent / picture).is_file():
        text += f"\n\n![time over the size of the work, ours and the reference's]({picture})"
    page.write_text(_BETWEEN.sub(lambda _: f"{BEGIN}\n{text}\n{END}", found), encoding="utf-8")


def machine(device: torch.device) -> dict[str, Any]:
    """What the figures depend on."""
    cpu = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    return {
        "cpu": cpu[1] if cpu else platform.machine(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "load_average": os.getloadavg()[0],  # before the run: what else the machine did
        "torch": torch.__version__,
    }


def describe(settings: Mapping[str, Any]) -> str:
    """The settings in words."""
    layers = settings["layers"]
    depth = "full depth" if layers is None else f"{layers} layer{'s' * (layers > 1)}"
    where = settings["machine"]
    sizes = "toy sizes, whose times mean nothing" if settings["toy"] else settings["preset"]
    path = "" if settings["fast"] else ", layers not packed"
    return (
        f"{sizes}, {depth}{path}, on {where['device']} ({where['cpu']}, {where['capability']}, "
        f"threads: {where['threads']}, load average before: {where['load_average']:.1f}), torch {where['torch']}"
    )


def json_line(lines: Sequence[Line], figures: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> str:
    """Everything, for programs."""
    rows = [asdict(line) | {"agrees": line.agreement.holds} for line in lines]
    return json.dumps({**settings, "lines": rows, "node": list(figures)})
