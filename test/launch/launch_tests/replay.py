"""replay.launch.py: the node becomes active, hears the player, makes its transitions, and all end cleanly.

The player is whichever ``ros2`` is found first.
"""

from __future__ import annotations

import os
import unittest
from pathlib import Path
from typing import Any

from launch import LaunchDescription
from launch_testing import post_shutdown_test
from support.launched import Watching, assert_clean_ends, describe

BAG = Path(os.environ.get("VJEPA_ROS_BAG", Path(__file__).resolve().parents[3] / "examples" / "data" / "panda_pick"))


def generate_test_description() -> LaunchDescription:
    """The sample bag, slower than it was recorded, so that it is not over before it has been looked at."""
    return describe(
        "replay.launch.py", bag=str(BAG), rate="0.2", device="cpu", image_topic="/camera/image_raw",
        image_transport="compressed",
    )  # fmt: skip


class Running(Watching):
    """While node and player run."""

    def test_the_player_starts_when_the_node_listens(self) -> None:
        """With the topics of the bag; the node is a lifecycle node as in the other files."""
        self.need_state("active")
        self.need_topics(
            {"/vjepa_predictor/predicted_latents": "sensor_msgs/msg/Image"},
            {"/camera/image_raw/compressed": "sensor_msgs/msg/CompressedImage", "/clock": "rosgraph_msgs/msg/Clock"},
        )
        self.need_topics(
            {"/clock": "rosgraph_msgs/msg/Clock", "/camera/image_raw/compressed": "sensor_msgs/msg/CompressedImage"},
            {},
            "/rosbag2_player",
        )
        for transition in ("deactivate", "activate"):
            self.change(transition)


@post_shutdown_test()
class Ended(unittest.TestCase):
    """After launch has been told to end."""

    def test_both_ended_by_themselves(self, proc_info: Any, proc_output: Any) -> None:
        """On the SIGINT that launch sends."""
        assert_clean_ends(self, proc_info, proc_output, count=2)
