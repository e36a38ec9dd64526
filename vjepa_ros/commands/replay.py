"""The command ``vjepa_replay``: arguments, a progress bar and an exit status for :mod:`vjepa_ros.replay.replaying`.

What is public here serves every command that reads recordings: they take the same arguments and end in the same way.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from vjepa_ros.config import ros_file
from vjepa_ros.errors import VjepaError
from vjepa_ros.images import bridge
from vjepa_ros.recordings.feed import URDF, Say
from vjepa_ros.recordings.topics import OPTIONS
from vjepa_ros.replay import replaying

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
        return name, ros_file.parsed(name, value)
    except yaml.YAMLError as error:
        raise argparse.ArgumentTypeError(f"{value!r} cannot be read as a value of {name}") from error


def add_recording(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say what is read, and with which parameters."""
    parser.add_argument(
        "bags", type=Path, nargs="*", metavar="BAG", help="bags that are one recording, at least one; folders or files"
    )
    parser.add_argument("--params", type=Path, metavar="FILE", help="ROS parameter file of the node")
    parser.add_argument("--set", dest="settings", type=_setting, nargs="+", action="extend", default=[],
                        metavar="PARAMETER=VALUE", help="parameters that replace those of the file")  # fmt: skip
    for name, option in OPTIONS.items():
        parser.add_argument(option, dest=name, metavar="TOPIC", help="default: found by its name")
    parser.add_argument(URDF, type=Path, metavar="FILE",
                        help="robot description, where the recording has no topic with one")  # fmt: skip
    parser.add_argument(
        "--node-name", default=_NAME, metavar="NAME", help="full name of the node (default: %(default)s)"
    )


def arguments_of(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """What is on the command line of such a parser, bags and settings told apart wherever they stand."""
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
    add_recording(parser)
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="OUT",
                        help="bag of the latents to write, with report.json in it")  # fmt: skip
    parser.add_argument("--windows-only", action="store_true", help="leave the model out: OUT has the report alone")
    parser.add_argument("--dump", type=Path, metavar="FILE", help="write a line of JSON per window")
    parser.add_argument("--export", type=Path, metavar="DIR",
                        help="write windows, actions, states and latents as safetensors shards")  # fmt: skip
    parser.add_argument("--force", action="store_true", help="replace outputs that are there already")
    return parser


@contextmanager
def progress_bars(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    """Bars on the terminal, one for each thing that is counted: called with (things, done, to do)."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    )  # fmt: skip
    # A log has no use for them: there they would be lines, and an empty one before a refusal.
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def progress(things: str, done: int, total: int) -> None:
            if things not in tasks:
                tasks[things] = bars.add_task(things, total=total)
            bars.update(tasks[things], completed=done, total=total)

        yield progress


def values_of(given: argparse.Namespace, say: Say) -> dict[str, Any]:
    """The node's parameters by name, as the arguments of :func:`add_recording` give them.

    Raises:
        ConfigError: for a file that cannot be read.
    """
    values, unknown = ({}, []) if given.params is None else ros_file.read(given.params, full_name(given))
    if unknown:
        say(f"{given.params}: not parameters of this node, ignored as the node does: {', '.join(unknown)}")
    return {**values, **dict(given.settings)}


def reading_of(given: argparse.Namespace, say: Say) -> dict[str, Any]:
    """The fields of a :class:`vjepa_ros.recordings.feed.Reading`, as the arguments give them.

    Raises:
        ConfigError: for a parameter file that cannot be read.
    """
    topics = {name: getattr(given, name) for name in OPTIONS if getattr(given, name)}
    return {
        "bags": given.bags, "values": values_of(given, say), "out": given.out, "topics": topics, "urdf": given.urdf,
        "force": given.force, "fallback": bridge.decode,
    }  # fmt: skip


def full_name(given: argparse.Namespace) -> str:
    """The node's name, with a slash in front."""
    name: str = given.node_name
    return "/" + name.strip("/")


def status_of(tool: str, work: Callable[[Console, Say], None]) -> int:
    """The exit status of a command's work; what stops it is said in one sentence.

    Args:
        tool: the command's name, which every sentence begins with.
        work: is given the console for its progress, and what to say sentences with.
    """
    console = Console(stderr=True, soft_wrap=True)

    def say(sentence: str) -> None:
        console.print(f"{tool}: {sentence}", markup=False, highlight=False)

    try:
        work(console, say)
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
    return OK


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns its exit status."""
    given = arguments_of(_parser(), arguments)
    report: dict[str, Any] = {}

    def work(console: Console, say: Say) -> None:
        plan = replaying.Plan(
            **reading_of(given, say),
            node_name=full_name(given),
            windows_only=given.windows_only,
            dump=given.dump,
            export=given.export,
        )
        with progress_bars(console) as progress:
            report.update(replaying.replay(plan, partial(progress, "messages"), say))

    status = status_of(replaying.TOOL, work)
    if status == OK:
        _print(report, given.out)
    return status


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
