"""Faults of joint commands, and of who publishes and subscribes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from faults.feed import MODEL, TOPICS, Feed, at
from faults.table import Row
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from ros.harness import JOINTS, MS, Predictor, Robot, joint_message
from sensor_msgs.msg import Image, JointState

TOPIC = "/joint_commands"


@pytest.mark.fault("NaN and infinite commands")
def test_not_finite_commands(robot: Robot, row: Row) -> None:
    robot.start()
    feed = Feed(robot)
    for number in range(40):
        feed.joints(at(number), float(number))
        for value in (float("nan"), float("inf"), float("-inf")):
            robot.commands.publish(joint_message(at(number) + MS, JOINTS, [0.0] * 6 + [value]))
        feed.frame(at(number), number)
    windows = feed.check()
    feed.counted(commands=40, windows=windows, **{f"rejected__{TOPIC}__not_finite": 120})
    row.injected, row.lost = "120 among 40 good ones", "the 120"


@pytest.mark.fault("wrong number of joints")
def test_wrong_number_of_joints(robot: Robot, row: Row) -> None:
    robot.start()
    feed = Feed(robot)
    for number in range(40):
        feed.joints(at(number), float(number))
        robot.commands.publish(joint_message(at(number) + MS, JOINTS[:6], [0.0] * 6))
        robot.commands.publish(joint_message(at(number) + MS, JOINTS, [0.0] * 8))
        robot.commands.publish(joint_message(at(number) + MS, JOINTS, []))
        robot.commands.publish(joint_message(at(number) + MS, [], [0.0] * 7))
        feed.frame(at(number), number)
    windows = feed.check()
    feed.counted(commands=40, windows=windows, rejected=160)
    row.injected, row.lost = "160 among 40 good ones", "the 160"


@pytest.mark.fault("commands stop for a second")
def test_commands_stop(robot: Robot, row: Row) -> None:
    robot.start(actions__timeout_s=0.5)
    feed = Feed(robot, timeout_ns=500 * MS)
    for number in range(100):
        feed.joints(at(number), float(number), command=not 40 <= number < 60)
        feed.frame(at(number), number)
    windows = feed.check()
    skipped = len(range(16, 101, 2)) - windows
    assert skipped > 0
    feed.counted(windows=windows, windows_skipped=skipped, late=0)
    row.injected, row.lost = "1 s without commands, timeout 0.5 s", f"{skipped} windows, skipped and counted"
    robot.start(actions__timeout_s=1.0)


@pytest.mark.fault("QoS mismatch")
def test_mismatch_of_quality_of_service(predictor: Predictor, robot: Robot, row: Row) -> None:
    robot.start()
    best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    publisher = robot.create_publisher(JointState, "/joint_commands", best_effort)
    subscription = robot.create_subscription(Image, "/vjepa_predictor/predicted_latents", lambda _: None, latched)
    topics = ("/joint_commands", "/vjepa_predictor/predicted_latents")
    feed = Feed(robot)
    feed.counted(TOPICS, incompatible_qos=2, **{f"incompatible_qos__{topic}": 1 for topic in topics})
    assert robot.levels[TOPICS] == b"\1"
    ours = "this node has reliable, volatile, "
    for topic, theirs in (
        (topics[0], "/robot publishes best effort, volatile, "),
        (topics[1], "/robot subscribes reliable, transient local, "),
    ):
        words = (f"{topic}: incompatible_qos: ", theirs, ours)
        assert robot.spin(
            lambda words=words: any(all(word in line for word in words) for line in predictor.log.splitlines())
        ), predictor.log
    feed.both(0, 20)
    feed.check()
    robot.destroy_publisher(publisher)
    robot.destroy_subscription(subscription)
    robot.levels.clear()
    assert robot.spin(lambda: robot.levels.get(TOPICS) == b"\0"), predictor.log
    row.injected, row.lost = "a publisher, a subscriber", "their messages; both profiles in the log and /diagnostics"


@pytest.mark.fault("no subscriber")
def test_no_subscriber(robot: Robot, row: Row) -> None:
    robot.start()
    predicted = next(s for s in robot.subscriptions if s.topic_name.endswith("predicted_latents"))
    robot.destroy_subscription(predicted)
    feed = Feed(robot)
    feed.both(0, 60)
    want = feed.check(with_latents=False)
    feed.counted(MODEL, done=want, failures=0)
    robot.create_subscription(
        Image, "/vjepa_predictor/predicted_latents", robot.predicted.append, QoSProfile(depth=1000)
    )
    assert robot.spin(lambda: robot.count_subscribers("/vjepa_predictor/predicted_latents") == 1)
    sent = 60
    while not robot.predicted and sent < 200:  # until the new subscriber is known to the node
        feed.both(sent, 2)
        sent += 2
        robot.settle(0.1)
    feed.check(with_latents=False)
    robot.settle(0.5)
    before = len(robot.predicted)
    feed.both(sent, 10)
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
        feed = Feed(robot)
        feed.both(0, 100)
        sent = 100
        while "got" not in said.read_text(encoding="utf-8") and sent < 500:  # it may have been discovered late
            feed.both(sent, 2)
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
    robot.start(latents__steps="forecast")
