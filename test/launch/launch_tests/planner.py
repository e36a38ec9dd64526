"""planner.launch.py: active by itself, with the planner's topics, through its transitions and back, a clean end."""

from __future__ import annotations

import unittest
from typing import Any

from launch import LaunchDescription
from launch_testing import post_shutdown_test
from support.launched import Watching, assert_clean_ends, describe


def generate_test_description() -> LaunchDescription:
    """The launch file as it is, on a CPU."""
    return describe("planner.launch.py", device="cpu")


class Running(Watching):
    """While the node runs."""

    def test_it_becomes_active_has_its_topics_and_makes_its_transitions(self) -> None:
        """Plans are published; nothing is sent to a robot."""
        self.need_state("active")
        self.need_topics(
            {
                "/vjepa_predictor/plan": "trajectory_msgs/msg/JointTrajectory",
                "/vjepa_predictor/plan_energy": "std_msgs/msg/Float32MultiArray",
                "/vjepa_predictor/planner_status": "diagnostic_msgs/msg/DiagnosticArray",
            },
            {"/vjepa_predictor/goal_image": "sensor_msgs/msg/Image"},
        )
        self.assertEqual(self.watcher.count_publishers("/vjepa_predictor/command"), 0)
        for transition in ("deactivate", "cleanup", "configure", "activate"):
            self.change(transition)


@post_shutdown_test()
class Ended(unittest.TestCase):
    """After launch has been told to end."""

    def test_it_ended_by_itself(self, proc_info: Any, proc_output: Any) -> None:
        """On the SIGINT that launch sends."""
        assert_clean_ends(self, proc_info, proc_output)
