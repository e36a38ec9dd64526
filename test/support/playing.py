"""Plays a bag to the node of a :class:`Robot`, from a process of its own, as a recording would be played."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support import recorded
from support.harness import Robot

PLAYER = Path(__file__).resolve().parents[2] / "examples" / "play_bag.py"
RATE = 2.0  # times real time
# A frame may overtake commands by far where two processes share two busy cores; offline it is the same number.
MAX_WAIT_S = 30.0
IMAGE = "/image/compressed"  # where the harness' node listens


def play(robot: Robot, bag: Path, count: int) -> None:
    """Play a bag, and wait for this many windows."""
    topics = [f"{topic}=1" for topic in (IMAGE, recorded.COMMANDS, recorded.STATES)]
    command = [sys.executable, str(PLAYER), str(bag), "--rate", str(RATE), "--wait-for", *topics]
    player = subprocess.Popen(command)
    try:
        assert robot.spin(lambda: player.poll() is not None)
        assert player.returncode == 0
    finally:
        player.kill()
        player.wait()
    robot.spin(lambda: len(robot.windows) >= count and len(robot.predicted) >= count)
    robot.settle()
