"""What the executable does before its node is there: it is known to the middleware, and a signal ends it cleanly."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from vjepa_ros.config.table import TABLE
from vjepa_ros.ros import signals

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


@pytest.fixture
def handlers() -> Iterator[None]:
    """The process's own handlers again afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_only_an_interrupt_long_after_the_first_raises(handlers: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's own handler would raise in the middle of whatever the main thread does."""
    now_s = 100.0
    monkeypatch.setattr(signals.time, "monotonic", lambda: now_s)
    with signals.Signals().installed() as taken:
        for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGINT):
            signal.raise_signal(number)
        now_s += signals.TOGETHER_S + 0.01
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert taken.came
    signal.raise_signal(signal.SIGINT)  # the process is at its end
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN


def test_nothing_raises_while_the_node_is_closed(handlers: None, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr(signals.time, "monotonic", lambda: now_s)
    with signals.Signals().installed() as taken:
        signal.raise_signal(signal.SIGINT)
        taken.close()
        now_s += 10.0
        signal.raise_signal(signal.SIGINT)


def test_help_says_how_it_is_started_and_what_can_be_set() -> None:
    command = [sys.executable, "-m", "vjepa_ros.ros.main"]
    for option in ("--help", "-h"):
        done = subprocess.run([*command, option], capture_output=True, text=True, timeout=60, check=True)
        assert done.stdout.startswith("usage: predictor_node") and done.stderr == ""
        assert all(f"\n  {row.name} ({row.kind})\n" in done.stdout for row in TABLE)


def test_arguments_that_ros_cannot_read_are_one_sentence() -> None:
    command = [sys.executable, "-m", "vjepa_ros.ros.main", "--ros-args"]
    for value in ("[1, 1.5]", "[a, 1]", ""):
        done = subprocess.run([*command, "-p", f"actions.scale:={value}"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert "predictor_node: ROS cannot read the arguments" in done.stderr
