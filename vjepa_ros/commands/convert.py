"""The command ``vjepa_convert``: arguments, a progress bar and an exit status for :mod:`vjepa_ros.conversion`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vjepa_ros.commands.arguments import Parser
from vjepa_ros.commands.terminal import Terminal
from vjepa_ros.config.sidecar import DTYPES, SUFFIX

if TYPE_CHECKING:
    from vjepa_ros.config.sidecar import Sidecar

TOOL = "vjepa_convert"
_ENCODER_ONLY = "--encoder-only"


def parser() -> Parser:
    """What reads the command's arguments."""
    parser = Parser(TOOL, f"Strip a training checkpoint to what inference needs: a {SUFFIX} and its sidecar .json.")
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help=f"a .pt or {SUFFIX} file")
    parser.add_argument("out", type=Path, metavar=f"OUT{SUFFIX}", help="the file to write; OUT.json goes with it")
    parser.add_argument("--preset", required=True, help="the model: a preset's name, or the path of a preset file")
    parser.add_argument("--dtype", choices=DTYPES, default=DTYPES[0],
                        help="of the new weights (default: %(default)s)")  # fmt: skip
    parser.add_settings("the preset")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(_ENCODER_ONLY, action="store_true",
                       help="leave the predictor out: for files without an action-conditioned one")  # fmt: skip
    which.add_argument("--predictor-only", action="store_true",
                       help="leave the encoder out: for a predictor that is loaded beside it")  # fmt: skip
    which.add_argument("--predictor-checkpoint", type=Path, metavar="FILE",
                       help="take the predictor from this file, which was trained with the encoder of "
                       "CHECKPOINT")  # fmt: skip
    parser.add_argument("--trained-with", type=Path, metavar="FILE",
                        help="with --predictor-only: the encoder that it was trained with, where CHECKPOINT has "
                        "none")  # fmt: skip
    parser.add_force(f"OUT{SUFFIX} and OUT.json if they are there already")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns its exit status."""
    parsing = parser()
    given = parsing.parsed(arguments)
    # Loading such a file wants the parameter random_predictor; here, where it is converted, the option is meant.
    terminal = Terminal(TOOL, {**parsing.options(given), "random_predictor": _ENCODER_ONLY})
    status, sidecar = terminal.attempt(lambda: _converted(given, terminal))
    if sidecar is not None:
        size_mb = given.out.stat().st_size / 1e6
        print(f"{given.out}: {size_mb:.1f} MB, {' and '.join(sidecar.parts)} of {sidecar.source['file']} "
              f"({sidecar.source['key']}) in {sidecar.dtype}; loads and gives the same output")  # fmt: skip
    return status


def _converted(given: argparse.Namespace, terminal: Terminal) -> Sidecar:
    from vjepa_ros import conversion

    encoder = given.trained_with or given.checkpoint  # what has none says nothing of its sizes
    recorded = conversion.record(given.preset, given.settings, given.predictor_checkpoint, encoder)
    with terminal.progress(in_bytes=True) as progress:
        return conversion.convert(
            given.checkpoint,
            given.out,
            recorded,
            dtype=given.dtype,
            encoder_only=given.encoder_only,
            predictor_only=given.predictor_only,
            predictor_checkpoint=given.predictor_checkpoint,
            trained_with=given.trained_with,
            force=given.force,
            report=progress,
        )


if __name__ == "__main__":
    sys.exit(main())
