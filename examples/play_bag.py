"""Publishes a recorded bag in real time, each topic as it was recorded, and ends with the bag.

It is what `ros2 bag play` is for; this one needs no more than rclpy and rosbags, is reliable, and starts when everybody
is listening.

    python examples/play_bag.py BAG [--rate 1.0] [--wait-for TOPIC=SUBSCRIBERS ...]
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from pathlib import Path
from typing import Any

import rclpy
from rclpy.qos import QoSProfile
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore


def message_class(name: str) -> Any:
    """The class of a message type such as ``sensor_msgs/msg/Image``."""
    package, _, kind = name.split("/")
    return getattr(importlib.import_module(f"{package}.msg"), kind)


def wait_for_subscribers(publishers: dict[str, Any], wanted: dict[str, int], timeout_s: float) -> None:
    """Return when each topic has its subscribers; end the program if that takes too long."""
    deadline_s = time.monotonic() + timeout_s
    while rclpy.ok() and (missing := [t for t, n in wanted.items() if publishers[t].get_subscription_count() < n]):
        if time.monotonic() > deadline_s:
            sys.exit(f"nobody listens to {', '.join(missing)}")
        time.sleep(0.02)


def main() -> None:
    """Play the bag."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bag", type=Path)
    parser.add_argument("--rate", type=float, default=1.0, help="times real time")
    parser.add_argument("--wait-for", nargs="*", default=[], metavar="TOPIC=SUBSCRIBERS")
    arguments = parser.parse_args()
    rclpy.init()
    node = rclpy.create_node("bag_player")
    with AnyReader([arguments.bag], default_typestore=get_typestore(Stores.ROS2_JAZZY)) as reader:
        publishers = {
            connection.topic: node.create_publisher(
                message_class(connection.msgtype), connection.topic, QoSProfile(depth=1000)
            )
            for connection in reader.connections
        }
        wanted = {topic: int(number) for topic, number in (item.split("=") for item in arguments.wait_for)}
        wait_for_subscribers(publishers, wanted, timeout_s=30.0)
        begin_s = time.monotonic()
        for connection, recorded_ns, data in reader.messages():
            due_s = begin_s + (recorded_ns - reader.start_time) / 1e9 / arguments.rate
            time.sleep(max(0.0, due_s - time.monotonic()))
            if not rclpy.ok():
                return  # asked to end
            publishers[connection.topic].publish(bytes(data))
    for publisher in publishers.values():
        publisher.wait_for_all_acked(rclpy.duration.Duration(seconds=10))
    node.destroy_node()
    rclpy.shutdown()


if __name__ == "__main__":
    main()
