"""Faults of those who send: two on one topic, another type, stamps that repeat, a clock that is not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import rclpy
from lifecycle_msgs.msg import Transition
from rclpy.context import Context
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Float64MultiArray
from support.fault_feed import STREAM, TOPICS, Feed, at
from support.fault_table import Row
from support.harness import Predictor, Robot
from support.messages import image_message


def stranger(name: str, kind: type, topic: str) -> tuple[Context, Node]:
    """A node of a participant of its own, which publishes on a topic."""
    context = Context()
    rclpy.init(context=context)
    node = Node(name, context=context)
    node.create_publisher(kind, topic, 10)
    return context, node


@pytest.mark.fault("two senders on one topic")
def test_two_senders(predictor: Predictor, robot: Robot, row: Row) -> None:
    robot.start()
    feed = Feed(robot)
    context, other = stranger("second_camera", Image, "/image")
    try:
        assert robot.spin(lambda: "/robot, /second_camera publish it" in robot.messages.get(TOPICS, ""))
        assert robot.levels[TOPICS] == b"\1"
        assert robot.spin(lambda: "/image: several_senders: /robot, /second_camera publish it" in predictor.log)
        feed.both(0, 20)
        feed.check()
    finally:
        other.destroy_node()
        rclpy.shutdown(context=context)
    assert robot.spin(lambda: robot.levels[TOPICS] == b"\0")
    row.injected = "a second camera, which sends nothing"
    row.lost = "nothing; both nodes and what would happen in the log and /diagnostics"


@pytest.mark.fault("another type on an input")
def test_another_type(predictor: Predictor, robot: Robot, row: Row) -> None:
    robot.start()
    feed = Feed(robot)
    context, other = stranger("forward_controller", Float64MultiArray, "/joint_commands")
    words = "/forward_controller sends std_msgs/msg/Float64MultiArray, this node reads sensor_msgs/msg/JointState"
    try:
        assert robot.spin(lambda: words in robot.messages.get(TOPICS, ""))
        assert robot.spin(lambda: words in predictor.log), predictor.log[-3000:]
        feed.both(0, 20)
        feed.check()
    finally:
        other.destroy_node()
        rclpy.shutdown(context=context)
    assert "set actions.type: Float64MultiArray" in predictor.log
    row.injected, row.lost = "a publisher of Float64MultiArray", "its messages; both types and the parameter to change"


@pytest.mark.fault("frames stamped in whole seconds")
def test_whole_seconds(predictor: Predictor, robot: Robot, row: Row) -> None:
    robot.start()
    feed = Feed(robot)
    for number in range(60):
        message = image_message(at(number // 20 * 20), number)
        if number % 20:
            robot.images.publish(message)
            robot.executor_.spin_once(timeout_sec=0.0)
        else:
            feed.joints(at(number), float(number))
            feed.frame(at(number), number, message)
    feed.counted(STREAM, frames_out_of_order=57, frames_repeated=57, frames=3)
    words = r"WARN.*/image: out_of_order: 57 of 60 frames dropped, stamped at or before the newest.*whole seconds"
    assert robot.spin(lambda: re.search(words, predictor.log) is not None), predictor.log[-3000:]
    feed.both(80, 20)
    want = feed.check(after_ns=at(79))
    row.injected = "57 of 60 frames with the stamp of the one before"
    row.lost = f"these 57, counted, and why in the log; {want} windows after it equal"


@pytest.mark.fault("use_sim_time without /clock")
def test_no_clock(row: Row, tmp_path: Path) -> None:
    predictor = Predictor(tmp_path / "log.txt", {"use_sim_time": True}, ("-r", "__node:=timeless"))
    robot = Robot("/timeless")
    try:
        assert robot.change_state(Transition.TRANSITION_CONFIGURE)
        assert robot.change_state(Transition.TRANSITION_ACTIVATE)
        robot.connect()
        feed = Feed(robot)
        feed.both(0, 20)
        want = feed.check()
        words = "/clock: no_clock: use_sim_time is true and nobody publishes it"
        assert robot.spin(lambda: words in robot.messages.get("/timeless: topics", "")), robot.messages
        assert robot.spin(lambda: words in predictor.log)
        assert "far_clock" not in predictor.log, "a clock that stands at 0 is no clock to compare with"
    finally:
        robot.close()
        assert predictor.stop() == 0, predictor.log
    row.injected, row.lost = "no /clock", f"nothing: {want} windows; said while it lasts"
