"""Nobody listens, or somebody too slowly: over a node with its own quality of service, queue and waiting time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.fault_feed import MODEL, Feed
from support.fault_table import Row
from support.harness import DEEP, RELIABLE, Predictor, Robot
from support.messages import MS


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Predictor]:
    """The node without what the other tests change of it."""
    defaults = dict.fromkeys((*RELIABLE, *DEEP, "queue", "actions.max_wait_s"))
    process = Predictor(tmp_path_factory.mktemp("predictor") / "log.txt", defaults)
    yield process
    assert process.stop() == 0, process.log
    assert "Traceback" not in process.log


@pytest.mark.fault("no subscriber")
def test_no_subscriber(robot: Robot, row: Row) -> None:
    robot.start()
    robot.do_not_listen()
    feed = Feed(robot, max_wait_ns=200 * MS)
    feed.paced(0, 60)
    want = feed.check(with_latents=False)
    feed.counted(MODEL, done=want, failures=0)
    robot.listen()
    assert robot.spin(lambda: robot.count_subscribers("/vjepa_predictor/predicted_latents") == 1)
    sent = 60
    while not robot.predicted and sent < 200:  # until the new subscriber is known to the node
        feed.paced(sent, 2)
        sent += 2
        robot.settle(0.1)
    feed.check(with_latents=False)
    robot.settle(0.5)
    before = len(robot.predicted)
    feed.paced(sent, 10)
    feed.check(with_latents=False)
    assert robot.spin(lambda: len(robot.predicted) == before + 5)
    row.injected, row.lost = f"none for {want} windows", "nothing else"


SLOW = """
import sys, time, rclpy
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
rclpy.init()
node = rclpy.create_node("slow_planner")
def take(message):
    print("got", flush=True)
    time.sleep(5.0)
node.create_subscription(Image, "/vjepa_predictor/predicted_latents", take, QoSProfile(depth=1))
rclpy.spin(node)
"""


@pytest.mark.fault("a slow subscriber")
def test_a_slow_subscriber(robot: Robot, row: Row, tmp_path: Path) -> None:
    robot.start(latents__steps="all")
    said = tmp_path / "slow.txt"
    with said.open("wb") as out:
        slow = subprocess.Popen([sys.executable, "-c", SLOW], stdout=out)
    try:
        assert robot.spin(lambda: robot.count_subscribers("/vjepa_predictor/predicted_latents") == 2)
        robot.settle(1.5)
        feed = Feed(robot, max_wait_ns=200 * MS)
        feed.paced(0, 100)
        sent = 100
        while "got" not in said.read_text(encoding="utf-8") and sent < 500:  # it may have been discovered late
            feed.paced(sent, 2)
            sent += 2
            robot.settle(0.1)
        windows = feed.check()
        feed.counted(MODEL, done=windows, superseded=0, failures=0)
        slow_got = said.read_text(encoding="utf-8").count("got")
        assert 1 <= slow_got < windows
    finally:
        slow.kill()
        slow.wait()
    row.injected = "a reliable one that takes 5 s per message"
    row.lost = f"its own messages only: another got all {windows} windows"
