"""The doctor's look at the graph: real publishers, for each thing that can be wrong with a topic."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Float64MultiArray
from support.messages import JOINTS, S, image_message, joint_message, rgb8, stamped

from vjepa_ros.config.node import NodeConfig, resolve
from vjepa_ros.doctor.line import Line
from vjepa_ros.ros import graph
from vjepa_ros.ros.looking import Looking

IMAGE, COMMANDS, STATES = "/image", "/joint_commands", "/joint_states"
PERIOD_S = 0.01
BEST_EFFORT = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)


def joints(number: int, now_ns: int) -> JointState:
    return joint_message(now_ns, JOINTS, [0.01 * number] * 7)


def image(number: int, now_ns: int) -> Image:
    return image_message(now_ns, number)


Make = Callable[[int, int], Any]
ALL: dict[str, tuple[type, Make]] = {
    IMAGE: (Image, image), COMMANDS: (JointState, joints), STATES: (JointState, joints),
}  # fmt: skip


@contextmanager
def robot_that_sends(
    topics: dict[str, tuple[type, Make]] = ALL,
    qos: QoSProfile | int = 100,
    name: str = "robot",
    every: dict[str, int] | None = None,
) -> Iterator[Node]:
    """A robot that publishes all the time in a thread of its own; each message is (number, now in ns) -> message.

    With ``every`` a topic gets one message of so many turns only.
    """
    context = rclpy.Context()
    rclpy.init(context=context)
    node = Node(name, context=context)
    publishers = {topic: node.create_publisher(kind, topic, qos) for topic, (kind, _) in topics.items()}
    ended = threading.Event()

    def run() -> None:
        number = 0
        while not ended.wait(PERIOD_S):
            for topic, (_, make) in topics.items():
                if number % (every or {}).get(topic, 1) == 0:
                    publishers[topic].publish(make(number, time.time_ns()))
            number += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield node
    finally:
        ended.set()
        thread.join()
        node.destroy_node()
        rclpy.shutdown(context=context)


def config(**values: Any) -> NodeConfig:
    given = {"joint_names": JOINTS, "device": "cpu", "frame_rate": 4.0, "actions.max_wait_s": 0.2} | values
    return resolve({name.replace("__", "."): value for name, value in given.items()})


def look(
    given: NodeConfig | None = None,
    *,
    node: str = "/vjepa_predictor",
    wait_s: float = 20.0,
    of_ros: Any = None,
    **how: Any,
) -> dict[str, list[Line]]:
    """What is said, by subject."""
    found: dict[str, list[Line]] = {}
    for line in Looking(node, wait_s, **how)(given or config(), of_ros or {}):
        found.setdefault(line.subject, []).append(line)
    return found


def looked_again_until(
    fulfilled: Callable[[dict[str, list[Line]]], bool], given: NodeConfig | None = None, **how: Any
) -> dict[str, list[Line]]:
    """What is said as soon as it is so; looked again where something was not discovered, or stalled, for a while.

    Raises:
        AssertionError: where it never is.
    """
    for _ in range(4):
        if fulfilled(found := look(given, **how)):
            return found
    raise AssertionError(found)


def found_in_the_end(topic: str, *words: str, status: str = "wrong", **how: Any) -> Line:
    """The line of a topic with these words; looked for again where something was not discovered in time.

    Raises:
        AssertionError: where there is none.
    """
    end_s = time.monotonic() + 60.0
    while True:
        found = look(wait_s=how.pop("wait_s", 3.0), **how)
        for line in found.get(f"topic {topic}", []):
            if line.status == status and all(word in line.text for word in words):
                assert line.remedy or status == "ok"
                return line
        assert time.monotonic() < end_s, found


def test_all_is_there() -> None:
    with robot_that_sends():
        found = looked_again_until(lambda found: all(found[f"topic {topic}"][0].status == "ok" for topic in ALL))
    assert found["middleware"][0].status == "ok"
    for topic, (kind, _) in ALL.items():
        (line,) = found[f"topic {topic}"]
        assert line.values["type"] == f"sensor_msgs/msg/{kind.__name__}"
        assert 1 < line.values["hz"] < 1 / PERIOD_S * 1.5 and abs(line.values["age_s"]) < 1


def test_topics_by_other_names_and_in_a_namespace() -> None:
    others = {f"/arm{topic}": what for topic, what in ALL.items()}
    with robot_that_sends({**others, "/front/image_raw": ALL[IMAGE]}):
        topics = ("/front/image_raw", "/arm/joint_states", "/arm/joint_commands")
        wanted = dict.fromkeys(["middleware", *(f"topic {topic}" for topic in topics)], ["ok"])
        looked_again_until(
            lambda found: {subject: [line.status for line in lines] for subject, lines in found.items()} == wanted,
            node="/arm/vjepa_predictor", arguments=["--ros-args", "-r", "image:=/front/image_raw"],
        )  # fmt: skip


def test_nobody_sends_but_on_a_topic_with_nearly_that_name() -> None:
    with robot_that_sends({"/camera/image_raw": ALL[IMAGE], COMMANDS: ALL[COMMANDS]}):
        found_in_the_end(IMAGE, "nobody publishes sensor_msgs/msg/Image there", "remap image:=/camera/image_raw")
        found_in_the_end(STATES, "nobody publishes", "joint_states_topic")


def test_a_camera_of_two_that_is_missing() -> None:
    """Its topic is named with the name that is to be remapped; what renames the image alone is said to do nothing."""
    compressed = (CompressedImage, lambda *_: CompressedImage())
    given = config(cameras=["left", "right"])
    hint = "set image_transport: compressed, remap right/image/compressed:=/right/image"
    there = [f"topic {topic}" for topic in ("/left/image", COMMANDS, STATES)]
    cameras = {"/left/image": ALL[IMAGE], "/wrist/image": ALL[IMAGE], "/right/image/compressed": compressed}
    with robot_that_sends({COMMANDS: ALL[COMMANDS], STATES: ALL[STATES], **cameras}):
        found = looked_again_until(
            lambda found: hint in found["topic /right/image"][0].remedy
            and {found[subject][0].status for subject in there} == {"ok"},
            given, wait_s=3.0, arguments=["--ros-args", "-r", "image:=/front/image_raw"],
        )  # fmt: skip
    (missing,), (vain,) = found["topic /right/image"], found["cameras"]
    assert missing.status == "wrong" and "nobody publishes sensor_msgs/msg/Image there" in missing.found
    assert "there is /wrist/image (sensor_msgs/msg/Image): remap right/image:=/wrist/image" in missing.remedy
    assert "/left/image" not in missing.remedy, "which is the other camera's"
    assert vain.status == "warning" and vain.remedy.startswith("remap left/image and so on")
    assert vain.found == (
        "image is renamed to /front/image_raw, and is not read: with cameras the topics are left/image, right/image"
    )


def test_another_type() -> None:
    arrays = {COMMANDS: (Float64MultiArray, lambda *_: Float64MultiArray(data=[0.0] * 7))}
    with robot_that_sends(arrays):
        line = found_in_the_end(COMMANDS, "/robot sends std_msgs/msg/Float64MultiArray")
        assert line.remedy == "set actions.type: Float64MultiArray"


def test_two_senders() -> None:
    with robot_that_sends(), robot_that_sends({COMMANDS: ALL[COMMANDS]}, name="other"):
        found_in_the_end(COMMANDS, "/other", "/robot", "newest command of any of them counts", status="warning")


def test_a_quality_of_service_that_does_not_match() -> None:
    with robot_that_sends({COMMANDS: ALL[COMMANDS]}, BEST_EFFORT):
        line = found_in_the_end(COMMANDS, "best effort", "the node asks for reliable")
        override = f"qos_overrides.{COMMANDS}.subscription.reliability"
        assert f"{override}: best_effort" in line.remedy
        # ... and what it says helps.
        assert found_in_the_end(COMMANDS, status="ok", of_ros={override: "best_effort"}, wait_s=3.0)


def test_more_than_one_policy_that_does_not_match() -> None:
    asked = f"qos_overrides.{COMMANDS}.subscription.durability"
    with robot_that_sends({COMMANDS: ALL[COMMANDS]}, BEST_EFFORT):
        line = found_in_the_end(COMMANDS, "the node asks for reliable", of_ros={asked: "transient_local"})
    reliability = asked.replace("durability", "reliability")
    assert line.remedy == f"change the sender, or set {reliability}: best_effort and {asked}: volatile"


def test_somebody_is_there_and_says_nothing() -> None:
    with robot_that_sends({}) as node:
        node.create_publisher(Image, IMAGE, 10)
        found_in_the_end(IMAGE, "nothing has come for 3 s, though somebody publishes it", "ROS_DOMAIN_ID")


def test_joints_of_other_names() -> None:
    others = (JointState, lambda number, now_ns: joint_message(now_ns, ["ur5_elbow"], [0.0]))
    with robot_that_sends({**ALL, COMMANDS: others}):
        line = found_in_the_end(COMMANDS, "'panda_joint1'", "'ur5_elbow'")
        assert "see joint_names" in line.remedy


@pytest.mark.parametrize(
    ("ahead_s", "words"),
    [(-7200.0, ["far_clock", "2.0 hours", "local time in place of UTC"]), (-1.7e9, ["far_clock", "years"])],
)
def test_a_camera_with_another_clock(ahead_s: float, words: list[str]) -> None:
    late = (Image, lambda number, now_ns: image_message(now_ns + round(ahead_s * S), number))
    with robot_that_sends({**ALL, IMAGE: late}):
        found_in_the_end(IMAGE, *words, wait_s=20.0)


def test_stamps_that_stand_still() -> None:
    frozen_ns = time.time_ns()
    still = (JointState, lambda number, now_ns: joints(number, frozen_ns))
    with robot_that_sends({**ALL, COMMANDS: still}):
        found_in_the_end(COMMANDS, "frozen_stamps", wait_s=20.0)


def test_no_stamps_are_to_be_looked_at() -> None:
    unstamped = (JointState, lambda number, now_ns: joints(number, 0))
    with robot_that_sends({**ALL, COMMANDS: unstamped}):
        found_in_the_end(COMMANDS, "zero_stamp", status="warning", wait_s=20.0)


def test_messages_that_cannot_be_used() -> None:
    def cut(number: int, now_ns: int) -> Image:
        message = stamped(rgb8_of(), now_ns)
        message.data = message.data[:100]
        return message

    with robot_that_sends({**ALL, IMAGE: (Image, cut)}):
        found_in_the_end(IMAGE, "data", wait_s=20.0)


def rgb8_of() -> Image:
    import numpy as np

    return rgb8(np.zeros((48, 64, 3), np.uint8))


def test_a_camera_that_is_slower_than_the_frame_rate_or_stalls() -> None:
    with robot_that_sends(every={IMAGE: 20}):  # at most 5 Hz
        found_in_the_end(IMAGE, "frame_rate is 50 Hz", status="warning", given=config(frame_rate=50.0, hop=2))
        small = config(frame_rate=0.0, window__max_gap_s=0.05)
        found_in_the_end(IMAGE, "restart the window", "window.max_gap_s", status="warning", given=small)


def test_commands_that_are_older_than_their_timeout() -> None:
    with robot_that_sends(every={COMMANDS: 20}):
        given = config(actions__timeout_s=0.1)
        found_in_the_end(COMMANDS, "older than 0.1 s they are missing", "timeout_s", status="warning", given=given)


def test_simulated_time() -> None:
    simulated = {"use_sim_time": True}
    with robot_that_sends():
        found_in_the_end(graph.CLOCK, "nobody publishes it", of_ros=simulated)

    def clock(number: int, now_ns: int) -> Clock:
        message = Clock()
        message.clock.sec = 5 + number // 100
        return message

    with robot_that_sends({**ALL, "/clock": (Clock, clock)}):
        found_in_the_end(graph.CLOCK, "use_sim_time is true", status="ok", of_ros=simulated)


def test_a_type_of_messages_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    from vjepa_ros.ros import inputs

    def missing(_: str) -> Any:
        raise ImportError("No module named 'sensor_msgs'")

    monkeypatch.setattr(inputs, "message_class", missing)
    (line,) = look()["messages"]
    assert line.status == "wrong" and "is not installed here" in line.found and line.remedy


def test_a_middleware_that_does_not_start() -> None:
    (line,) = look(arguments=["--ros-args", "-r", "a"])["middleware"]
    assert line.status == "wrong" and "no node can be started" in line.found and "RMW_IMPLEMENTATION" in line.remedy
