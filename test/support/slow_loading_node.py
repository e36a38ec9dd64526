"""The node with a model that takes its time to load: ``slow_loading_node.py SECONDS``, then ROS arguments.

It loads in short pieces, as a checkpoint is read tensor by tensor, and then as ever.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from vjepa_ros.config.node import NodeConfig
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.ros import configured
from vjepa_ros.ros.main import main

SECONDS = float(sys.argv.pop(1))
right = configured.load_model


def load_model(config: NodeConfig, on_bytes: Callable[[int, int], None] | None = None) -> WorldModel:
    """Take long."""
    print("loading begins", flush=True)
    began_s = time.monotonic()
    while (passed_s := time.monotonic() - began_s) < SECONDS:
        time.sleep(0.01)
        if on_bytes is not None:
            on_bytes(round(passed_s * 1e8), round(SECONDS * 1e8))
    print("loading ends", flush=True)
    return right(config, on_bytes)


configured.load_model = load_model
main()
