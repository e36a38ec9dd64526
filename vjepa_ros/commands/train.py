"""The command ``vjepa_train``: arguments, tables, progress, an exit status for :mod:`vjepa_ros.training.run`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vjepa_ros.commands.arguments import Parser, add_recording, reading_of
from vjepa_ros.commands.terminal import Bars, Terminal
from vjepa_ros.errors import brief
from vjepa_ros.training.plan import FOLDER, PRECISIONS, SUFFIX, TOOL, Plan

if TYPE_CHECKING:
    from vjepa_ros.training.course import Progress
    from vjepa_ros.training.data import Data
    from vjepa_ros.training.run import Done

_KEPT = "what was done until then is kept, and `resume` goes on from the last checkpoint"

_WHOLE: dict[str, str] = {
    "steps": "steps of the optimizer, for the predictor",
    "batch": "samples in each, over all processes",
    "accumulate": "parts that a batch is computed in, where memory is short",
    "rollout": "steps of the rollout loss",
    "sample_steps": "latents of a sample; 0 for what context and rollout need, 8 for the public code's",
    "encoder_steps": "as --steps, of the encoder",
    "encoder_batch": "as --batch, of the encoder: episodes of four steps",
    "patience": "looks at the recordings held back without an improvement that end it; 0 for any number",
    "evaluate_every": "steps between two such looks",
    "checkpoint_every": "steps between two checkpoints",
    "seed": "of weights and order",
}  # fmt: skip
_REAL: dict[str, str] = {
    "lr": "highest learning rate",
    "encoder_lr": "as --lr, of the encoder",
    "weight_decay": "of AdamW",
    "clip_norm": "largest norm of the gradient; 0 for any",
    "l2": "share of the squared error in the loss",
}  # fmt: skip


def parser() -> Parser:
    """What reads the command's arguments."""
    parser = Parser(
        TOOL,
        f"Train a model on recordings, read as the node reads them. A folder beside the model, MODEL{FOLDER}, keeps "
        "what was done, also where it is interrupted: latents, checkpoints, report.html and report.json.",
    )
    add_recording(parser, "bags, each a recording of its own; folders or files")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar=f"MODEL{SUFFIX}",
                        help="file to make; MODEL.json goes with it")  # fmt: skip
    parser.add_argument("--hold-back", type=Path, action="append", default=[], metavar="BAG",
                        help="recording that is never trained on, one of the others or another one; may stand several "
                        "times (default: the last tenth)")  # fmt: skip
    parser.add_argument("--train-encoder", action="store_true",
                        help="train an encoder first, from scratch; without it that of the parameter checkpoint stays "
                        "as it is")  # fmt: skip
    parser.add_argument("--with-encoder", action="store_true", help="write a frozen encoder into the file too")
    parser.add_argument("--predictor", type=Path, metavar="FILE", help="train this file's predictor further")
    parser.add_argument("--freeze", action="append", default=[], metavar="PATTERN",
                        help="parameters of the predictor that stay as they are, such as 'predictor_blocks.0.*'; may "
                        "stand several times")  # fmt: skip
    for field, meaning in _WHOLE.items():
        _add_number(parser, field, _whole, "N", meaning)
    for field, meaning in _REAL.items():
        _add_number(parser, field, _real, "X", meaning)
    parser.add_argument("--device", default=Plan.device,
                        help="to train on, as torch names it (default: a GPU where there is one); a frozen encoder's "
                        "latents are computed on that of the parameter device")  # fmt: skip
    parser.add_argument("--precision", choices=PRECISIONS, default=Plan.precision,
                        help="of the layers (default: float32 on a CPU, else bfloat16)")  # fmt: skip
    parser.add_argument("--resume", action="store_true",
                        help="go on from the last checkpoint; what is whole is used again in any case")  # fmt: skip
    parser.add_force("the model if it is there already")
    return parser


def _add_number(parser: Parser, field: str, kind: Callable[[str], Any], metavar: str, meaning: str) -> None:
    option = "--" + field.replace("_", "-")
    parser.add_argument(option, type=kind, default=getattr(Plan, field), metavar=metavar,
                        help=f"{meaning} (default: %(default)s)")  # fmt: skip


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{brief(text)} is not a whole number") from None


def _real(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{brief(text)} is not a number") from None


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns its exit status."""
    parsing = parser()
    given = parsing.parsed(arguments)
    terminal = Terminal(TOOL, parsing.options(given))
    status, done = terminal.attempt(lambda: _trained(given, terminal), _KEPT)
    if done is not None:
        status = terminal.completeness(len(done.incomplete), allowed=given.allow_incomplete)
        _print(done, given.out)
    return status


def _trained(given: argparse.Namespace, terminal: Terminal) -> Done | None:
    own = ("hold_back", "train_encoder", "with_encoder", "predictor", "freeze", "device", "precision", "resume")
    names = (*own, *_WHOLE, *_REAL)
    plan = Plan(**reading_of(given, terminal.say), **{name: getattr(given, name) for name in names})
    from vjepa_ros.training import run

    with terminal.progress() as bars:
        watcher = run.Watcher(
            bars,
            terminal.say,
            lambda data, rate: _show(data, rate, terminal),
            lambda what, now: _learning(what, now, bars, terminal),
        )
        return run.train(plan, watcher)


def _show(data: Data, rate: float, terminal: Terminal) -> None:
    from vjepa_ros.commands import training_tables

    for table in training_tables.tables(data):
        terminal.show(table)
    for sentence in training_tables.sentences(data, rate):
        terminal.say(sentence)


def _learning(what: str, now: Progress, bars: Bars, terminal: Terminal) -> None:
    """A bar, with loss and skill; in a log a line whenever the recordings held back were looked at."""
    from vjepa_ros.commands import training_tables

    bars(f"{what} steps", now.step, now.steps, training_tables.course(now))
    if now.held_back is not None and not terminal.is_seen:
        terminal.say(f"{what}: step {now.step:,} of {now.steps:,}: {training_tables.course(now)}")


def _print(done: Done, out: Path) -> None:
    report = done.report
    figures = ", ".join(
        f"{name} {report[name]:.2f}" for name in ("k1", "k4", "k8", "shuffled4", "rank") if report[name] is not None
    )
    print(f"{out}: {report['judgement']}; {figures}")
    print(report["judgement_text"])
    print(f"{out.with_suffix(FOLDER)}: report.html, report.json")


if __name__ == "__main__":
    sys.exit(main())
