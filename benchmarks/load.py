"""The robot of :mod:`benchmarks.soak`: it sends frames, commands and states, and prints as JSON how many.

By the clock it sends whatever becomes of it, as a robot does; what a node has no time for is then lost in its queues,
and how much that is depends on what else the machine does. Paced, it never has more on the way than the node's queues
hold, and waits where the node is slower: then nothing may be lost, on any machine. It knows the node's
topics and how long its queues are.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import cv2
import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage
from support.costly_images import COSTLY
from support.messages import JOINTS, joint_message, rgb8, stamp_ns, stamped
from support.robot import RobotNode

NODE = "/vjepa_predictor"
ON_THE_WAY = 4  # frames at most when paced: the node's queue has five, and every second one makes a window


def send(
    seconds: float, width: int, height: int, hz: float, command_hz: float, reliable: bool, costly: bool, paced: bool
) -> None:
    """Send for so long by the timetable; when paced, for as long as it takes.

    With ``costly`` the frames are JPEG files, and between every two of them comes one that ends or holds up decoders.
    """
    rclpy.init()
    reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
    robot = RobotNode("load", QoSProfile(depth=30 if reliable else 5, reliability=reliability))
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    image, images, bad = rgb8(picture), robot.images, []
    if costly:
        images = robot.create_publisher(CompressedImage, "image/compressed", QoSProfile(depth=30))
        image = CompressedImage(format="jpeg", data=cv2.imencode(".jpg", picture)[1].tobytes())
        bad = [CompressedImage(format="jpeg", data=file) for _, file in COSTLY.values()]
    taken = Taken(robot, command_hz / hz) if paced else None
    require_listeners(robot, images, robot.commands)
    if taken is not None:
        sent = _paced(robot, taken, image, seconds, hz, command_hz)
    else:
        sent = _by_the_clock(robot, images, image, bad, seconds, hz, command_hz)
    print(json.dumps(sent), flush=True)
    time.sleep(1.0)  # the middleware may still have some to hand over
    robot.close()
    rclpy.shutdown()


def _by_the_clock(
    robot: RobotNode, images: Any, image: Any, bad: list[Any], seconds: float, hz: float, command_hz: float
) -> dict[str, int]:
    started_s, sent = time.monotonic(), {"images": 0, "commands": 0}
    while (now_s := time.monotonic() - started_s) < seconds:
        if sent["commands"] <= now_s * command_hz:
            robot.commands.publish(joint_message(time.time_ns(), JOINTS, [now_s] * 7))
            sent["commands"] += 1
        if sent["images"] <= now_s * hz:
            images.publish(stamped(image, time.time_ns()))
            if bad:
                images.publish(stamped(bad[sent["images"] % len(bad)], time.time_ns()))
            sent["images"] += 1
        next_s = min(sent["commands"] / command_hz, sent["images"] / hz)
        time.sleep(max(0.0, next_s - (time.monotonic() - started_s)))
    return sent


class Taken:
    """How many frames the node has taken in with the commands until then: by its counts, and by its windows' stamps.

    Of a frame in a window it has the commands; of one that it has only counted, maybe not: one executor takes them all,
    each topic in its turn, and commands come more often.
    """

    def __init__(self, robot: RobotNode, commands_a_frame: float) -> None:
        self.frames = 0
        self.numbers: dict[int, int] = {}  # of the frames on the way, by their stamps
        self._commands_a_frame = commands_a_frame
        robot.create_subscription(DiagnosticArray, f"{NODE}/window_info", self._on_window, QoSProfile(depth=100))
        robot.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, QoSProfile(depth=100))

    def _on_window(self, message: DiagnosticArray) -> None:
        number = self.numbers.get(stamp_ns(message))
        if number is not None:
            self._at_least(number + 1)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == f"{NODE}: stream":
                counts = {pair.key: pair.value for pair in status.values}
                self._at_least(min(int(counts["frames"]), int(int(counts["commands"]) / self._commands_a_frame)))

    def _at_least(self, frames: int) -> None:
        self.frames = max(self.frames, frames)
        self.numbers = {stamp: number for stamp, number in self.numbers.items() if number >= self.frames}


def _paced(robot: RobotNode, taken: Taken, image: Any, seconds: float, hz: float, command_hz: float) -> dict[str, int]:
    """The whole timetable, its stamps included, however long the node takes; never ahead of the clock.

    Raises:
        SystemExit: where the node takes in nothing more.
    """
    started_s, started_ns, commands = time.monotonic(), time.time_ns(), 0
    images = round(seconds * hz)
    for number in range(images):
        at_s = number / hz
        if not robot.spin(lambda: number - taken.frames < ON_THE_WAY):  # noqa: B023 - called at once
            sys.exit(f"of {number} frames, the node says that it has taken in {taken.frames}")
        robot.spin(lambda: time.monotonic() - started_s >= at_s, seconds)  # noqa: B023
        while commands <= at_s * command_hz:
            stamp = started_ns + round(commands / command_hz * 1e9)
            robot.commands.publish(joint_message(stamp, JOINTS, [commands / command_hz] * 7))
            commands += 1
        stamp = started_ns + round(at_s * 1e9)
        taken.numbers[stamp] = number
        robot.images.publish(stamped(image, stamp))
    return {"images": images, "commands": commands}


def require_listeners(robot: RobotNode, *publishers: Any) -> None:
    """Return when each publisher has a subscriber, and a little later: that side must know of it too.

    Raises:
        SystemExit: naming the topics that nobody has subscribed to in time.
    """
    try:
        robot.need_listeners(*publishers)
    except TimeoutError as error:
        sys.exit(str(error))
    robot.settle(0.5)
