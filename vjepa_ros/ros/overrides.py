"""What the node was started with and does not have: parameters that there are not, files for nodes of other names.

It looks at what the command line and its files gave; it declares and sets nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rclpy.node import Node

from vjepa_ros.config import ros_file
from vjepa_ros.config.names import unknown_parameters

_PARAMS_FILE = "params-file"  # the option of ROS


def remarks(node: Node, arguments: Sequence[str] | None = None) -> Iterator[str]:
    """What is to be said, a sentence each.

    Args:
        node: its parameters are declared.
        arguments: of the process; None for its own.
    """
    # rclpy has no public way to ask for what was given and never declared.
    given = getattr(node, "_parameter_overrides", {})
    yield from unknown_parameters(name for name in given if not node.has_parameter(name))
    arguments = sys.argv if arguments is None else arguments
    for option, value in zip(arguments, arguments[1:], strict=False):
        if option.removeprefix("--") == _PARAMS_FILE:
            yield from ros_file.others(Path(value), node.get_fully_qualified_name())
