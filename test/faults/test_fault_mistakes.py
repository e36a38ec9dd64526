"""Mistakes of the node's own: what leaves a callback is told once with its traceback and counted; the node goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from support.fault_feed import TOPICS, Feed, at
from support.fault_table import Row
from support.harness import Predictor, Robot
from support.messages import JOINTS, S, image_message, joint_message


@pytest.fixture
def mistaken(tmp_path: Path) -> Iterator[tuple[Predictor, Robot, Callable[[str], None]]]:
    """A node of its own that makes mistakes, and what says which."""
    file, program = tmp_path / "mistake", str(Path(__file__).parents[1] / "support" / "mistaken_node.py")
    file.write_text("none", encoding="utf-8")
    node = Predictor(tmp_path / "log.txt", {"actions.max_wait_s": 10.0}, program=[program, str(file)])
    robot = Robot()
    try:
        yield node, robot, lambda name: (file.write_text(name, encoding="utf-8"), None)[1]
    finally:
        node.process.kill()
        robot.close()


@pytest.mark.fault("mistakes in callbacks")
def test_mistakes(row: Row, mistaken: tuple[Predictor, Robot, Callable[[str], None]]) -> None:
    node, robot, make = mistaken
    clock = robot.create_publisher(Clock, "/clock", 10)
    assert robot.set_parameters(use_sim_time=True)[0][0]
    make("parameter")
    assert robot.set_parameters(seed=3) == [(False, "an error in the node: see its log")]
    make("none")
    robot.start()
    robot.need_listeners(clock)
    make("image")
    for number in range(5):
        robot.images.publish(image_message(at(number), number))
    feed = Feed(robot)
    feed.counted(frames=0, rejected=5, **{"rejected__/image__internal_error": 5})
    make("joints")
    for number in range(3):
        robot.commands.publish(joint_message(at(number), JOINTS, [1.0] * 7))
    feed.counted(commands=0, rejected=8, **{"rejected__/joint_commands__internal_error": 3})
    make("reset")
    assert robot.reset() == (False, "an error in the node: see its log")
    make("timer")
    assert robot.spin(lambda: "a mistake of timer" in node.log)
    make("jump")
    message = Clock()
    message.clock.sec = 100
    clock.publish(message)
    # rclpy keeps one message of /clock, the newest: the next one waits until this one is the node's time.
    robot.need(lambda: robot.diagnosed_ns == 100 * S, "its clock stands still")
    message.clock.sec = 50
    clock.publish(message)
    assert robot.spin(lambda: "a mistake of jump" in node.log)
    make("event")
    best_effort = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    stranger = robot.create_publisher(JointState, "/joint_commands", best_effort)
    assert robot.spin(lambda: "a mistake of event" in node.log)
    make("none")
    robot.destroy_publisher(stranger)
    assert robot.reset()[0]
    feed.both(0, 20)
    assert feed.check() == len(range(16, 21, 2))
    places = {
        "/image": 5,
        "/joint_commands": 3,
        "~/reset": 1,
        "a jump of /clock": 1,
        "set_parameters": 1,
        "a callback": 1,  # of an event
    }
    feed.counted(TOPICS, **{f"internal_errors__{place}": count for place, count in places.items()})
    of_timer = int(robot.diagnostics[TOPICS]["internal_errors /diagnostics"])
    assert of_timer >= 1 and int(robot.diagnostics[TOPICS]["internal_errors"]) == sum(places.values()) + of_timer
    for name in ("image", "joints", "reset", "parameter", "timer", "jump", "event"):
        assert node.log.count(f"IndexError: a mistake of {name}") == 1, "told once"
    assert node.stop() == 0
    row.injected, row.lost = "5 frames, 3 commands, and 6 other callbacks", "these; counted as internal_error"
