"""Who sends to the node: several, somebody another type, nobody, or on a topic that nearly has the name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import rclpy
from lifecycle_msgs.msg import Transition
from rclpy.context import Context
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Float64MultiArray
from support.harness import Predictor, Robot
from support.messages import JOINTS, MS, T0_NS, image_message, joint_message

TOPICS, STREAM, CLOCKS = (f"/vjepa_predictor: {part}" for part in ("topics", "stream", "clocks"))
WARN, OK = b"\1", b"\0"


@contextmanager
def stranger(name: str, namespace: str = "/") -> Iterator[Node]:
    """A node of another participant: one may not have two types on a topic."""
    context = Context()
    rclpy.init(context=context)
    node = Node(name, namespace=namespace, context=context)
    try:
        yield node
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)


def said(robot: Robot, predictor: Predictor, *words: str, status: str = TOPICS) -> bool:
    """Whether the log and the status both say something, as a warning."""

    def agree() -> bool:
        text = robot.messages.get(status, "")
        return robot.levels.get(status) == WARN and all(word in text for word in words)

    def logged() -> bool:
        warned = [line for line in predictor.log.splitlines() if "[WARN]" in line]
        return any(all(word in line for word in words) for line in warned)

    return robot.spin(agree, 15.0) and robot.spin(logged, 15.0)


def over(robot: Robot) -> bool:
    """Whether nothing is wrong with the topics any more."""
    return robot.spin(lambda: robot.levels.get(TOPICS) == OK, 15.0)


@pytest.mark.parametrize(
    ("kind", "topic", "what"),
    [
        (Image, "/image", "mixed into one window"),
        (JointState, "/joint_commands", "newest command of any of them counts"),
        (JointState, "/joint_states", "newest message of any of them counts"),
    ],
)
def test_two_senders_are_named(predictor: Predictor, robot: Robot, kind: Any, topic: str, what: str) -> None:
    robot.start()
    assert over(robot)
    with stranger("second", "/left") as other:
        other.create_publisher(kind, topic, 10)
        assert said(robot, predictor, topic, "several_senders", "/robot", "/left/second", what), predictor.log[-3000:]
        assert robot.diagnostics[TOPICS][f"senders {topic}"] == "2"
    assert over(robot)


def test_an_arm_and_its_gripper_on_one_topic_are_no_two_senders_of_one_thing(
    predictor: Predictor, robot: Robot
) -> None:
    robot.start()
    before = predictor.log.count("several_senders")
    with stranger("gripper_driver") as other:
        grippers = other.create_publisher(JointState, "/joint_states", 10)
        assert robot.spin(lambda: robot.diagnostics.get(TOPICS, {}).get("senders /joint_states") == "2")
        for index in range(12):
            robot.states.publish(joint_message(T0_NS + index * 10 * MS, JOINTS, [0.0] * 7))
            grippers.publish(joint_message(T0_NS + index * 10 * MS, ["finger_1", "finger_2"], [0.0] * 2))
            robot.settle(0.02)
        robot.settle(3.5)
        assert robot.levels[TOPICS] == OK
        assert predictor.log.count("several_senders") == before


def test_another_type_is_named_with_the_parameter_that_reads_it(predictor: Predictor, robot: Robot) -> None:
    robot.start()
    with stranger("forward_controller") as other:
        other.create_publisher(Float64MultiArray, "/joint_commands", 10)
        words = ("/joint_commands", "other_type", "/forward_controller", "std_msgs/msg/Float64MultiArray")
        reads = ("sensor_msgs/msg/JointState", "set actions.type: Float64MultiArray")
        assert said(robot, predictor, *words, *reads), predictor.log[-3000:]
    assert over(robot)
    with stranger("camera") as other:
        other.create_publisher(CompressedImage, "/image", 10)
        assert said(robot, predictor, "/image", "/camera sends sensor_msgs/msg/CompressedImage", "image_transport")
    assert over(robot)


def test_nobody_sends_and_somebody_nearly_does(tmp_path: Any, predictor: Predictor, robot: Robot) -> None:
    remaps = {"image": "/camera/image_raw", "joint_commands": "/arm/joint_command", "joint_states": "/states"}
    arguments = ("-r", "__node:=lonely", *(word for pair in remaps.items() for word in ("-r", "{}:={}".format(*pair))))
    lonely = Predictor(tmp_path / "lonely.txt", arguments=arguments)
    robot.put_back()
    other = Robot("/lonely", "/elsewhere")
    try:
        assert other.change_state(Transition.TRANSITION_CONFIGURE) and other.change_state(
            Transition.TRANSITION_ACTIVATE
        )
        with stranger("driver", "/arm") as driver:
            driver.create_publisher(CompressedImage, "/camera/image_raw/compressed", 10)
            driver.create_publisher(JointState, "/arm/joint_commands", 10)

            def names() -> bool:
                text = other.messages.get("/lonely: topics", "")
                compressed = "there is /camera/image_raw/compressed (sensor_msgs/msg/CompressedImage)"
                commands = (
                    "remap joint_commands:=/arm/joint_commands (launch: joint_commands_topic:=/arm/joint_commands)"
                )
                return all(
                    words in text
                    for words in (
                        "/camera/image_raw: no_sender", compressed, "set image_transport: compressed",
                        "/arm/joint_command: no_sender", commands, "/states: no_sender",
                    )
                )  # fmt: skip

            assert other.spin(names, 20.0), (other.messages, lonely.log[-3000:])
        words = "no_sender: nobody publishes sensor_msgs/msg/JointState there"
        assert other.spin(lambda: words in lonely.log), lonely.log[-3000:]
    finally:
        other.close()
        assert lonely.stop() == 0, lonely.log


def test_cameras_that_alternate_are_named(predictor: Predictor, robot: Robot) -> None:
    robot.start()
    for index in range(12):
        message = image_message(T0_NS + index * 50 * MS, index)
        message.header.frame_id = ("left", "right")[index % 2]
        robot.images.publish(message)
    words = ("/image", "frame_id goes back and forth", "'left'", "'right'", "more than one camera")
    assert said(robot, predictor, *words, status=CLOCKS), predictor.log[-3000:]


def test_frames_that_are_dropped_for_their_stamps_are_counted_where_people_look(
    predictor: Predictor, robot: Robot
) -> None:
    robot.start()
    for index in range(60):  # 20 Hz, stamped in whole seconds
        robot.images.publish(image_message(T0_NS + index // 20 * 1000 * MS, index))
    assert robot.spin(lambda: robot.diagnostics.get(STREAM, {}).get("frames_repeated") == "57")
    assert robot.diagnostics[STREAM]["frames_out_of_order"] == "57"
    words = "/image: out_of_order: 57 of 60 frames dropped"
    assert robot.spin(lambda: words in predictor.log, 10.0)
    assert robot.diagnostics[CLOCKS]["dropped /image"] == "57"


def test_a_camera_of_another_clock_is_said_once(predictor: Predictor, robot: Robot) -> None:
    """Simulated stamps, ``use_sim_time`` forgotten, and commands that have no stamp."""
    robot.stop()
    robot.command_by(Float64MultiArray)
    robot.settle(5.5)  # a line of the test before may be as old as that before the same may be said again
    robot.start(actions__type="Float64MultiArray")
    before = predictor.log.count("far_clock")
    for index in range(40):
        robot.commands.publish(Float64MultiArray(data=[0.0] * 7))
        robot.images.publish(image_message(12_000 * MS + index * 50 * MS, index))
        robot.settle(0.02)
    words = ("/image", "behind the node's clock", "use_sim_time: true")
    assert said(robot, predictor, *words, status=CLOCKS), predictor.log[-3000:]
    assert predictor.log.count("far_clock") == before + 1


def test_two_cameras_whose_clocks_differ_reset_everything_and_the_log_says_so_seldom(
    predictor: Predictor, robot: Robot
) -> None:
    robot.start()
    before = predictor.log.count("time_jumped_back")
    for index in range(60):
        robot.images.publish(image_message(T0_NS + index * 50 * MS + (index % 2) * 10_000 * MS, index))
    assert robot.spin(lambda: int(robot.diagnostics.get(CLOCKS, {}).get("time_jumps_back", 0)) >= 29)
    lines = [line for line in predictor.log.splitlines() if "time_jumped_back" in line][before:]
    assert 1 <= len(lines) <= 3
    assert "/image: time_jumped_back: reset (time jumped back in the stamps): epoch" in lines[0]
    assert "from 1700000010.050000000 to 1700000000.100000000, 9.950 s back" in lines[0]
