"""Start the node of ``predictor.launch.py`` with a planner in it.

The planner shares the node's process, so that weights and latents stay where they are. The file takes every argument of
``predictor.launch.py``. Nothing is sent to a robot unless the parameter file says ``planner.execute: true``, for which
there is no argument here, and somebody then calls ``~/execute``.
"""

from __future__ import annotations

from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare


def generate_launch_description() -> LaunchDescription:
    """The node, its planner enabled unless it was said otherwise."""
    predictor = PathJoinSubstitution([FindPackageShare("vjepa_ros"), "launch", "predictor.launch.py"])
    return LaunchDescription(
        [
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(predictor),
                launch_arguments=[("planner", LaunchConfiguration("planner", default="true"))],
            ),
        ]
    )
