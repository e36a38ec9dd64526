"""The executable ``predictor_node``: one node, one single-threaded executor, a clean end."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import rclpy
from rclpy.exceptions import NotInitializedException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation

if TYPE_CHECKING:
    from vjepa_ros.ros.node import PredictorNode

_LAST_WINDOW_S = 1.0  # how long the model may take to end its window; after a signal it is looked at once


def main(args: list[str] | None = None, node: Callable[[], PredictorNode] | None = None) -> None:
    """Run the node until it is interrupted."""
    signal.signal(signal.SIGINT, _on_interrupt)
    rclpy.init(args=args)
    executor = SingleThreadedExecutor()
    predictor = None
    try:
        predictor = _start(node)
        executor.add_node(predictor)
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except (rclpy_implementation.RCLError, NotInitializedException):
        if rclpy.ok():  # else the signal came while the node was made or between two steps of the executor
            raise
    finally:
        if predictor is not None:
            predictor.close(timeout_s=_LAST_WINDOW_S)
        executor.shutdown()
        if predictor is not None:
            predictor.destroy_node()
        rclpy.try_shutdown()
    if threading.active_count() > 1:
        # The model is in the middle of a long window. Everything of ROS is closed; a thread that comes back from torch
        # while the interpreter goes down would end the process with an abort.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _on_interrupt(*_: object) -> None:
    """Leave the first signal to rclpy, which ends the spinning by itself, and the second one to Python.

    Python's own handler raises wherever the main thread is, in the middle of converting a message too: of 114 nodes
    interrupted while messages came, 7 ended with status 1. But it does not wait for a model that is being loaded.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _start(node: Callable[[], PredictorNode] | None) -> PredictorNode:
    """Make the node. Until it is there a hidden one stands in, which needs no torch.

    The middleware makes itself known with the first node, and two processes may take seconds to find each other.
    Importing torch takes a second: done after the first node, it is time that passes anyway.
    """
    stand_in = rclpy.create_node(
        "_vjepa_starting", use_global_arguments=False, enable_rosout=False, start_parameter_services=False
    )
    try:
        if node is not None:
            return node()
        from vjepa_ros.ros.node import PredictorNode

        return PredictorNode()
    finally:
        stand_in.destroy_node()


if __name__ == "__main__":
    main()
