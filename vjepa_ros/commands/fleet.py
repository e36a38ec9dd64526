"""The command ``vjepa_fleet``: arguments, a progress bar and an exit status for :mod:`vjepa_ros.fleet.running`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vjepa_ros.commands.arguments import Parser, add_recording, reading_of
from vjepa_ros.commands.terminal import DONE, FAILED, INCOMPLETE, Terminal
from vjepa_ros.errors import brief
from vjepa_ros.fleet.plan import FORMATS, MANIFEST, RECORDINGS, TOOL, Plan

STATUS = "status"
_BAGS = "bags or datasets, each a recording; folders of them, patterns, addresses such as s3://bucket/bags, "
_KEPT = "what was done until then is kept, and the same command goes on from there"


def parser() -> Parser:
    """What reads the command's arguments."""
    parser = Parser(
        TOOL,
        "Turn many recordings into tables of windows with latents, by the code of vjepa_replay, on as many workers as "
        f"you like. The same command goes on where it was interrupted. `{TOOL} {STATUS} OUT` tells how far it is.",
    )
    add_recording(parser, f"{_BAGS}or .txt files that name one in each line", str)
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="OUT",
                        help=f"folder to make, or to go on in: tables, {MANIFEST}, {RECORDINGS}")  # fmt: skip
    parser.add_argument("--workers", type=whole, default=Plan.workers, metavar="N",
                        help="how many hold a model; 0 for this process alone (default: %(default)s)")  # fmt: skip
    parser.add_argument("--address", metavar="ADDRESS", help="of a Ray cluster; OUT must lie where all of it sees it")
    parser.add_argument("--gpus", type=share, metavar="N",
                        help="of a worker, 0.5 for half of one (default: one where there is one)")  # fmt: skip
    parser.add_argument("--format", dest="formats", type=_formats, default=("parquet",), metavar="FORMATS",
                        help=f"{','.join(FORMATS)} writes a LeRobotDataset too (default: parquet)")  # fmt: skip
    parser.add_argument("--keep-context", dest="kept_steps", type=whole, metavar="N",
                        help="keep the newest N steps of each window's context (default: all)")  # fmt: skip
    parser.add_argument("--task", default=Plan.task, metavar="TEXT",
                        help="what the recordings show, for the dataset (default: %(default)s)")  # fmt: skip
    parser.add_force("what lies at OUT; without it, a fleet's folder is gone on with")
    return parser


def whole(text: str) -> int:
    """A number of the command line, from 0 on."""
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        raise argparse.ArgumentTypeError(f"{brief(text)} is not a whole number from 0 to 999999")
    return int(text)


def share(text: str) -> float:
    """A number of the command line, whole or not."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{brief(text)} is not a number") from None


def _formats(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(("parquet", *text.split(","))))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == [STATUS]:
        return _status(words[1:])
    parsing = parser()
    given = parsing.parsed(words)
    terminal = Terminal(TOOL, parsing.options(given))
    status, done = terminal.attempt(lambda: _done(given, terminal), _KEPT)
    if done is not None:
        if done["failed"] and not done["done"]:
            terminal.say(_first_reason(given.out))
            return FAILED
        if done["left"]:
            terminal.say(f"{done['left']} recordings are left: exit status {INCOMPLETE}; the same command goes on")
            status = INCOMPLETE
        elif done["failed"] + done["incomplete"] and not given.allow_incomplete:
            terminal.say(f"done, but {done['failed']} recordings failed and {done['incomplete']} are not whole: exit "
                         f"status {INCOMPLETE}, {DONE} with `allow_incomplete`; {RECORDINGS} has why")  # fmt: skip
            status = INCOMPLETE
        took = done["timings"]
        print(f"{given.out}: {done['windows']} windows of {done['done']} recordings, {done['failed']} failed; "
              f"{took['recorded_s']:.0f} s of recording in {took['last_run_s']:.0f} s")  # fmt: skip
    return status


def _done(given: argparse.Namespace, terminal: Terminal) -> dict[str, Any]:
    names = ("formats", "kept_steps", "workers", "address", "gpus", "task")
    plan = Plan(**reading_of(given, terminal.say), **{name: getattr(given, name) for name in names})
    try:
        from vjepa_ros.fleet import running
    except ImportError as error:
        raise missing(error) from error
    with terminal.progress() as progress:
        return running.run(plan, progress, terminal.say)


def _first_reason(out: Path) -> str:
    """Why the first recording failed."""
    from vjepa_ros.fleet import progressing

    name, recording, reason = progressing.status(out)["failures"][0]
    return reason if reason.startswith(recording) else f"{recording}: {reason}"


def missing(error: ImportError) -> Exception:
    """What is said where the extra is not installed."""
    from vjepa_ros.errors import OutputError

    return OutputError(f"needs a package that is not installed ({error}): install it, or this one with its extra fleet")


def _status(words: Sequence[str]) -> int:
    parsing = Parser(f"{TOOL} {STATUS}", "How far a fleet is: what is done, what failed and why, and what is left.")
    parsing.add_argument("out", type=Path, metavar="OUT", help="folder of the fleet; a run may be at it")
    given = parsing.parsed(words)
    terminal = Terminal(TOOL, parsing.options(given))
    status, found = terminal.attempt(lambda: _looked(given.out))
    if found is not None:
        dataset = "" if found["dataset"] is None else f"; dataset {found['dataset']}"
        print(f"{given.out}: {found['done']} done ({found['windows']} windows, {found['incomplete']} not whole), "
              f"{found['failed']} failed, {found['left']} left{dataset}")  # fmt: skip
        for name, recording, reason in found["failures"]:
            print(f"failed  {name}  {recording}: {reason}")
    return status


def _looked(out: Path) -> dict[str, Any]:
    from vjepa_ros.fleet import progressing

    return progressing.status(out)


if __name__ == "__main__":
    sys.exit(main())
