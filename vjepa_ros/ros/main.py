"""The executable ``predictor_node``: one node, one single-threaded executor, a clean end."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation

from vjepa_ros.ros.node import PredictorNode

_LAST_WINDOW_S = 1.0  # what the model has at most to end its window; after a signal it is looked at once


def main(args: list[str] | None = None, node: Callable[[], PredictorNode] = PredictorNode) -> None:
    """Run the node until it is interrupted."""
    rclpy.init(args=args)
    predictor = node()
    executor = SingleThreadedExecutor()
    executor.add_node(predictor)
    try:
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except rclpy_implementation.RCLError:
        if rclpy.ok():  # else the signal came between two steps of the executor, which found its context gone
            raise
    finally:
        predictor.close(timeout_s=_LAST_WINDOW_S)
        executor.shutdown()
        predictor.destroy_node()
        rclpy.try_shutdown()
    if threading.active_count() > 1:
        # The model is in the middle of a long window. Everything of ROS is closed; a thread that comes back from torch
        # while the interpreter goes down would end the process with an abort.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


if __name__ == "__main__":
    main()
