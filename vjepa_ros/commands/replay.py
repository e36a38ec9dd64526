"""The command ``vjepa_replay``: arguments, a progress bar and an exit status for :mod:`vjepa_ros.replay.replaying`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vjepa_ros.commands.arguments import Parser, add_recording, full_name, reading_of
from vjepa_ros.commands.terminal import Terminal
from vjepa_ros.replay.plan import EXPORT, HTML, REPORT, RRD, TOOL, WINDOWS, Plan


def parser() -> Parser:
    """What reads the command's arguments."""
    parser = Parser(TOOL, "Replay recorded bags through the node's own code, without a ROS graph.")
    add_recording(parser)
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="OUT",
                        help=f"folder to make: the bag of the latents, with {REPORT} in it")  # fmt: skip
    parser.add_argument("--windows-only", action="store_true", help="leave the model out, and so the bag")
    parser.add_argument("--dump", type=Path, nargs="?", const=True, metavar="FILE",
                        help=f"write a line of JSON per window (without FILE: to OUT/{WINDOWS})")  # fmt: skip
    parser.add_argument("--export", type=Path, nargs="?", const=True, metavar="DIR",
                        help="write windows, actions, states and latents as safetensors shards (without DIR: to "
                        f"OUT/{EXPORT})")  # fmt: skip
    parser.add_argument("--html", type=Path, nargs="?", const=True, metavar="FILE",
                        help=f"write a page that shows the replay (without FILE: to OUT/{HTML})")  # fmt: skip
    parser.add_argument("--rrd", type=Path, nargs="?", const=True, metavar="FILE",
                        help=f"write the same for the viewer Rerun (without FILE: to OUT/{RRD})")  # fmt: skip
    parser.add_force("outputs that are there already")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns its exit status."""
    parsing = parser()
    given = parsing.parsed(arguments)
    terminal = Terminal(TOOL, parsing.options(given))
    status, report = terminal.attempt(lambda: _replayed(given, terminal))
    if report is not None:
        status = terminal.completeness(len(report["incomplete"]), allowed=given.allow_incomplete)
        _print(report, given.out)
    return status


def _replayed(given: argparse.Namespace, terminal: Terminal) -> dict[str, Any]:
    from vjepa_ros.replay import replaying

    plan = Plan(
        **reading_of(given, terminal.say),
        node_name=full_name(given),
        windows_only=given.windows_only,
        **{
            name: given.out / inside if getattr(given, name) is True else getattr(given, name)
            for name, inside in (("dump", WINDOWS), ("export", EXPORT), ("html", HTML), ("rrd", RRD))
        },
    )
    with terminal.progress() as progress:
        return replaying.replay(plan, progress, terminal.say)


def _print(report: dict[str, Any], out: Path) -> None:
    counts, timings = report["counts"], report["timings"]
    rejected = sum(sum(by_reason.values()) for by_reason in counts["rejected"].values())
    dropped, repeated = counts["frames_out_of_order"], counts["frames_repeated"]
    lost = f"{dropped} of {counts['frames'] + dropped} frames dropped for their stamps"
    lost += f" ({repeated} of them repeat the one before)" if repeated else ""
    lost += f", resets {counts['resets']}" if counts["resets"] else ""
    print(f"{out}: {counts['windows']} windows of {timings['recorded_s']:.1f} s in {timings['replay_s']:.1f} s "
          f"(the model {timings['model_s']:.1f} s); late {counts['late']}, gaps {counts['gaps']}, skipped "
          f"{counts['windows_skipped']}, rejected {rejected}, {lost}")  # fmt: skip
    for name, digits in report["sha256"].items():
        print(f"{name:8} {digits}")


if __name__ == "__main__":
    sys.exit(main())
