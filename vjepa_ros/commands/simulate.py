"""The command ``vjepa_simulate``: arguments, a progress bar and an exit status for :mod:`vjepa_ros.simulation`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vjepa_ros.commands.arguments import Parser
from vjepa_ros.commands.terminal import Terminal
from vjepa_ros.errors import brief
from vjepa_ros.simulation.plan import ABOUT, TOOL, VARIATIONS, Plan, World

if TYPE_CHECKING:
    from vjepa_ros.simulation.recording import Made


def parser() -> Parser:
    """What reads the command's arguments."""
    parser = Parser(TOOL, "Make recordings of a simulated Franka Panda: data to train on without a robot.")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="BAG",
                        help=f"folder to make: the bag, or with --bags a folder of them; {ABOUT} in it says what it "
                        "was made of")  # fmt: skip
    _add_number(parser, "--episodes", Plan.episodes, "how many episodes")
    _add_number(parser, "--seed", World.seed, "what everything comes from")
    _add_number(parser, "--bags", Plan.bags, "recordings that the episodes are spread over")
    _add_number(parser, "--frames", World.frames, "frames of an episode, at 10 Hz")
    _add_number(parser, "--size", World.size, "px of the pictures, which are square")
    parser.add_argument("--drawn", type=_whole, metavar="N",
                        help=f"px that they are drawn at before they are made smaller (default: {World.drawn}, and no "
                        "less than --size)")  # fmt: skip
    parser.add_argument("--variation", choices=VARIATIONS, default=World.variation,
                        help="of colours, light and camera (default: %(default)s)")  # fmt: skip
    parser.add_force("BAG if it is there already")
    return parser


def _add_number(parser: Parser, option: str, default: int, meaning: str) -> None:
    parser.add_argument(option, type=_whole, default=default, metavar="N", help=f"{meaning} (default: %(default)s)")


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{brief(text)} is not a whole number") from None


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns its exit status."""
    parsing = parser()
    given = parsing.parsed(arguments)
    terminal = Terminal(TOOL, parsing.options(given))
    status, made = terminal.attempt(lambda: _made(given, terminal))
    if made is not None:
        motions = ", ".join(f"{count} {name}" for name, count in sorted(made.motions.items()))
        bags = "" if len(made.bags) == 1 else f" in {len(made.bags)} bags"
        print(f"{given.out}: {made.episodes} episodes{bags}, {made.frames} frames ({motions})")
    return status


def world_of(given: argparse.Namespace) -> World:
    """What the arguments say that episodes are like.

    Raises:
        ConfigError: for what makes no sense.
    """
    drawn = max(World.drawn, given.size) if given.drawn is None else given.drawn
    return World(given.seed, given.frames, given.size, drawn, given.variation)


def _made(given: argparse.Namespace, terminal: Terminal) -> Made:
    plan = Plan(given.out, world_of(given), given.episodes, given.bags, given.force)
    from vjepa_ros.simulation import recording

    with terminal.progress() as progress:
        return recording.record(plan, progress)


if __name__ == "__main__":
    sys.exit(main())
