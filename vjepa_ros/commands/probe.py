"""The command ``vjepa_probe``: arguments, progress bars, a table, an exit status.

The work is done by :mod:`vjepa_ros.probe.probing`, with ``--scan`` by :mod:`vjepa_ros.probe.scanning`.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vjepa_ros.commands.arguments import Parser, add_recording, reading_of, values_parsed
from vjepa_ros.commands.terminal import Terminal
from vjepa_ros.probe.plan import PICTURE, REPORT, SCAN_PICTURE, SCAN_REPORT, TABLE, TOOL, Plan, ScanPlan
from vjepa_ros.units import S_TO_NS

if TYPE_CHECKING:
    from rich.table import Table

_WIDTH = 120  # columns, where no terminal says how many it has
_PLACES = ("recorded", "minimum", "offset")


def _spans(text: str) -> tuple[float, float]:
    try:
        numbers = [float(number) for number in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 2) or not all(math.isfinite(number) and number > 0 for number in numbers):
        raise argparse.ArgumentTypeError(f"{text!r} is not one positive number, or two with a comma between")
    return numbers[0], numbers[-1]


def _points(text: str) -> int:
    if not text.isdecimal() or int(text) < 3 or int(text) % 2 == 0:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not an odd number of at least 3: the recorded action is its middle"
        )
    return int(text)


def _windows(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def parser() -> Parser:
    """What reads the command's arguments."""
    parser = Parser(
        TOOL,
        "Show where the energy of forecasts is lowest, against the action that was recorded, without a ROS graph: for "
        "people who mount a camera.",
    )
    add_recording(parser)
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR",
                        help=f"folder to make: {PICTURE}, {TABLE}, {REPORT}; with --scan {SCAN_PICTURE}, "
                        f"{SCAN_REPORT}")  # fmt: skip
    parser.add_argument("--scan", type=values_parsed, metavar="PARAMETER=V,V,...",
                        help="probe with one value of a parameter after another, and compare them")  # fmt: skip
    parser.add_argument("--dims", type=lambda text: text.split(","), default=Plan.dims, metavar="A,B",
                        help="the two dimensions of the action to scan, by name or index from 0 (default: those that "
                        "move most; of a pose, two of x, y, z)")  # fmt: skip
    parser.add_argument("--span", dest="spans", type=_spans, default=Plan.spans, metavar="S[,S]",
                        help="how far to scan to either side, in the units of the actions as they are read (default: "
                        f"{Plan.spans[0]:g})")  # fmt: skip
    parser.add_argument("--points", type=_points, default=Plan.points,
                        help="grid points along each dimension, odd (default: %(default)s)")  # fmt: skip
    parser.add_argument("--windows", type=_windows, default=Plan.windows,
                        help="windows to probe, evenly spread over the recording (default: %(default)s)")  # fmt: skip
    parser.add_argument("--no-picture", dest="draws", action="store_false",
                        help="do without the picture, and so matplotlib")  # fmt: skip
    parser.add_force("DIR if it is there already")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns its exit status."""
    parsing = parser()
    given = parsing.parsed(arguments)
    terminal = Terminal(TOOL, parsing.options(given))
    status, report = terminal.attempt(lambda: _probed(given, terminal))
    if report is not None:
        status = terminal.completeness(len(report["incomplete"]), allowed=given.allow_incomplete)
        _print(report, given.out, terminal)
    return status


def _probed(given: argparse.Namespace, terminal: Terminal) -> dict[str, Any]:
    own = {name: getattr(given, name) for name in ("dims", "spans", "points", "windows", "draws")}
    reading = reading_of(given, terminal.say)
    if given.scan is not None:
        from vjepa_ros.probe import scanning

        name, values = given.scan
        with terminal.progress() as progress:
            return scanning.scan(ScanPlan(**reading, **own, parameter=name, tried=values), progress, terminal.say)
    from vjepa_ros.probe import probing

    with terminal.progress() as progress:
        return probing.probe(Plan(**reading, **own), progress, terminal.say)


def _print(report: dict[str, Any], out: Path, terminal: Terminal) -> None:
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else _WIDTH, highlight=False, markup=False)
    console.print(_table(report) if "windows" in report else _table_of_values(report))
    for sentence in report["says"]:
        console.print(terminal.translated(sentence), soft_wrap=True)
    console.print(f"{out}: {', '.join(sorted(path.name for path in out.iterdir()))}", soft_wrap=True)


def _table(report: dict[str, Any]) -> Table:
    """A line per window, then the medians; the energies are called E."""
    from rich.table import Table

    names = [axis["name"] for axis in report["dims"]]
    first_ns = report["windows"][0]["stamp_ns"]
    title = f"Along {' and '.join(names)}; the first window's stamp is {first_ns / S_TO_NS:.3f} s"
    table = Table(title=title, title_justify="left")
    for name in ("after [s]", "recorded", "minimum", "offset", "E recorded", "E minimum", "E no change", "rank"):
        table.add_column(name, justify="right")
    for row in [*report["windows"], report["medians"]]:
        after = f"{(row['stamp_ns'] - first_ns) / S_TO_NS:.2f}" if "stamp_ns" in row else "median"
        where = (", ".join(f"{row[f'{kind}_{name}']:+.3f}" for name in names) for kind in _PLACES)
        energies = (f"{row[f'energy_{kind}']:.5f}" for kind in ("recorded", "minimum", "no_change"))
        table.add_row(after, *where, *energies, f"{row['rank']:g}")
    return table


def _table_of_values(report: dict[str, Any]) -> Table:
    """A line per value of what was scanned; a star behind the lowest of each figure."""
    from rich.table import Table

    names = " and ".join(axis["name"] for axis in report["dims"])
    table = Table(title=f"Along {names}; * is the lowest", title_justify="left")
    for name in (report["parameter"], "windows", "distance", "rank", "error / no change"):
        table.add_column(name, justify="right")
    for row in report["values"]:
        figures = (
            "-" if row[name] is None else f"{row[name]:.4g}{' *' if row['value'] in lowest else '  '}"
            for name, lowest in report["best"].items()
        )
        table.add_row(str(row["value"]), f"{len(row['windows'])}", *figures)
    return table


if __name__ == "__main__":
    sys.exit(main())
