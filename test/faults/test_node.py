"""Faults of the node's surroundings: transitions without end, signals, names."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import rclpy
from faults.feed import TOPICS, Feed
from faults.table import Row
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import SingleThreadedExecutor
from ros.harness import Predictor, Robot

CONFIGURE, ACTIVATE = Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE
DEACTIVATE, CLEANUP = Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP
FAULTY = str(Path(__file__).with_name("faulty.py"))
SHARED_MEMORY = Path("/dev/shm")


@pytest.mark.fault("deactivate and activate 100 times")
def test_deactivate_and_activate(predictor: Predictor, robot: Robot, row: Row) -> None:
    robot.start()
    client = robot.create_client(ChangeState, "/vjepa_predictor/change_state")
    assert client.wait_for_service(10.0)
    before = resources(predictor)
    for _ in range(100):
        for transition in (DEACTIVATE, ACTIVATE):
            answer = client.call_async(ChangeState.Request(transition=Transition(id=transition)))
            assert robot.spin(answer.done) and answer.result().success
    threads, files = resources(predictor)
    assert threads <= before[0] + 2 and files <= before[1] + 5, "nothing is left behind by a round"
    robot.destroy_client(client)
    robot.connect()
    robot.windows.clear()
    robot.predicted.clear()
    feed = Feed(robot)
    feed.both(0, 20)
    feed.check()
    row.injected, row.lost = "100 times", "nothing"


@pytest.mark.fault("1,000 random transitions from 4 threads")
def test_random_transitions(predictor: Predictor, robot: Robot, row: Row) -> None:
    robot.start()
    outcomes: list[bool | None] = []
    threads = [threading.Thread(target=_request, args=(seed, 250, outcomes)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100.0)
        assert not thread.is_alive()
    assert len(outcomes) == 1000 and None not in outcomes, "every request is answered"
    done = outcomes.count(True)
    assert done > 50 and outcomes.count(False) > 50
    assert predictor.process.poll() is None
    robot.start()
    feed = Feed(robot)
    feed.both(0, 20)
    feed.check()
    row.injected, row.lost = "1,000 requests", f"nothing: {done} done, {1000 - done} refused as not possible then"


def _request(seed: int, count: int, outcomes: list[bool | None]) -> None:
    chance, node, executor = random.Random(seed), rclpy.create_node(f"operator{seed}"), SingleThreadedExecutor()
    executor.add_node(node)
    client = node.create_client(ChangeState, "/vjepa_predictor/change_state")
    client.wait_for_service(10.0)
    for _ in range(count):
        wanted = Transition(id=chance.choice((CONFIGURE, ACTIVATE, ACTIVATE, DEACTIVATE, DEACTIVATE, CLEANUP)))
        answer = client.call_async(ChangeState.Request(transition=wanted))
        executor.spin_until_future_complete(answer, 20.0)
        outcomes.append(answer.result().success if answer.done() else None)
    executor.shutdown()
    node.destroy_node()


@pytest.mark.fault("two nodes of one name")
def test_two_nodes_of_one_name(predictor: Predictor, robot: Robot, row: Row, tmp_path: Path) -> None:
    robot.start()
    robot.settle(1.2)
    assert robot.levels[TOPICS] == b"\0"
    second = Predictor(tmp_path / "second.txt")
    try:
        feed = Feed(robot)
        assert robot.spin(lambda: robot.levels.get(TOPICS) == b"\1")
        assert robot.diagnostics[TOPICS]["namesakes"] == "1"
        assert robot.spin(lambda: "other nodes have this name" in predictor.log)
        feed.both(0, 20)
        feed.check()
    finally:
        assert second.stop() == 0, second.log
    robot.levels.clear()
    assert robot.spin(lambda: robot.levels.get(TOPICS) == b"\0")
    row.injected, row.lost = "a second, unconfigured one", "nothing; a warning while it lasts"


@contextmanager
def in_a_long_window(tmp_path: Path, **parameters: object) -> Iterator[tuple[Predictor, Robot]]:
    """The active node, at the beginning of a window that takes four seconds."""
    predictor = Predictor(tmp_path / "log.txt", dict(parameters), program=[FAULTY, "endless"])
    robot = Robot()
    try:
        robot.start()
        robot.send_frames(0, 60)
        assert robot.spin(lambda: "a long window begins" in predictor.log)
        yield predictor, robot
    finally:
        predictor.process.kill()
        robot.executor_.shutdown()
        robot.destroy_node()


@pytest.mark.parametrize(
    ("signal_", "queue"),
    [
        pytest.param(signal.SIGINT, "all", marks=pytest.mark.fault("SIGINT in the middle of an inference")),
        pytest.param(signal.SIGTERM, "latest", marks=pytest.mark.fault("SIGTERM in the middle of an inference")),
    ],
)
def test_signals(row: Row, tmp_path: Path, signal_: int, queue: str) -> None:
    """With ``all`` and one place in the queue the callbacks wait for the model when the signal comes."""
    with in_a_long_window(tmp_path, queue=queue, queue_size=1) as (predictor, _):
        made = segments(predictor.process.pid)
        assert made, "it talks through shared memory"
        started_s = time.monotonic()
        predictor.process.send_signal(signal_)
        assert predictor.process.wait(10.0) == 0, predictor.log
        took_s = time.monotonic() - started_s
        assert took_s < 2.0, predictor.log
        assert "Traceback" not in predictor.log and "terminate called" not in predictor.log
        assert [path.name for path in made if path.exists()] == []
    row.injected, row.lost = (
        "in a window of 4 s",
        f"that window; ended with 0 after {took_s:.1f} s, no shared memory left",
    )


def segments(pid: int) -> list[Path]:
    """Shared memory of a process that no other one has mapped."""

    def mapped(process: str) -> set[str]:
        try:
            lines = Path(f"/proc/{process}/maps").read_text(encoding="utf-8").splitlines()
        except OSError:  # it has ended, or is not ours
            return set()
        return {line.split()[5] for line in lines if str(SHARED_MEMORY) in line}

    others = {
        name for process in os.listdir("/proc") if process.isdigit() and process != str(pid) for name in mapped(process)
    }
    names = mapped(str(pid)) - others
    return [Path(name + suffix) for name in sorted(names) for suffix in ("", "_el") if Path(name + suffix).exists()]


def resources(predictor: Predictor) -> tuple[int, int]:
    """Threads and open files of the node's process."""
    process = Path(f"/proc/{predictor.process.pid}")
    return len(list((process / "task").iterdir())), len(list((process / "fd").iterdir()))
