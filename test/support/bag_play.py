"""Plays a bag with /clock as ``ros2 bag play`` does, in its place: ``bag_play.py bag play BAG ...``.

It does what rosbag2's player does with its clock, wanted or not. The clock runs from the start of the bag, 40 times a
second, unless paused. After ``--delay`` it jumps back to that start, and the first message follows at once, before the
next /clock. With ``--start-paused`` it stands at the start until ``/rosbag2_player/resume`` is called. Topics are
reliable, as deep as anybody needs. ``--until-heard`` is its own: the delay begins, or a resume is answered, once
somebody listens to every topic, where rosbag2's player loses what it sends before.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from pathlib import Path
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore
from rosgraph_msgs.msg import Clock

from examples.play_bag import message_class

try:
    from rosbag2_interfaces.srv import Resume
except ImportError:  # no wheel has it; this one has the same fields, none
    from std_srvs.srv import Empty as Resume

NODE = "rosbag2_player"
CLOCK_HZ = 40.0


class PlayerClock:
    """Time of the bag, which runs at a rate, stands or jumps."""

    def __init__(self, start_ns: int, rate: float, *, paused: bool) -> None:
        self._rate = rate
        self._lock = threading.Lock()
        self._paused = paused
        self._at_ns, self._since_ns = start_ns, time.monotonic_ns()

    def now_ns(self) -> int:
        """What it says."""
        with self._lock:
            return self._now_ns()

    def _now_ns(self) -> int:
        ran_ns = 0 if self._paused else time.monotonic_ns() - self._since_ns
        return self._at_ns + round(ran_ns * self._rate)

    @property
    def paused(self) -> bool:
        """Whether it stands."""
        return self._paused

    def resume(self) -> None:
        """Let it run."""
        with self._lock:
            self._at_ns, self._since_ns = self._now_ns(), time.monotonic_ns()
            self._paused = False

    def jump(self, to_ns: int) -> None:
        """Set it."""
        with self._lock:
            self._at_ns, self._since_ns = to_ns, time.monotonic_ns()


def arguments_of(command: list[str]) -> argparse.Namespace:
    """What the player is called with; the options that it knows are those of ``ros2 bag play``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("bag_verb", choices=["bag"])
    parser.add_argument("play_verb", choices=["play"])
    parser.add_argument("bag", type=Path)
    parser.add_argument("--clock", action="store_true", required=True)
    parser.add_argument("--rate", type=float, default=1.0)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--start-paused", action="store_true")
    parser.add_argument("--disable-keyboard-controls", action="store_true")
    parser.add_argument("--until-heard", action="store_true")
    return parser.parse_args(command)


def publish(
    reader: Any,
    clock: PlayerClock,
    publishers: dict[str, Any],
    delay_s: float,
    ready: threading.Event,
    *,
    until_heard: bool,
) -> None:
    """Publish every message when its time has come, the first ones after the delay; ``ready`` is set as that begins."""
    while until_heard and rclpy.ok() and not all(p.get_subscription_count() for p in publishers.values()):
        time.sleep(0.01)
    time.sleep(delay_s)
    clock.jump(reader.start_time)
    ready.set()
    for connection, recorded_ns, data in reader.messages():
        while clock.paused or clock.now_ns() < recorded_ns:
            time.sleep(0.001)
            if not rclpy.ok():
                return
        publishers[connection.topic].publish(bytes(data))


def main(command: list[str]) -> None:
    """Play the bag."""
    arguments = arguments_of(command)
    rclpy.init()
    node = rclpy.create_node(NODE)
    with AnyReader([arguments.bag], default_typestore=get_typestore(Stores.ROS2_JAZZY)) as reader:
        clock = PlayerClock(reader.start_time, arguments.rate, paused=arguments.start_paused)
        clocks = node.create_publisher(Clock, "/clock", QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT))
        publishers = {
            connection.topic: node.create_publisher(message_class(connection.msgtype), connection.topic, 1000)
            for connection in reader.connections
        }

        ready = threading.Event()

        def on_resume(_request: Any, response: Any) -> Any:
            ready.wait()
            clock.resume()
            return response

        def tick() -> None:
            message = Clock()
            message.clock.sec, message.clock.nanosec = divmod(clock.now_ns(), 10**9)
            clocks.publish(message)

        node.create_timer(1.0 / CLOCK_HZ, tick)
        node.create_service(Resume, "~/resume", on_resume)
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        playing = threading.Thread(
            target=publish, args=(reader, clock, publishers, arguments.delay, ready),
            kwargs={"until_heard": arguments.until_heard},
        )  # fmt: skip
        playing.start()
        try:
            while playing.is_alive():
                executor.spin_once(timeout_sec=0.1)
        except (KeyboardInterrupt, ExternalShutdownException):
            rclpy.try_shutdown()
        playing.join()
    if rclpy.ok():
        for publisher in publishers.values():
            publisher.wait_for_all_acked(rclpy.duration.Duration(seconds=10))
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown()


if __name__ == "__main__":
    main(sys.argv[1:])
