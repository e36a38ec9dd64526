"""Run one launch file as ``ros2 launch`` would: ``run_launch.py FILE [name:=value ...]``."""

from __future__ import annotations

import signal
import sys

from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

if __name__ == "__main__":
    # Whoever is started in the background of a shell without job control inherits an ignored SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    arguments = [tuple(argument.split(":=", 1)) for argument in sys.argv[2:]]
    include = IncludeLaunchDescription(PythonLaunchDescriptionSource(sys.argv[1]), launch_arguments=arguments)
    service = LaunchService(noninteractive=True)  # there is no terminal that would signal the node as well
    service.include_launch_description(LaunchDescription([include]))
    sys.exit(service.run())
