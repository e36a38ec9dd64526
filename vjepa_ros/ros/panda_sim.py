"""The executable ``panda_sim``: a simulated Panda as a node, for whoever has no robot."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from vjepa_ros.errors import ConfigError
from vjepa_ros.ros.main import asks_for_help, parameter_help, run
from vjepa_ros.ros.signals import Signals
from vjepa_ros.simulation.robot import TABLE

if TYPE_CHECKING:
    from vjepa_ros.ros.panda_node import PandaNode

PROGRAM = "panda_sim"

_HELP = """\
usage: panda_sim [--help] [--ros-args -p NAME:=VALUE ... --params-file FILE -r FROM:=TO ...]

A Franka Panda without a robot: a camera on image and image/compressed at 10 Hz, joint_states at 100 Hz, and an arm that
follows joint_commands. No physics: docs/simulation.md says what it does.
  ros2 service call /panda_sim/draw_goal std_srvs/srv/Trigger   a goal image on ~/goal_image
  ros2 service call /panda_sim/push std_srvs/srv/Trigger        moves the tip at once
  ros2 service call /panda_sim/reset std_srvs/srv/Trigger       begins an episode anew

parameters, with their defaults:
"""


def main(args: list[str] | None = None) -> None:
    """Run the node until it is interrupted."""
    if asks_for_help(args):
        print(_HELP + parameter_help(TABLE))
        return
    with Signals().installed() as signals:
        run(PROGRAM, args, _start, signals)


def _start() -> PandaNode:
    from vjepa_ros.ros.panda_node import PandaNode  # a while passes, and signals are taken care of by now

    try:
        return PandaNode()
    except ConfigError as error:
        sys.exit(f"{PROGRAM}: {error}")


if __name__ == "__main__":
    main()
