"""Plays a bag to the node of a :class:`Robot`, from a process of its own, as a recording would be played."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from support import recorded
from support.harness import Robot

PLAYER = Path(__file__).resolve().parents[2] / "examples" / "play_bag.py"
RATE = 2.0  # times real time
# A frame may overtake commands by far where two processes share two busy cores; offline it is the same number.
MAX_WAIT_S = 30.0
IMAGE = "/image/compressed"  # where the harness' node listens


@contextmanager
def player(robot: Robot, command: Sequence[str], timeout_s: float | None = None) -> Iterator[None]:
    """A process that plays; after what is done meanwhile, it must end well in this time."""
    process = subprocess.Popen(command)
    try:
        yield
        assert robot.spin(lambda: process.poll() is not None, timeout_s)
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()


def play(robot: Robot, bag: Path, count: int) -> None:
    """Play a bag, and wait for this many windows."""
    topics = [f"{topic}=1" for topic in (IMAGE, recorded.COMMANDS, recorded.STATES)]
    command = [sys.executable, str(PLAYER), str(bag), "--rate", str(RATE), "--wait-for", *topics]
    with player(robot, command):
        pass
    robot.spin(lambda: len(robot.windows) >= count and len(robot.predicted) >= count)
    robot.settle()
