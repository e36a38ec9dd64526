"""The node with a model that takes its time to load: ``slow_loading_node.py SECONDS``, then ROS arguments.

It loads in short pieces, as a checkpoint is read tensor by tensor, and then as ever.
"""

from __future__ import annotations

import sys
import time

from vjepa_ros.config.node import NodeConfig
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.ros import configured
from vjepa_ros.ros.main import main

SECONDS = float(sys.argv.pop(1))
right = configured.load_model


def load_model(config: NodeConfig) -> WorldModel:
    """Take long."""
    print("loading begins", flush=True)
    end_s = time.monotonic() + SECONDS
    while time.monotonic() < end_s:
        time.sleep(0.01)
    print("loading ends", flush=True)
    return right(config)


configured.load_model = load_model
main()
