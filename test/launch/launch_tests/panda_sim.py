"""panda_sim.launch.py: its topics, and a clean end. It is no lifecycle node: there is nothing to start or to change."""

from __future__ import annotations

import unittest
from typing import Any

from launch import LaunchDescription
from launch_testing import post_shutdown_test
from support.launched import Watching, assert_clean_ends, describe


def generate_test_description() -> LaunchDescription:
    """The launch file as it is."""
    return describe("panda_sim.launch.py", seed="3")


class Running(Watching):
    """While the node runs."""

    def test_it_has_its_topics(self) -> None:
        """Those of a robot with a camera."""
        self.need_topics(
            {"/image": "sensor_msgs/msg/Image", "/joint_states": "sensor_msgs/msg/JointState"},
            {"/joint_commands": "sensor_msgs/msg/JointState"},
            "/panda_sim",
        )
        self.assertIsNone(self.state("/panda_sim"))


@post_shutdown_test()
class Ended(unittest.TestCase):
    """After launch has been told to end."""

    def test_it_ended_by_itself(self, proc_info: Any, proc_output: Any) -> None:
        """On the SIGINT that launch sends."""
        assert_clean_ends(self, proc_info, proc_output)
