"""What the executable does before its node is there: it is known to the middleware, and a signal ends it cleanly."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from support.harness import parameter_arguments
from support.messages import JOINTS

from vjepa_ros.config.table import TABLE

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


def test_what_it_imports_is_never_looked_through_for_garbage_again() -> None:
    """The node is imported in the middle of `main`; here another stands in its place, and says what it finds."""
    lines = """
import gc, sys, types
from vjepa_ros.ros.main import main

class Module(types.ModuleType):
    def __getattr__(self, name):  # it is asked for the class
        print(gc.isenabled(), gc.get_freeze_count(), gc.get_threshold()[0] == before[0], gc.get_threshold()[1] > 10**6)
        return make

def make():
    print(gc.isenabled(), gc.get_freeze_count() > 10_000, gc.get_threshold() == before)
    raise KeyboardInterrupt

before = gc.get_threshold()
sys.modules["vjepa_ros.ros.node"] = Module("vjepa_ros.ros.node")
main(args=[])
"""
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.splitlines()[-2:]) == (0, ["True 0 True True", "True True True"]), done.stderr


def test_an_active_node_without_a_planner_has_imported_none() -> None:
    lines = """
import sys, rclpy
from vjepa_ros.ros.node import PredictorNode
rclpy.init(args=["--ros-args", *sys.argv[1:]])
node = PredictorNode()
node.trigger_configure()
node.trigger_activate()
print(node.state_label)
print(*sorted(name for name in sys.modules if name.split(".")[0] in ("vjepa_ros", "geometry_msgs", "trajectory_msgs")))
node.close()
node.destroy_node()
rclpy.shutdown()
"""
    command = [sys.executable, "-c", lines, *parameter_arguments({"joint_names": JOINTS, "device": "cpu"})]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    state, modules = done.stdout.splitlines()
    imported = set(modules.split())
    assert state == "active" and "vjepa_ros.planning.questions" in imported
    assert not {"vjepa_ros.ros.planner", "vjepa_ros.planning.planner", "vjepa_ros.planning.solvers"} & imported
    assert not {"geometry_msgs", "trajectory_msgs"} & imported, "messages of planners alone"


def alone(lines: str) -> None:
    """Run this in a process of its own, which its signals may end: `raised(number)` is whether one raises."""
    done = subprocess.run([sys.executable, "-c", SIGNALS + lines], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "to the end\n"), done.stderr


SIGNALS = """
from signal import SIG_IGN, SIGINT, SIGTERM, getsignal, raise_signal
from vjepa_ros.ros import signals

now_s = 100.0
signals.time.monotonic = lambda: now_s

def raised(number):
    try:
        raise_signal(number)
    except KeyboardInterrupt:
        return True
    return False
"""


def test_only_an_interrupt_long_after_the_first_raises() -> None:
    """Python's own handler would raise in the middle of whatever the main thread does."""
    alone("""
with signals.Signals().installed() as taken:
    assert not any(map(raised, (SIGINT, SIGINT, SIGTERM, SIGINT)))
    now_s += signals.TOGETHER_S + 0.01
    assert not raised(SIGTERM)
    assert raised(SIGINT)
    assert not raised(SIGINT)
    assert taken.came
assert not raised(SIGINT)  # the process is at its end
assert getsignal(SIGINT) == SIG_IGN
print("to the end")
""")


def test_nothing_raises_while_the_node_is_closed() -> None:
    alone("""
with signals.Signals().installed() as taken:
    assert not raised(SIGINT)
    taken.close()
    now_s += 10.0
    assert not raised(SIGINT)
print("to the end")
""")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_whose_wake_was_missed_ends_it_too(number: int) -> None:
    """rclpy wakes the executor before it ends the context: here, with its guard condition replaced, never."""
    lines = f"""
import os, signal, threading
import rclpy.executors
from rclpy.guard_condition import GuardCondition
from vjepa_ros.ros import main, signals
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever has started the tests

class Bare(rclpy.node.Node):
    last_line = None
    def __init__(self):
        super().__init__("bare")
        threading.Timer(0.5, os.kill, [os.getpid(), {int(number)}]).start()
    def close(self, timeout_s):
        print("to the end")

rclpy.executors.SignalHandlerGuardCondition = lambda context: GuardCondition(None, None, context)
with signals.Signals().installed() as taken:
    main.run("bare", [], Bare, taken)
"""
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "to the end\n"), done.stderr


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
