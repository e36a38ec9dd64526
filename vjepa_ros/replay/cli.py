"""The command ``vjepa_replay``: arguments, a progress bar and an exit status for :mod:`vjepa_ros.replay.offline`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from vjepa_ros import parameter_file
from vjepa_ros.errors import VjepaError
from vjepa_ros.replay import offline
from vjepa_ros.replay.topics import OPTIONS
from vjepa_ros.ros import bridge

OK, FAILED, INTERRUPTED = 0, 1, 130  # wrong arguments are 2: argparse says so itself
_NAME = "/vjepa_predictor"


def _setting(text: str) -> tuple[str, Any] | Path:
    """A parameter and its value; or a bag that stands behind the settings."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        if Path(text).exists():
            return Path(text)
        raise argparse.ArgumentTypeError(f"{text!r} is neither parameter=value nor a bag that is there")
    try:
        return name, parameter_file.parsed(name, value)
    except yaml.YAMLError as error:
        raise argparse.ArgumentTypeError(f"{value!r} cannot be read as a value of {name}") from error


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What is on the command line, bags and settings told apart wherever they stand."""
    parser = _parser()
    given = parser.parse_intermixed_args(arguments)
    given.bags += [setting for setting in given.settings if isinstance(setting, Path)]
    given.settings = [setting for setting in given.settings if not isinstance(setting, Path)]
    if not given.bags:
        parser.error("the following arguments are required: BAG")
    return given


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vjepa_replay",
        description="Replay recorded bags through the node's own code, without a ROS graph.",
        epilog="Exit status: 0 done, 1 refused or failed, 2 wrong arguments, 130 interrupted. Nothing is left or "
        "replaced unless it is done.",
    )
    parser.add_argument(
        "bags", type=Path, nargs="*", metavar="BAG", help="bags that are one recording, at least one; folders or files"
    )
    parser.add_argument("--params", type=Path, metavar="FILE", help="ROS parameter file of the node")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="OUT",
                        help="bag of the latents to write, with report.json in it")  # fmt: skip
    parser.add_argument("--set", dest="settings", type=_setting, nargs="+", action="extend", default=[],
                        metavar="PARAMETER=VALUE", help="parameters that replace those of the file")  # fmt: skip
    for name, option in OPTIONS.items():
        parser.add_argument(option, dest=name, metavar="TOPIC", help="default: found by its name")
    parser.add_argument(
        "--node-name", default=_NAME, metavar="NAME", help="full name of the node (default: %(default)s)"
    )
    parser.add_argument("--windows-only", action="store_true", help="leave the model out: OUT has the report alone")
    parser.add_argument("--dump", type=Path, metavar="FILE", help="write a line of JSON per window")
    parser.add_argument("--export", type=Path, metavar="DIR",
                        help="write windows, actions, states and latents as safetensors shards")  # fmt: skip
    parser.add_argument("--force", action="store_true", help="replace outputs that are there already")
    return parser


@contextmanager
def _progress_bar(console: Console) -> Iterator[offline.Progress]:
    columns = (TextColumn("messages"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    # A log has no use for it: there it would be one line, and an empty one before a refusal.
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("messages", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns its exit status."""
    given = _arguments(arguments)
    console = Console(stderr=True, soft_wrap=True)

    def say(sentence: str) -> None:
        console.print(f"vjepa_replay: {sentence}", markup=False, highlight=False)

    node_name = "/" + given.node_name.strip("/")
    try:
        values, unknown = ({}, []) if given.params is None else parameter_file.read(given.params, node_name)
        if unknown:
            say(f"{given.params}: not parameters of this node, ignored as the node does: {', '.join(unknown)}")
        plan = offline.Plan(
            bags=given.bags,
            values={**values, **dict(given.settings)},
            out=given.out,
            topics={n: getattr(given, n) for n in OPTIONS if getattr(given, n)},
            node_name=node_name,
            windows_only=given.windows_only,
            dump=given.dump,
            export=given.export,
            force=given.force,
            fallback=bridge.decode,
        )
        with _progress_bar(console) as progress:
            report = offline.replay(plan, progress, say)
    except KeyboardInterrupt:
        say("interrupted; nothing was written")
        return INTERRUPTED
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        say(f"{where}{error.strerror or error}; nothing was written")
        return FAILED
    except VjepaError as error:
        say(str(error))
        return FAILED
    _print(report, given.out)
    return OK


def _print(report: dict[str, Any], out: Path) -> None:
    counts, timings = report["counts"], report["timings"]
    rejected = sum(sum(by_reason.values()) for by_reason in counts["rejected"].values())
    print(f"{out}: {counts['windows']} windows of {timings['recorded_s']:.1f} s in {timings['replay_s']:.1f} s "
          f"(the model {timings['model_s']:.1f} s); late {counts['late']}, gaps {counts['gaps']}, skipped "
          f"{counts['windows_skipped']}, rejected {rejected}")  # fmt: skip
    for name, digits in report["sha256"].items():
        print(f"{name:8} {digits}")


if __name__ == "__main__":
    sys.exit(main())
