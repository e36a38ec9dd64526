"""What the executable does before its node is there: it is known to the middleware, and a signal ends it cleanly."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from vjepa_ros.ros import main

PROGRAM = """
import rclpy
from vjepa_ros.ros.main import main
from vjepa_ros.ros.node import PredictorNode

def make():
    {body}

main(args=[], node=make)
print("ended", rclpy.ok())
"""


def run(body: str) -> subprocess.CompletedProcess[str]:
    """The executable in a process of its own, with another way to make its node."""
    command = [sys.executable, "-c", PROGRAM.format(body=body)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_hidden_node_stands_in_until_the_node_is_there() -> None:
    # The interrupt is a signal's, while torch is imported.
    done = run("print('_vjepa_starting' in rclpy.create_node('probe').get_node_names()); raise KeyboardInterrupt")
    assert (done.returncode, done.stdout) == (0, "True\nended False\n"), done.stderr


def test_it_ends_without_an_error_when_a_signal_comes_before_the_node_is_made() -> None:
    done = run("rclpy.shutdown(); return PredictorNode()")  # rclpy does the same at SIGTERM
    assert (done.returncode, done.stdout) == (0, "ended False\n"), done.stderr


def test_what_goes_wrong_otherwise_is_not_hidden() -> None:
    done = run("raise ValueError('a bug')")
    assert done.returncode == 1
    assert "ValueError: a bug" in done.stderr


def test_the_first_interrupt_raises_nothing_and_the_second_does() -> None:
    """Python's own handler would raise in the middle of whatever the main thread does."""
    before = signal.getsignal(signal.SIGINT)
    try:
        signal.signal(signal.SIGINT, main._on_interrupt)
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
