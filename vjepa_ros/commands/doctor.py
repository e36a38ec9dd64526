"""The command ``vjepa_doctor``: says what is wrong before anything runs, a line for each thing, and an exit status.

What needs no graph is looked at by :mod:`vjepa_ros.doctor`, the graph by :mod:`vjepa_ros.ros.looking`.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vjepa_ros.commands.arguments import Parser, full_name
from vjepa_ros.commands.terminal import DONE, FAILED, Terminal
from vjepa_ros.config.inputs import CAMERAS, INPUTS

if TYPE_CHECKING:
    from vjepa_ros.doctor.line import Line

TOOL = "vjepa_doctor"
NODE_NAME = "/vjepa_predictor"
_WAIT_S, _MOST_WAIT_S = 5.0, 600.0
_TOPICS = ("image", *INPUTS)
_ROS = "--ros-args"


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number <= _MOST_WAIT_S:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a number of seconds up to {_MOST_WAIT_S:g}")
    return number


def parser() -> Parser:
    """What reads the command's arguments."""
    parser = Parser(
        TOOL,
        "Say what is wrong before anything runs: versions, GPU, shared memory, parameters, weights, the time for a "
        f"window, and the topics that the node reads. Exit status {FAILED} where something is wrong; warnings are not.",
    )
    parser.add_argument("--params", type=Path, metavar="FILE",
                        help="ROS parameter file of the node (default: the launch file's own)")  # fmt: skip
    parser.add_settings("the file")
    parser.add_argument("--node-name", default=NODE_NAME, metavar="NAME",
                        help="full name of the node (default: %(default)s)")  # fmt: skip
    for name in _TOPICS:
        parser.add_argument("--" + name.replace("_", "-"), dest=f"topics.{name}", metavar="TOPIC",
                            help=f"what the node reads as {name} (default: that)")  # fmt: skip
    parser.add_argument("--wait", dest="wait_s", type=_seconds, default=_WAIT_S, metavar="S",
                        help="how long topics are listened to (default: %(default)g)")  # fmt: skip
    parser.add_argument("--no-graph", action="store_true", help="leave ROS out: for recordings alone")
    parser.add_argument("--no-model", action="store_true", help="do not load the model, and so do not time it")
    parser.add_argument("--json", action="store_true", help="say it as one JSON object, for machines")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns its exit status. What stands behind ``--ros-args`` is ROS's."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    own, of_ros = (words[: words.index(_ROS)], words[words.index(_ROS) :]) if _ROS in words else (words, [])
    parsing = parser()
    given = parsing.parsed(own)
    terminal = Terminal(TOOL, parsing.options(given) | {"no_graph": "--no-graph"})
    show = (lambda _line: None) if given.json else (lambda line: print(terminal.translated(line.text), flush=True))
    status, lines = terminal.attempt(lambda: _examined(given, of_ros, show))
    return status if lines is None else _concluded(lines, terminal, as_json=given.json)


def _examined(given: argparse.Namespace, of_ros: Sequence[str], show: Callable[[Line], None]) -> list[Line]:
    """All lines, each shown as it is found."""
    from vjepa_ros.doctor.examination import Examination

    name = full_name(given)
    look = None if given.no_graph else _look(given, name, of_ros)
    lines = []
    for line in Examination(given.params, given.settings, name, look, times=not given.no_model).lines():
        show(line)
        lines.append(line)
    return lines


def _look(given: argparse.Namespace, name: str, of_ros: Sequence[str]) -> Callable[..., Any]:
    """What looks at the graph; rclpy is imported only when everything that it needs has been found there."""
    rules: list[str] = []
    for topic in _TOPICS:
        if to := getattr(given, f"topics.{topic}"):
            rows = CAMERAS.values() if topic == "image" else (INPUTS[topic],)
            rules += [f"{row.topic}:={to.removesuffix(row.suffix)}{row.suffix}" for row in rows]
    arguments = [*of_ros, _ROS, *(part for rule in rules for part in ("-r", rule))]

    def look(*what: Any) -> Any:
        from vjepa_ros.ros.looking import Looking

        return Looking(name, given.wait_s, arguments)(*what)

    return look


def _concluded(lines: list[Line], terminal: Terminal, *, as_json: bool) -> int:
    from vjepa_ros.doctor.line import is_well

    well = is_well(lines)
    if as_json:
        said = [{**asdict(line), "remedy": terminal.translated(line.remedy)} for line in lines]
        print(json.dumps({"ok": well, "lines": said}, indent=1))
    else:
        counts = {status: sum(line.status == status for line in lines) for status in ("wrong", "warning")}
        print(f"{counts['wrong']} wrong, {counts['warning']} to look at, of {len(lines)}")
    return DONE if well else FAILED


if __name__ == "__main__":
    sys.exit(main())
