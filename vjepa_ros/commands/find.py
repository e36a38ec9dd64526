"""The command ``vjepa_find``: arguments and an exit status for :mod:`vjepa_ros.fleet.search`, and a contact sheet."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vjepa_ros.commands.arguments import Parser
from vjepa_ros.commands.fleet import missing, share, whole
from vjepa_ros.commands.terminal import Terminal
from vjepa_ros.fleet.looking import Looking
from vjepa_ros.fleet.plan import FIND_TOOL

if TYPE_CHECKING:
    from vjepa_ros.fleet.search import Match


def parser() -> Parser:
    """What reads the command's arguments."""
    parser = Parser(FIND_TOOL, "Find the windows of a fleet that look most like a picture to its encoder.")
    parser.add_argument("fleet", type=Path, metavar="OUT", help="folder that vjepa_fleet has made")
    parser.add_argument("--image", type=Path, required=True, metavar="FILE",
                        help="PNG or JPEG file, as the camera would give it")  # fmt: skip
    parser.add_argument("--patch", type=share, nargs=4, metavar=("LEFT", "TOP", "WIDTH", "HEIGHT"),
                        help="look for this part alone, in shares from 0 to 1 of what the encoder sees")  # fmt: skip
    parser.add_argument("-n", "--count", type=whole, default=Looking.count, metavar="N",
                        help="how many windows (default: %(default)s)")  # fmt: skip
    parser.add_argument("--apart", dest="apart_s", type=share, default=Looking.apart_s, metavar="S",
                        help="seconds between two of one recording (default: %(default)s)")  # fmt: skip
    parser.add_argument("-o", "--out", type=Path, metavar="FILE.png", help="contact sheet to make")
    parser.add_argument("--compute-on", metavar="DEVICE", help="as torch names it (default: a GPU where there is one)")
    parser.add_force("a sheet that is there already")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns its exit status."""
    parsing = parser()
    given = parsing.parsed(arguments)
    terminal = Terminal(FIND_TOOL, parsing.options(given))
    status, matches = terminal.attempt(lambda: _found(given, terminal))
    for one in matches or ():
        token = "" if one.token is None else f"  token {one.token[0]},{one.token[1]}"
        print(f"{one.likeness:.4f}  {one.name}  window {one.epoch}/{one.number}  stamp {one.stamp_ns}{token}")
    return status


def _found(given: argparse.Namespace, terminal: Terminal) -> list[Match]:
    names = ("fleet", "image", "out", "count", "apart_s", "force")
    values = {"device": given.compute_on or "auto"}
    patch: Any = None if given.patch is None else tuple(given.patch)
    looking = Looking(**{name: getattr(given, name) for name in names}, patch=patch, values=values)
    from vjepa_ros.fleet.store import Store

    store = Store(looking.fleet)
    store.manifest()
    try:
        from vjepa_ros.fleet import search, sheet
    except ImportError as error:
        raise missing(error) from error
    config = search.configuration(store, looking)
    with terminal.progress() as progress:
        matches, image = search.find(looking, config, progress)
    if looking.out is not None:
        frames = sheet.frames_of(matches, store, config, terminal.say)
        rows, cols = (size // config.model.patch_size for size in config.model.image_size)
        sheet.write(sheet.draw(image, looking.patch, matches, frames, (rows, cols)), looking.out, force=looking.force)
    return matches


if __name__ == "__main__":
    sys.exit(main())
