"""The command ``vjepa_convert``: arguments, a progress bar and an exit status for :mod:`vjepa_ros.conversion`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from vjepa_ros.conversion import DTYPES, Report, convert, record
from vjepa_ros.errors import ConfigError, VjepaError

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


@contextmanager
def _progress_bar() -> Iterator[Report]:
    """A bar on the terminal; the last line of it where there is none."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        tasks: dict[str, TaskID] = {}

        def report(doing: str, done: int, total: int) -> None:
            if doing not in tasks:
                tasks[doing] = progress.add_task(doing, total=total)
            progress.update(tasks[doing], completed=done)

        yield report


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not parameter=value")
    try:
        return name, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise argparse.ArgumentTypeError(f"{value!r} cannot be read as a value of {name}") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vjepa_convert",
        description="Strip a training checkpoint to what inference needs: a .safetensors and its sidecar .json.",
        epilog="Exit status: 0 done, 1 refused or failed, 2 wrong arguments, 130 interrupted.",
    )
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="a .pt or .safetensors file")
    parser.add_argument("out", type=Path, metavar="OUT.safetensors", help="the file to write; OUT.json goes with it")
    parser.add_argument("--preset", required=True, help="the model: a preset's name, or the path of a preset file")
    parser.add_argument("--dtype", choices=DTYPES, default="float32", help="of the new weights (default: %(default)s)")
    parser.add_argument("--set", dest="settings", type=_setting, nargs="+", action="extend", default=[],
                        metavar="PARAMETER=VALUE", help="parameters that replace the preset's")  # fmt: skip
    parser.add_argument("--encoder-only", action="store_true",
                        help="leave the predictor out: for files without an action-conditioned one")  # fmt: skip
    parser.add_argument("--force", action="store_true", help="replace OUT.safetensors and OUT.json")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns its exit status."""
    given = _parser().parse_args(arguments)
    try:
        recorded = record(given.preset, dict(given.settings))
        with _progress_bar() as report:
            sidecar = convert(
                given.checkpoint,
                given.out,
                recorded,
                dtype=given.dtype,
                encoder_only=given.encoder_only,
                force=given.force,
                report=report,
            )
    except KeyboardInterrupt:
        print("vjepa_convert: interrupted", file=sys.stderr)
        return INTERRUPTED
    except (VjepaError, OSError) as error:
        print(f"vjepa_convert: {error}", file=sys.stderr)
        return USAGE if isinstance(error, ConfigError) else FAILED
    size_mb = given.out.stat().st_size / 1e6
    print(f"{given.out}: {size_mb:.1f} MB, {' and '.join(sidecar.parts)} of {sidecar.source['file']} "
          f"({sidecar.source['key']}) in {sidecar.dtype}; loads and gives the same output")  # fmt: skip
    return OK


if __name__ == "__main__":
    sys.exit(main())
