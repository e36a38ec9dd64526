"""The command ``vjepa_convert``: arguments, a progress bar and an exit status for :mod:`vjepa_ros.conversion`, and with
``--onnx`` for :mod:`vjepa_ros.onnx_files`."""

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
    from vjepa_ros.onnx_files import OnnxFile

TOOL = "vjepa_convert"
_ENCODER_ONLY, _PREDICTOR_ONLY, _TRAINED_WITH = "--encoder-only", "--predictor-only", "--trained-with"
_ONNX, _DTYPE = "--onnx", "--dtype"


def parser() -> Parser:
    """What reads the command's arguments."""
    parser = Parser(
        TOOL,
        f"Strip a training checkpoint to what inference needs: a {SUFFIX} and its sidecar .json; or, with {_ONNX}, "
        "write its encoder and predictor as ONNX files for other runtimes.",
    )
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help=f"a .pt or {SUFFIX} file")
    parser.add_argument("out", type=Path, nargs="?", metavar=f"OUT{SUFFIX}",
                        help="the file to write; OUT.json goes with it")  # fmt: skip
    parser.add_argument(_ONNX, type=Path, metavar="DIR",
                        help="instead of OUT: write a folder with encoder and predictor as ONNX, for one window, in "
                        "float32 and float16")  # fmt: skip
    parser.add_argument("--preset", required=True, help="the model: a preset's name, or the path of a preset file")
    parser.add_argument(_DTYPE, choices=DTYPES,
                        help=f"of the new weights (default: {DTYPES[0]})")  # fmt: skip
    parser.add_settings("the preset")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(_ENCODER_ONLY, action="store_true",
                       help="leave the predictor out: for files without an action-conditioned one")  # fmt: skip
    which.add_argument(_PREDICTOR_ONLY, action="store_true",
                       help="leave the encoder out: for a predictor that is loaded beside it")  # fmt: skip
    which.add_argument("--predictor-checkpoint", type=Path, metavar="FILE",
                       help="take the predictor from this file, which was trained with the encoder of "
                       "CHECKPOINT")  # fmt: skip
    parser.add_argument(_TRAINED_WITH, type=Path, metavar="FILE",
                        help="with --predictor-only: the encoder that it was trained with, where CHECKPOINT has "
                        "none")  # fmt: skip
    parser.add_force(f"OUT{SUFFIX} and OUT.json, or DIR, if they are there already")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns its exit status."""
    parsing = parser()
    given = parsing.parsed(arguments)
    if (given.out is None) == (given.onnx is None):
        parsing.error(f"one of OUT{SUFFIX} and {_ONNX} DIR is needed")
    others = {_DTYPE: given.dtype, _PREDICTOR_ONLY: given.predictor_only, _TRAINED_WITH: given.trained_with}
    if given.onnx is not None and any(others.values()):
        parsing.error(f"{next(option for option in others if others[option])} says nothing of ONNX files")
    # Loading such a file wants the parameter random_predictor; here, where it is converted, the option is meant.
    terminal = Terminal(TOOL, {**parsing.options(given), "random_predictor": _ENCODER_ONLY})
    if given.onnx is not None:
        status, written = terminal.attempt(lambda: _exported(given, terminal))
        for name, said in (written or {}).items():
            print(f"{given.onnx / name}: {said.part} in {said.dtype}; onnxruntime gives what torch does in float32 to "
                  f"{said.max_difference:.1e}")  # fmt: skip
        return status
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
            dtype=given.dtype or DTYPES[0],
            encoder_only=given.encoder_only,
            predictor_only=given.predictor_only,
            predictor_checkpoint=given.predictor_checkpoint,
            trained_with=given.trained_with,
            force=given.force,
            report=progress,
        )


def _exported(given: argparse.Namespace, terminal: Terminal) -> dict[str, OnnxFile]:
    from vjepa_ros import conversion, onnx_files

    recorded = conversion.record(given.preset, given.settings, given.predictor_checkpoint, given.checkpoint)
    with terminal.progress(in_bytes=True) as progress:
        return onnx_files.write_onnx(
            given.checkpoint,
            given.onnx,
            recorded,
            encoder_only=given.encoder_only,
            predictor_checkpoint=given.predictor_checkpoint,
            force=given.force,
            report=progress,
        )


if __name__ == "__main__":
    sys.exit(main())
