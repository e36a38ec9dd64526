"""The node as it is, writing down what its callbacks cost and when messages arrived: the benchmark's, never a robot's.

What it has written down it prints as one line of JSON when it ends.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from typing import Any

import cv2

from vjepa_ros.ros.active import Active
from vjepa_ros.ros.configured import Configured
from vjepa_ros.ros.main import main
from vjepa_ros.ros.node import PredictorNode
from vjepa_ros.stream.intake import Take
from vjepa_ros.stream.window import Window

TOPICS = ("image", "joint_commands", "joint_states")


class MeasuredNode(PredictorNode):
    """Also notes, in ns: CPU time of each callback by topic; arrival of each frame; when each window was resolved.

    Arrivals are the middleware's, by the system's clock. Windows are named by the stamp of their newest frame.
    """

    def __init__(self) -> None:
        self._cpu_ns: dict[str, list[int]] = defaultdict(list)
        self._frames_ns: dict[int, int] = {}
        self._resolved_ns: dict[int, int] = {}
        self._arrived_ns = 0
        # A resize in several threads would hide from the CPU time of this one.
        cv2.setNumThreads(1)
        super().__init__()

    def create_subscription(self, kind: Any, topic: Any, callback: Any, *arguments: Any, **options: Any) -> Any:
        """As rclpy's; the callbacks of the node's own inputs are measured."""
        if topic not in TOPICS:
            return super().create_subscription(kind, topic, callback, *arguments, **options)

        def measured(message: Any, message_info: Any) -> None:
            self._arrived_ns = int(message_info["received_timestamp"])
            if topic == "image":
                stamp = message.header.stamp
                self._frames_ns[stamp.sec * 10**9 + stamp.nanosec] = self._arrived_ns
            started_ns = time.thread_time_ns()
            callback(message)
            self._cpu_ns[topic].append(time.thread_time_ns() - started_ns)

        return super().create_subscription(kind, topic, measured, *arguments, **options)

    def make_active(self, configured: Configured) -> Active:
        """One that notes when each window was resolved."""
        node = self

        class Noting(Active):
            """Takes messages in as the node does, and notes."""

            def take_in(self, take: Take, topic: str, message: Any, now_ns: int) -> list[Window]:
                windows = super().take_in(take, topic, message, now_ns)
                node._resolved_ns.update((window.stamp_ns, node._arrived_ns) for window in windows)
                return windows

        return Noting(self, configured, self._endpoints)

    def close(self, timeout_s: float = 1.0) -> None:
        """Also print what was written down."""
        super().close(timeout_s)
        noted = {"cpu_ns": self._cpu_ns, "frames_ns": self._frames_ns, "resolved_ns": self._resolved_ns}
        print(json.dumps(noted), flush=True)


if __name__ == "__main__":
    main(node=MeasuredNode)
