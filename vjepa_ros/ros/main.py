"""The executable ``predictor_node``: one node, one single-threaded executor, a clean end."""

from __future__ import annotations

import gc
import os
import sys
import textwrap
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

import rclpy
from rclpy.exceptions import NotInitializedException
from rclpy.executors import ExternalShutdownException
from rclpy.impl.implementation_singleton import rclpy_implementation

from vjepa_ros.config.parameter import Parameter
from vjepa_ros.config.table import TABLE
from vjepa_ros.ros.executor import Executor
from vjepa_ros.ros.last_line import LastLine
from vjepa_ros.ros.signals import Signals

_LAST_WINDOW_S = 1.0  # how long the model may take to end its window; after a signal it is looked at once
_NEVER = 1_000_000_000  # collections of what is new, before one of what is older

_HELP = """\
usage: predictor_node [--help] [--ros-args -p NAME:=VALUE ... --params-file FILE -r FROM:=TO ...]

The lifecycle node vjepa_predictor: camera frames and joint commands in, predicted latents of a V-JEPA 2 model out. It
starts unconfigured:
  ros2 lifecycle set /vjepa_predictor configure
  ros2 lifecycle set /vjepa_predictor activate
The launch file does both: ros2 launch vjepa_ros predictor.launch.py. A file for all parameters: config/predictor.yaml.

parameters, with their defaults:
"""


class Running(Protocol):
    """A node that an executable runs.

    Attributes:
        last_line: takes what callbacks let through.
    """

    last_line: LastLine

    def close(self, timeout_s: float) -> None:
        """End what the node has begun, before it is destroyed; what takes longer than this is left."""

    def destroy_node(self) -> Any:
        """Leave the middleware."""


def main(args: list[str] | None = None, node: Callable[[], Running] | None = None) -> None:
    """Run the node until it is interrupted."""
    if asks_for_help(args):
        print(_HELP + parameter_help(TABLE))
        return
    with Signals().installed() as signals:
        run("predictor_node", args, lambda: _start(node), signals)
    if threading.active_count() > 1:
        # The model is in the middle of a long window. Everything of ROS is closed; a thread that comes back from torch
        # while the interpreter goes down would end the process with an abort.
        with suppress(OSError):  # of a terminal that is gone
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(0)


def asks_for_help(args: list[str] | None) -> bool:
    """Whether the arguments of an executable, or of this process, ask what it does."""
    given = sys.argv[1:] if args is None else args
    return bool({"-h", "--help"} & set(given[: given.index("--ros-args")] if "--ros-args" in given else given))


def run(program: str, args: list[str] | None, start: Callable[[], Running], signals: Signals) -> None:
    """Make a node, and spin until a signal comes.

    Args:
        program: the executable's name.
        args: its arguments; None for those of this process.
        start: makes the node.
        signals: the handlers.
    """
    try:
        rclpy.init(args=args)
    except rclpy_implementation.RCLError as error:
        sys.exit(
            f"{program}: ROS cannot read the arguments: {' '.join(str(error).split())[:1000]}; numbers in a list "
            "must be all whole or all with a point: [1.0, 1.5]"
        )
    node: Running | None = None
    executor: Executor | None = None
    try:
        if not signals.came:  # else it came before rclpy could take note of it
            executor = Executor(lambda: None if node is None else node.last_line)
            signals.wake = executor.wake
            node = start()
            executor.add_node(node)
            executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except (rclpy_implementation.RCLError, NotInitializedException):
        if rclpy.ok():  # else the signal came while the node was made or between two steps of the executor
            raise
    finally:
        signals.close()
        if node is not None:
            node.close(timeout_s=_LAST_WINDOW_S)
        if executor is not None:
            executor.shutdown()
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()


def parameter_help(table: Iterable[Parameter]) -> str:
    """What ``--help`` says of parameters."""
    rows = []
    for row in table:
        default = "the preset's" if row.from_preset else repr(row.default)
        text = f"{row.description}{f' Unit: {row.unit}.' if row.unit else ''} Default: {default}."
        rows.append(f"  {row.name} ({row.kind})\n" + textwrap.indent(textwrap.fill(text, 110), " " * 6))
    return "\n".join(rows)


def _start(node: Callable[[], Running] | None) -> Running:
    """Make the node. Until it is there a hidden one stands in, which needs no torch.

    The middleware makes itself known with the first node, and two processes may take seconds to find each other.
    Importing torch takes a second: done after the first node, it is time that passes anyway.
    """
    stand_in = rclpy.create_node(
        "_vjepa_starting", use_global_arguments=False, enable_rosout=False, start_parameter_services=False
    )
    try:
        if node is not None:
            return node()
        with _kept():
            from vjepa_ros.ros.node import PredictorNode
        return PredictorNode()
    finally:
        stand_in.destroy_node()


@contextmanager
def _kept() -> Iterator[None]:
    """What is made inside stays, some 200,000 objects of torch above all: later nobody looks for garbage among them.

    Meanwhile only what is new is looked through: all that there is, again and again, would take a tenth of the start.
    """
    newest, *older = gc.get_threshold()
    gc.set_threshold(newest, _NEVER)
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(newest, *older)


if __name__ == "__main__":
    main()
