"""What is on the command lines: settings, and the recording that several commands read.

An option is kept under the name that the library has for it: that of a field of a plan, ``topics.image`` for a field of
a field. So messages can name the option where the library names the field. Nothing heavy is imported here.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from vjepa_ros.commands.terminal import EXIT_STATUS
from vjepa_ros.config.inputs import INPUTS
from vjepa_ros.errors import brief, named
from vjepa_ros.replay.plan import Plan

_SET = "--set"
_SETTING = re.compile(r"[A-Za-z_][\w.]*=.*", re.DOTALL)
_BAGS = "bags that are one recording, folders or files; or a LeRobotDataset"
_TOPICS = tuple(f"topics.{name}" for name in ("image", *INPUTS))


class Parser(argparse.ArgumentParser):
    """Reads a command line; its ``parsed`` takes positional arguments and settings wherever they stand.

    Args:
        tool: the command's name.
        description: what it does.
    """

    def __init__(self, tool: str, description: str) -> None:
        super().__init__(prog=tool, description=description, epilog=EXIT_STATUS, allow_abbrev=False)

    def add_settings(self, replaced: str) -> None:
        """Add ``--set``.

        Args:
            replaced: what the settings replace, for the help.
        """
        self.add_argument(_SET, dest="settings", type=_setting, action="append", default=[],
                          metavar="PARAMETER=VALUE ...",
                          help=f"parameters that replace those of {replaced}")  # fmt: skip

    def add_force(self, replaced: str) -> None:
        """Add ``--force``.

        Args:
            replaced: what it replaces, for the help.
        """
        self.add_argument("--force", action="store_true", help=f"replace {replaced}")

    def parsed(self, arguments: Sequence[str] | None) -> argparse.Namespace:
        """What is on the command line.

        Args:
            arguments: without the command's name; None for those that the process was started with.

        Raises:
            SystemExit: where it is wrong, or help was asked for.
        """
        given = self.parse_intermixed_args(list(_one_by_one(sys.argv[1:] if arguments is None else arguments)))
        given.settings = dict(getattr(given, "settings", ()))  # not every command has them
        return given

    def options(self, given: argparse.Namespace) -> dict[str, str]:
        """What people write for a field, by its name: ``{"dims": "--dims", "bags": "BAG"}``.

        Args:
            given: what is on the command line; a name that a setting has is that parameter's.
        """
        return {
            action.dest: action.option_strings[-1] if action.option_strings else str(action.metavar)
            for action in self._actions
            if action.dest not in given.settings
        }


def _one_by_one(arguments: Sequence[str]) -> Iterator[str]:
    """The arguments with one ``--set`` for each of the settings that stand behind one."""
    behind = False
    for number, word in enumerate(arguments):
        if word == "--":
            yield from arguments[number:]
            return
        if word == _SET:
            behind = True
            following = arguments[number + 1 : number + 2]
            if following and _SETTING.fullmatch(following[0]):
                continue
        elif behind and _SETTING.fullmatch(word):
            yield f"{_SET}={word}"
            continue
        else:
            behind = word.startswith(f"{_SET}=")
        yield word


def _setting(text: str) -> tuple[str, Any]:
    """A parameter and its value, of the type that the table of parameters has for it."""
    if not _SETTING.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{brief(text)} is not parameter=value")
    from vjepa_ros.documents import Unreadable

    name, _, value = text.partition("=")
    try:
        from vjepa_ros.config import ros_file
    except ImportError:  # of NumPy: whoever uses the value cannot go on either, and vjepa_doctor says what is wrong
        return name, value
    try:
        return name, ros_file.parsed(name, value)
    except Unreadable as error:
        raise argparse.ArgumentTypeError(f"{brief(value)} cannot be read as a value of {named(name)}") from error


def values_parsed(text: str) -> tuple[str, list[Any]]:
    """A parameter and several values of it: ``frame_rate=0.5,4``, ``view.roi=[0, 0, 64, 64],[]``.

    Commas within square brackets part nothing. Each value is read as :func:`_setting` reads one.

    Raises:
        argparse.ArgumentTypeError: for what is not of that form.
    """
    name, equals, several = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{brief(text)} is not parameter=value,value,...")
    values, depth = [""], 0
    for character in several:
        depth += (character == "[") - (character == "]")
        if character == "," and depth == 0:
            values.append("")
        else:
            values[-1] += character
    return name, [_setting(f"{name}={value}")[1] for value in values]


def add_recording(parser: Parser, bags: str = _BAGS, kind: Callable[[str], Any] = Path) -> None:
    """Add the arguments that say what is read, and with which parameters.

    Args:
        parser: to add them to.
        bags: what the bags are, for the help.
        kind: reads one of them.
    """
    parser.add_argument("bags", type=kind, nargs="+", metavar="BAG", help=bags)
    parser.add_argument("--params", type=Path, metavar="FILE", help="ROS parameter file of the node")
    parser.add_settings("the file")
    for field in _TOPICS:
        option = "--" + field.removeprefix("topics.").replace("_", "-")
        parser.add_argument(option, dest=field, metavar="TOPIC", help="default: found by its name")
    parser.add_argument("--urdf", type=Path, metavar="FILE",
                        help="robot description, where the recording has no topic with one")  # fmt: skip
    parser.add_argument("--allow-incomplete", action="store_true",
                        help="exit status 0, not 3, where a part could not be read")  # fmt: skip
    parser.add_argument("--node-name", default=Plan.node_name, metavar="NAME",
                        help="full name of the node (default: %(default)s)")  # fmt: skip


def full_name(given: argparse.Namespace) -> str:
    """The node's name, with a slash in front.

    Raises:
        ConfigError: for one that ROS would refuse.
    """
    from vjepa_ros.config.ros_names import full_node_name

    return full_node_name(given.node_name)


def values_of(given: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """The node's parameters by name, as the arguments of :func:`add_recording` give them.

    Raises:
        ConfigError: for a file that cannot be read.
    """
    from vjepa_ros.config import names, ros_file

    values, unknown = ({}, []) if given.params is None else ros_file.read(given.params, full_name(given))
    for sentence in names.ignored(given.params, unknown):
        say(sentence)
    return {**values, **given.settings}


def reading_of(given: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """The fields of a :class:`vjepa_ros.recordings.reading.Reading`, as the arguments give them.

    Raises:
        ConfigError: for a parameter file that cannot be read.
    """
    from vjepa_ros.images import bridge

    topics = {field.removeprefix("topics."): getattr(given, field) for field in _TOPICS if getattr(given, field)}
    return {
        "bags": given.bags, "values": values_of(given, say), "out": given.out, "topics": topics, "urdf": given.urdf,
        "force": given.force, "fallback": bridge.decode,
    }  # fmt: skip
