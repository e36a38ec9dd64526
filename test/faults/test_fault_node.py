"""Faults of the node's surroundings: transitions without end, names."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

import pytest
import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile
from support.fault_feed import TOPICS, Feed
from support.fault_table import Row
from support.harness import Predictor, Robot

CONFIGURE, ACTIVATE = Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE
DEACTIVATE, CLEANUP = Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP


@pytest.mark.fault("deactivate and activate 100 times")
def test_deactivate_and_activate(predictor: Predictor, robot: Robot, row: Row) -> None:
    robot.start()
    client = robot.create_client(ChangeState, "/vjepa_predictor/change_state")
    assert client.wait_for_service(10.0)
    robot.settle(0.2)  # an answer sent before the node knows the client is lost
    before = resources(predictor)
    for _ in range(100):
        for transition in (DEACTIVATE, ACTIVATE):
            answer = client.call_async(ChangeState.Request(transition=Transition(id=transition)))
            assert robot.spin(answer.done) and answer.result().success
    threads, files = resources(predictor)
    assert threads <= before[0] + 2 and files <= before[1] + 5, "nothing is left behind by a round"
    robot.destroy_client(client)
    robot.reactivate()
    robot.windows.clear()
    robot.predicted.clear()
    feed = Feed(robot)
    feed.both(0, 20)
    feed.check()
    row.injected, row.lost = "100 times", "nothing; windows after it equal"


@pytest.mark.timeout(300)
@pytest.mark.fault("1,000 random transitions from 4 threads")
def test_random_transitions(predictor: Predictor, robot: Robot, row: Row) -> None:
    robot.start()
    outcomes: list[bool | None] = []
    threads = [threading.Thread(target=_request, args=(seed, 250, outcomes), daemon=True) for seed in range(4)]
    for thread in threads:
        thread.start()
    end_s, sent = time.monotonic() + 250.0, 0
    while any(thread.is_alive() for thread in threads):
        assert time.monotonic() < end_s, "the requests do not come to an end"
        robot.send_frames(sent, 1)
        sent += 1
        robot.executor_.spin_once(timeout_sec=0.005)
    assert len(outcomes) == 1000 and None not in outcomes, "every request is answered"
    done = outcomes.count(True)
    assert done > 50 and outcomes.count(False) > 50
    assert predictor.process.poll() is None
    meanwhile = len(robot.windows)
    robot.start()
    feed = Feed(robot)
    feed.both(0, 20)
    feed.check()
    row.injected = f"1,000 requests, meanwhile {sent:,} frames with joints"
    row.lost = f"nothing: {done} done, {1000 - done} refused as not possible then; {meanwhile} windows came meanwhile"
    row.lost += "; those after it equal"


def _request(seed: int, count: int, outcomes: list[bool | None]) -> None:
    chance, node, executor = random.Random(seed), rclpy.create_node(f"operator{seed}"), SingleThreadedExecutor()
    executor.add_node(node)
    # All clients of a service hear all answers: with the usual ten places, others' pushed out its own (5 of 1,000).
    client = node.create_client(ChangeState, "/vjepa_predictor/change_state", qos_profile=QoSProfile(depth=1000))
    assert client.wait_for_service(30.0)
    time.sleep(0.5)  # an answer sent before the node knows the client is lost
    for _ in range(count):
        wanted = Transition(id=chance.choice((CONFIGURE, ACTIVATE, ACTIVATE, DEACTIVATE, DEACTIVATE, CLEANUP)))
        answer = client.call_async(ChangeState.Request(transition=wanted))
        executor.spin_until_future_complete(answer, 30.0)
        outcomes.append(answer.result().success if answer.done() else None)
    executor.shutdown()
    node.destroy_node()


@pytest.mark.fault("two nodes of one name")
def test_two_nodes_of_one_name(predictor: Predictor, robot: Robot, row: Row, tmp_path: Path) -> None:
    robot.start()
    assert robot.spin(lambda: robot.levels.get(TOPICS) == b"\0")
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
    assert robot.spin(lambda: robot.levels.get(TOPICS) == b"\0"), robot.diagnostics.get(TOPICS)
    row.injected, row.lost = "a second, unconfigured one", "nothing; a warning while it lasts"


def resources(predictor: Predictor) -> tuple[int, int]:
    """Threads and open files of the node's process."""
    process = Path(f"/proc/{predictor.process.pid}")
    return len(list((process / "task").iterdir())), len(list((process / "fd").iterdir()))
