"""predictor.launch.py and planner.launch.py: the node that they really start."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy
from lifecycle_msgs.srv import GetState
from rclpy.executors import SingleThreadedExecutor

DEADLINE_S = 60.0  # for a start with imports and model on a busy machine


class Launched:
    """The launch file in a process of its own, watched through a ROS node."""

    def __init__(self, file: Path, log: Path, watcher: Any, executor: SingleThreadedExecutor, *arguments: str) -> None:
        self.log, self.watcher, self.executor = log, watcher, executor
        self.clients: dict[str, Any] = {}
        runner = Path(__file__).parents[1] / "support" / "run_launch.py"
        with log.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(runner), str(file), *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def pids(self) -> list[int]:
        """The node's processes so far, the newest last."""
        return [int(pid) for pid in re.findall(r"process started with pid \[(\d+)\]", self.output())]

    def wait_for(self, what: str, fulfilled: Any) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not fulfilled():
            assert time.monotonic() < deadline, f"{what} did not come about; the log:\n{self.output()}"
            assert self.process.poll() is None, f"launch ended before {what}; the log:\n{self.output()}"
            time.sleep(0.1)

    def state(self, name: str) -> str | None:
        """The node's lifecycle state; None where it does not answer within 1 s."""
        if name not in self.clients:  # kept: what is sent before both sides know each other is lost
            self.clients[name] = self.watcher.create_client(GetState, f"{name}/get_state")
        answer = self.clients[name].call_async(GetState.Request())
        self.executor.spin_until_future_complete(answer, timeout_sec=1.0)
        return str(answer.result().current_state.label) if answer.done() else None

    def wait_for_state(self, state: str, name: str = "/vjepa_predictor") -> None:
        self.wait_for(f"{name} being {state}", lambda: self.state(name) == state)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(timeout=20.0)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def launch(share: Path, tmp_path: Path) -> Iterator[Any]:
    """Start the launch file with these arguments; everything has ended when the test has."""
    context = rclpy.Context()
    rclpy.init(context=context)
    watcher = rclpy.create_node("watcher", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(watcher)
    running: list[Launched] = []

    def start(*arguments: str, file: str = "predictor.launch.py") -> Launched:
        log = tmp_path / f"launch{len(running)}.log"
        running.append(Launched(share / "launch" / file, log, watcher, executor, *arguments))
        return running[-1]

    try:
        yield start
    finally:
        for launched in running:
            try:
                launched.stop()
            finally:
                for pid in (launched.process.pid, *launched.pids()):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
        executor.shutdown()
        watcher.destroy_node()
        rclpy.shutdown(context=context)


def test_the_node_becomes_active_and_ends_on_sigint(launch: Any) -> None:
    launched = launch()
    launched.wait_for_state("active")
    (pid,) = launched.pids()
    assert is_alive(pid)
    launched.stop()
    assert not is_alive(pid)
    assert f"process has finished cleanly [pid {pid}]" in launched.output()
    assert "escalating" not in launched.output()
    assert "Traceback" not in launched.output()


def test_it_becomes_active_under_another_name_in_a_namespace(launch: Any) -> None:
    launched = launch("namespace:=robot1", "node_name:=eyes")
    launched.wait_for_state("active", "/robot1/eyes")
    assert launched.state("/vjepa_predictor") is None


def test_the_node_of_the_planner_plans_and_ends_on_sigint(launch: Any) -> None:
    launched = launch(file="planner.launch.py")
    launched.wait_for_state("active")
    for topic in ("plan", "planner_status"):
        name = f"/vjepa_predictor/{topic}"
        launched.wait_for(f"{name}", lambda name=name: launched.watcher.count_publishers(name) == 1)
    assert launched.watcher.count_publishers("/vjepa_predictor/command") == 0, "nothing said that it may execute"
    (pid,) = launched.pids()
    launched.stop()
    assert not is_alive(pid)
    assert "Traceback" not in launched.output()


def test_without_autostart_it_stays_unconfigured(launch: Any) -> None:
    launched = launch("autostart:=false")
    launched.wait_for_state("unconfigured")
    time.sleep(3.0)  # autostart would have asked several times
    launched.wait_for_state("unconfigured")


def test_a_node_that_refuses_to_configure_is_named_and_stays(launch: Any) -> None:
    launched = launch("preset:=no_such_preset")
    launched.wait_for("an error", lambda: "/vjepa_predictor failed to configure" in launched.output())
    assert "is now unconfigured" in launched.output()
    assert "ros2 lifecycle set /vjepa_predictor configure" in launched.output()
    launched.wait_for_state("unconfigured")


def test_a_killed_node_comes_back_and_becomes_active_again(launch: Any) -> None:
    launched = launch("respawn:=true", "respawn_delay:=0.5")
    launched.wait_for_state("active")
    os.kill(launched.pids()[-1], signal.SIGKILL)
    launched.wait_for("a respawn", lambda: len(launched.pids()) == 2)
    launched.wait_for_state("active")
    assert is_alive(launched.pids()[-1])


def test_without_respawn_launch_ends_with_the_node(launch: Any) -> None:
    launched = launch()
    launched.wait_for_state("active")
    os.kill(launched.pids()[-1], signal.SIGTERM)
    launched.process.wait(timeout=20.0)
    assert len(launched.pids()) == 1
