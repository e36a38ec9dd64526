"""predictor.launch.py: active by itself, through its transitions and back, topics, a clean end."""

from __future__ import annotations

import unittest
from typing import Any

from launch import LaunchDescription
from launch_testing import post_shutdown_test
from support.launched import Watching, assert_clean_ends, describe


def generate_test_description() -> LaunchDescription:
    """The launch file as it is, on a CPU."""
    return describe("predictor.launch.py", device="cpu", image_topic="/camera/image_raw")


class Running(Watching):
    """While the node runs."""

    def test_it_becomes_active_has_its_topics_and_makes_its_transitions(self) -> None:
        """All in one: a node starts in seconds."""
        self.need_state("active")
        self.need_topics(
            {
                "/vjepa_predictor/predicted_latents": "sensor_msgs/msg/Image",
                "/vjepa_predictor/latent_info": "std_msgs/msg/String",
                "/vjepa_predictor/window_info": "diagnostic_msgs/msg/DiagnosticArray",
                "/diagnostics": "diagnostic_msgs/msg/DiagnosticArray",
            },
            {"/camera/image_raw": "sensor_msgs/msg/Image", "/joint_commands": "sensor_msgs/msg/JointState"},
        )
        for transition in ("deactivate", "cleanup", "configure", "activate"):
            self.change(transition)


@post_shutdown_test()
class Ended(unittest.TestCase):
    """After launch has been told to end."""

    def test_it_ended_by_itself(self, proc_info: Any, proc_output: Any) -> None:
        """On the SIGINT that launch sends."""
        assert_clean_ends(self, proc_info, proc_output)
