"""Faults of joint commands, and of who publishes them."""

from __future__ import annotations

import numpy as np
import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image, JointState
from support.fault_feed import STREAM, TOPICS, Feed, at
from support.fault_table import Row
from support.harness import Predictor, Robot
from support.messages import JOINTS, MS, image_message, joint_message

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
        robot.commands.publish(joint_message(at(number) + MS, JOINTS[:6], [0.0] * 7))
        robot.commands.publish(joint_message(at(number) + MS, JOINTS, [0.0] * 8))
        robot.commands.publish(joint_message(at(number) + MS, JOINTS, []))
        robot.commands.publish(joint_message(at(number) + MS, [], [0.0] * 7))
        feed.frame(at(number), number)
    windows = feed.check()
    feed.counted(commands=40, windows=windows, rejected=160)
    row.injected, row.lost = "160 among 40 good ones", "the 160"


@pytest.mark.fault("arm, gripper and another arm in messages of their own")
def test_joints_in_messages_of_their_own(predictor: Predictor, robot: Robot, row: Row) -> None:
    """The last joint comes at another rate, and another arm sends on the same topics; the windows are the oracle's."""
    robot.start()
    feed = Feed(robot)
    arm, gripper, others = JOINTS[:6], JOINTS[6:], [f"other_{number}" for number in range(7)]
    foreign = 0
    for number in range(60):
        parts = [(arm, at(number))] + ([(gripper, at(number) - 7 * MS)] if number % 3 == 0 else [])
        for names, stamp_ns in parts:
            values = number + 0.01 * np.arange(len(names))
            robot.commands.publish(joint_message(stamp_ns, names, list(values)))
            robot.states.publish(joint_message(stamp_ns, [*reversed(names), "wheel"], [*reversed(-values), 9.0]))
            whole = np.full(7, np.nan)
            whole[[JOINTS.index(name) for name in names]] = values
            feed.commands.append((stamp_ns, whole))
            feed.states.append((stamp_ns, -whole))
        for publisher in (robot.commands, robot.states):
            publisher.publish(joint_message(at(number), others, [9.0] * 7))
            foreign += 1
        feed.frame(at(number), number)
    late_ns = at(60)  # after the last step, so that no window waits
    for publisher in (robot.commands, robot.states):
        publisher.publish(joint_message(late_ns, JOINTS, [0.0] * 7))
    for sent in (feed.commands, feed.states):
        sent.append((late_ns, np.zeros(7)))
    windows = feed.check()
    feed.counted(commands=81, windows=windows, foreign=foreign, rejected=0, late=0)
    assert "missing_joints" not in predictor.log
    row.injected, row.lost = f"162 messages of a part of the joints, {foreign} of others", "nothing"


@pytest.mark.fault("a joint that never comes")
def test_a_joint_that_never_comes(predictor: Predictor, robot: Robot, row: Row) -> None:
    robot.start(actions__max_wait_s=0.2)
    for number in range(40):
        robot.commands.publish(joint_message(at(number), JOINTS[:6], [0.0] * 6))
        robot.states.publish(joint_message(at(number), JOINTS, [0.0] * 7))
        robot.images.publish(image_message(at(number), number))
        robot.executor_.spin_once(timeout_sec=0.0)
    said = "/joint_commands: missing_joints: no message so far has a value of 'panda_joint7'; those that came are about"
    assert robot.spin(lambda: said in predictor.log), predictor.log
    assert robot.spin(lambda: int(robot.diagnostics.get(STREAM, {}).get("windows_skipped", 0)) >= 10)
    Feed(robot).counted(commands=40, rejected=0, windows=0)
    skipped = int(robot.diagnostics[STREAM]["windows_skipped"])
    row.injected, row.lost = "40 commands without the last joint", f"{skipped} windows, skipped; the joint is named"


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
        # /diagnostics says it in the message of the status, for as long as it lasts.
        assert robot.spin(lambda words=words: all(word in robot.messages.get(TOPICS, "") for word in words))
    feed.both(0, 20)
    feed.check()
    robot.destroy_publisher(publisher)
    robot.destroy_subscription(subscription)
    robot.levels.clear()
    assert robot.spin(lambda: robot.levels.get(TOPICS) == b"\0"), predictor.log
    assert "incompatible_qos" not in robot.messages[TOPICS]
    row.injected, row.lost = "a publisher, a subscriber", "their messages; both profiles in the log and /diagnostics"
