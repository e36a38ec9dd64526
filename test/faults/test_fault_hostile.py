"""What strangers send: nothing of it ends the node or changes a window, and all of it is counted."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import ParameterValue
from rcl_interfaces.srv import (
    DescribeParameters,
    GetParameters,
    GetParameterTypes,
    ListParameters,
    SetParameters,
    SetParametersAtomically,
)
from rclpy.serialization import serialize_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, JointState
from support.costly_images import COSTLY
from support.fault_feed import TOPICS, Feed, at, compressed, jpeg, peak_memory_kb
from support.fault_table import Row
from support.harness import Predictor, Robot
from support.messages import JOINTS, MS, image_message, joint_message, stamped


@pytest.mark.fault("images that end or hold up decoders")
def test_costly_images(predictor: Predictor, robot: Robot, row: Row) -> None:
    """One hundred between sixty good ones, each stamped as a frame of its own."""
    robot.start(image_transport="compressed")
    before_kb, feed, bad, reasons = peak_memory_kb(predictor), Feed(robot), list(COSTLY.values()), Counter[str]()
    for number in range(60):
        feed.joints(at(number), float(number))
        robot.jpegs.publish(compressed(number, jpeg(number)))
        feed.frames.append((at(number),))
        for place in range(number * 100 // 60, (number + 1) * 100 // 60):
            reason, file = bad[place % len(bad)]
            reasons[reason] += 1
            robot.jpegs.publish(stamped(compressed(number, file), at(number) + (1 + place % 7) * MS))
            robot.settle(0.02)  # the large ones take the middleware its time
    windows = feed.check()
    assert windows == len(range(16, 61, 2)), "every good frame comes out"
    feed.counted(frames=60, rejected=100, **{f"rejected__/image/compressed__{r}": n for r, n in reasons.items()})
    grown_mb = (peak_memory_kb(predictor) - before_kb) / 1e3
    assert grown_mb < 200, "what they ask for is gigabytes"
    assert "libpng" not in predictor.log and "Corrupt JPEG" not in predictor.log
    row.injected = f"100 of {len(bad)} kinds between 60 good ones"
    row.lost = f"these 100; no decoder saw them (peak memory +{grown_mb:.0f} MB)"


def too_large(number: int) -> Iterator[tuple[str, str, Any]]:
    """(what publishes it, the reason it is dropped for, the message)."""
    joints = joint_message(at(number), JOINTS, [0.0] * 7)
    many = [f"joint{index}" for index in range(1001 - 7)]
    yield "states", "too_large", joint_message(at(number), [*JOINTS, *many], [0.0] * 1001)
    yield "states", "too_large", joint_message(at(number), [*JOINTS, "j" * 300], [0.0] * 8)
    yield "commands", "too_large", stamped(JointState(name=JOINTS, position=[0.0] * 7), at(number), "base" * 99)
    yield "commands", "length_mismatch", JointState(header=joints.header, name=JOINTS, position=[0.0] * 100_000)
    for publisher, make in (("states", joint_message(0, JOINTS, [0.0] * 7)), ("images", image_message(0, number))):
        make.header.stamp.sec, make.header.stamp.nanosec = at(number) // 10**9, 10**9
        yield publisher, "bad_stamp", make
    for sec, nanosec in ((2**31 - 1, 2**32 - 1), (-1, 0), (0, 10**9)):
        early = joint_message(0, JOINTS, [0.0] * 7)
        early.header.stamp.sec, early.header.stamp.nanosec = sec, nanosec
        yield "commands", "bad_stamp", early
    yield "images", "too_large", stamped(image_message(0, number), at(number) + MS, "camera" * 99)
    huge = Image(height=2**32 - 1, width=2**32 - 1, encoding="rgb8", step=3)
    yield "images", "image_too_large", stamped(huge, at(number) + MS)
    wide = Image(height=1, width=16_800_001, encoding="rgb8", step=3 * 16_800_001)
    yield "images", "image_too_large", stamped(wide, at(number) + MS)


@pytest.mark.fault("messages too large or wrongly stamped")
def test_too_large(robot: Robot, row: Row) -> None:
    robot.start()
    feed, reasons, count = Feed(robot), Counter[str](), 0
    for number in range(30):
        for publisher, reason, message in too_large(number):
            getattr(robot, publisher).publish(message)
            topic = {"states": "joint_states", "commands": "joint_commands", "images": "image"}[publisher]
            reasons[f"rejected__/{topic}__{reason}"] += 1
            count += 1
        robot.settle(0.02)
        feed.both(number, 1)
    assert feed.check() == len(range(16, 31, 2))
    feed.counted(frames=30, rejected=count, **reasons)
    row.injected, row.lost = f"{count} among 30 frames with joints", f"these {count}"


@pytest.mark.fault("bytes that are no message")
def test_bytes(predictor: Predictor, robot: Robot, row: Row) -> None:
    """What can be read of some of them is a message: windows count after it only."""
    robot.start()
    chance = random.Random(5)
    whole = {
        robot.images: serialize_message(image_message(at(0), 1)),
        robot.commands: serialize_message(joint_message(at(0), JOINTS, [1.0] * 7)),
        robot.states: serialize_message(joint_message(at(0), JOINTS, [1.0] * 7)),
    }
    for number in range(900):
        publisher, message = chance.choice(list(whole.items()))
        data = bytearray(message[: chance.choice((len(message), chance.randrange(1, len(message))))])
        for _ in range(chance.choice((1, 4))):
            data[chance.randrange(min(len(data), chance.choice((24, 200))))] = chance.choice((0, 127, 128, 255))
        publisher.publish(bytes(data))
        if number % 20 == 0:
            robot.settle(0.05)
    assert predictor.process.poll() is None
    robot.start()  # some of them were stamped with other centuries
    feed = Feed(robot)
    feed.both(0, 20)
    feed.check()
    row.injected, row.lost = "900 damaged or cut off", "these; windows after it equal"


def hostile_values(chance: random.Random) -> Iterator[ParameterMessage]:
    """Parameters of all types, those that there are not too, with values that fit none."""
    names = (
        "seed",
        "frame_rate",
        "view.roi",
        "actions.scale",
        "use_sim_time",
        "joint_names",
        "",
        "no\nname",
        "x" * 9999,
    )
    for _ in range(40):
        value = ParameterValue(type=chance.choice((*range(10), 10, 11, 200, 255)), integer_value=-(2**63))
        value.double_value, value.string_value = float("nan"), "\x00\ud7ff"
        value.double_array_value, value.integer_array_value = [float("inf")], [2**63 - 1]
        yield ParameterMessage(name=chance.choice(names), value=value)


@pytest.mark.fault("parameters of no type, and times before 1970")
def test_own_services_and_clock(predictor: Predictor, robot: Robot, row: Row) -> None:
    """rclpy's own services, and its clock, which each ended the process; use_sim_time comes and goes meanwhile."""
    robot.stop()
    chance, requests = random.Random(6), 0
    clock = robot.create_publisher(Clock, "/clock", 10)
    assert robot.set_parameters(use_sim_time=True)[0][0]
    robot.start()
    robot.need_listeners(clock)
    for _ in range(20):
        hostile = list(hostile_values(chance))
        answer = robot.call(SetParameters, "set_parameters", SetParameters.Request(parameters=hostile))
        assert len(answer.results) == len(hostile)
        wrong = [result for value, result in zip(hostile, answer.results, strict=True) if value.value.type > 9]
        assert all(not result.successful and result.reason for result in wrong)
        atomically = SetParametersAtomically.Request(parameters=hostile)
        answer = robot.call(SetParametersAtomically, "set_parameters_atomically", atomically)
        assert not answer.result.successful and answer.result.reason
        requests += 2
    many = SetParameters.Request(parameters=[ParameterMessage(name="seed")] * 1500)
    results = robot.call(SetParameters, "set_parameters", many).results
    assert len(results) == 1500 and not any(result.successful for result in results)
    for kind, name, request in (
        (GetParameters, "get_parameters", GetParameters.Request(names=["", "x" * 9999, "seed"])),
        (DescribeParameters, "describe_parameters", DescribeParameters.Request(names=["a..b", "seed"])),
        (GetParameterTypes, "get_parameter_types", GetParameterTypes.Request(names=["/", "seed"])),
        (ListParameters, "list_parameters", ListParameters.Request(prefixes=["", ".", "pose"], depth=2**64 - 1)),
    ):
        robot.call(kind, name, request)
        requests += 1
    robot.set_parameters(use_sim_time=True)
    robot.need_listeners(clock)
    times = [(-1, 0), (-(2**31), 2**32 - 1), (0, 10**9), (2**31 - 1, 2**32 - 1), (2**31 - 1, 10**9 - 1), (0, 0), (5, 0)]
    feed, bad = Feed(robot), 0
    for sec, nanosec in times:
        message = Clock()
        message.clock.sec, message.clock.nanosec = sec, nanosec
        clock.publish(message)
        robot.settle(0.1)
        if sec < 0 or nanosec >= 10**9:  # one by one: rclpy keeps one message of /clock, the newest
            bad += 1
            feed.counted(TOPICS, internal_errors=0, **{"rejected__/clock__bad_stamp": bad})
    assert bad == 4
    assert "Traceback" not in predictor.log
    robot.start()
    feed.both(0, 20)
    feed.check()
    row.injected, row.lost = (
        f"{requests + 1} requests, 4 of {len(times)} times",
        "nothing: all answered; these 4 counted",
    )
