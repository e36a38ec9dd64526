"""``make bench``, or ``python -m benchmarks``: arguments, progress, tables, one last line of JSON, an exit status.

It fails where an output is not the reference's, never because something is slow.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from benchmarks import table
from benchmarks.cases import CASES
from benchmarks.measure import Line, Plan, measure
from benchmarks.node_figures import Extent, measure_node
from benchmarks.scaling import PICTURE, as_json, blank, draw, measure_scaling
from benchmarks.setups import Settings
from vjepa_ros.devices import find_device
from vjepa_ros.errors import ConfigError, VjepaError

PROGRAM = "python -m benchmarks"
OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

PIPE_WIDTH = 160  # columns of the tables where there is no terminal

AROUND = ("node", "commands", "start", "memory", "imports", "plan")
NAMES = (*(case.name for case in CASES), *AROUND)

# Layers, rounds at most, seconds per line, windows and starts of the node. How fast one is to the other hardly depends
# on the number of layers, which are all alike. The seconds decide for long workloads, the rounds for short ones.
QUICK, USUAL, FULL = (2, 15, 2.0, 10, 1), (4, 25, 30.0, 50, 5), (None, 15, 120.0, 100, 7)
SMOKE = (1, 2, 0.5, 3, 1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Time this package against the public V-JEPA 2 implementations and against the bare matrix "
        "products and attentions, in turns in one process, and check that the outputs agree.",
        epilog=f"Names: {', '.join(NAMES)}. Exit status: 0 done, 1 outputs disagree or something failed, 2 wrong "
        "arguments, 130 interrupted.",
    )
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument("--quick", action="store_true", help="2 layers, few rounds: under 5 minutes on 2 cores")
    extent.add_argument("--full", action="store_true", help="all layers, instead of 4")
    extent.add_argument("--smoke", action="store_true", help="tiny sizes, to see that it runs; times mean nothing")
    parser.add_argument("--only", metavar="NAME", nargs="+", choices=NAMES, default=list(NAMES), help="these workloads")
    parser.add_argument("--device", default="cpu", help="as torch names it; auto takes CUDA (default: %(default)s)")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), help="one of them (default: both)")
    parser.add_argument("--preset", default="vitl", help="whose sizes (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)),
                        help="of torch, for all workloads alike (default: all cores, here %(default)s)")  # fmt: skip
    parser.add_argument("--repeats", type=int, help="rounds at most, instead of those of the chosen extent")
    parser.add_argument("--seconds", type=float, help="per line, instead of those of the chosen extent")
    parser.add_argument("--plain", action="store_true", help="layers that are not packed")
    parser.add_argument("--loaded", action="store_true",
                        help="each line once more beside a process that keeps a core busy")  # fmt: skip
    parser.add_argument("--markdown", type=Path, metavar="PAGE", help="write the tables between the marks of this page")
    parser.add_argument("--scaling", type=Path, metavar="FOLDER",
                        help=f"measure how times grow instead, and draw {PICTURE} in this folder")  # fmt: skip
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns its exit status."""
    given = _parser().parse_args(arguments)
    try:
        return _run(given)
    except KeyboardInterrupt:
        print(f"{PROGRAM}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except (VjepaError, OSError) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return USAGE if isinstance(error, ConfigError) else FAILED


def _run(given: argparse.Namespace) -> int:
    if given.threads < 1 or (given.repeats is not None and given.repeats < 1):
        raise ConfigError("--threads, --repeats", "must be at least 1")
    if given.markdown:
        table.marked(given.markdown)  # it is refused now, and not in half an hour
    torch.set_num_threads(given.threads)
    layers, rounds, seconds, windows, starts = (
        QUICK if given.quick else FULL if given.full else SMOKE if given.smoke else USUAL
    )
    device = find_device(given.device)
    settings = Settings(given.preset, device, layers, toy=given.smoke, fast=not given.plain, runtimes=True)
    dtypes = (given.dtype,) if given.dtype else ("float32", "bfloat16")
    plan = Plan(given.repeats or rounds, seconds if given.seconds is None else given.seconds, dtypes, given.loaded)
    known = {
        "preset": settings.preset, "layers": layers, "toy": settings.toy, "fast": settings.fast,
        "machine": table.machine(device),
    }  # fmt: skip
    console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
    progress = Console(stderr=True, highlight=False)
    if given.scaling:
        if not given.scaling.is_dir():
            raise ConfigError("--scaling", f"there is no folder {given.scaling}")
        return _scaling(given.scaling, settings, plan, known, progress)
    lines: list[Line] = []
    for line in measure([case for case in CASES if case.name in given.only], settings, plan):
        lines.append(line)
        progress.print(f"{line.what}, {line.dtype}: {line.ratio:.2f} of {line.references_ms[line.reference]:.1f} ms")
    figures: list[dict[str, Any]] = []
    around = set(AROUND) & set(given.only)
    for figure in measure_node(around, Extent(windows, starts, 0 if given.smoke else layers)):
        figures.append(figure)
        progress.print(f"{figure['what']}: {figure['value']:.3g} {figure['unit']}")
    if lines:
        console.print(table.terminal(lines, known))
    if figures:
        console.print(table.node_table(figures))
    if given.markdown:
        table.write_markdown(given.markdown, table.markdown(lines, figures, known), PICTURE)
    print(table.json_line(lines, figures, known), flush=True)
    return OK if all(line.agreement.holds for line in lines) else FAILED


def _scaling(folder: Path, settings: Settings, plan: Plan, known: dict[str, Any], progress: Console) -> int:
    figure, measured = blank(), []
    for axis, lines in measure_scaling(settings, plan):
        measured.append((axis, lines))
        progress.print(f"{axis.work}, {axis.name}: done")
    draw(figure, measured, f"{plan.dtypes[0]}, {table.describe(known)}", folder / PICTURE)
    print(table.json_line([], [], {**known, "scaling": as_json(measured)}), flush=True)
    return OK if all(line.agreement.holds for _, lines in measured for line in lines) else FAILED


if __name__ == "__main__":
    sys.exit(main())
