"""What the node was started with and does not have: parameters and topics that there are not, files for other nodes.

It looks at what the command line and its files gave; it declares and sets nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node

from vjepa_ros.config import ros_file
from vjepa_ros.config.inputs import CAMERAS, INPUTS, of_camera
from vjepa_ros.config.names import QOS, unknown_overrides, unknown_parameters
from vjepa_ros.config.ros_names import is_camera_name
from vjepa_ros.ros.candidates import CANDIDATES, COMPRESSED_GOAL, GOAL_IMAGE
from vjepa_ros.ros.plan_topics import SENT
from vjepa_ros.ros.publishers import PUBLISHERS
from vjepa_ros.ros.qos import OVERRIDABLE

_PARAMS_FILE = "params-file"  # the option of ROS
DIAGNOSTICS_TOPIC = "/diagnostics"
# rclpy's own endpoints, whose parameters it declares where it has them.
_OF_ROS = (("/clock", "subscription"), ("/parameter_events", "publisher"), ("/rosout", "publisher"))


def remarks(node: Node, arguments: Sequence[str] | None = None) -> Iterator[str]:
    """What is to be said, a sentence each.

    Args:
        node: its parameters are declared.
        arguments: of the process; None for its own.
    """
    # rclpy has no public way to ask for what was given and never declared.
    given = getattr(node, "_parameter_overrides", {})
    undeclared = [name for name in given if not node.has_parameter(name)]
    yield from unknown_parameters(undeclared)
    yield from unknown_overrides(undeclared, _qualities(node), partial(_remapped, node))
    arguments = sys.argv if arguments is None else arguments
    for option, value in zip(arguments, arguments[1:], strict=False):
        if option.removeprefix("--") == _PARAMS_FILE:
            yield from ros_file.others(Path(value), node.get_fully_qualified_name())


def _remapped(node: Node, topic: str) -> str:
    try:
        return str(node.resolve_topic_name(topic))
    except rclpy_implementation.RCLError:  # of no name that a topic can have
        return topic


def _qualities(node: Node) -> Iterator[str]:
    """The parameters of all qualities of service: of topics that this node may have, whatever it is configured to."""
    given = node.get_parameter("cameras").value
    cameras = [*given] if given and all(map(is_camera_name, given)) else [""]  # configure refuses others
    read = [of_camera(row.topic, camera) for row in CAMERAS.values() for camera in cameras]
    read += [*INPUTS, CANDIDATES, GOAL_IMAGE, COMPRESSED_GOAL]
    sent = [of_camera(row.topic, camera) for row in PUBLISHERS.values() if row.each_camera for camera in cameras]
    sent += [row.topic for row in PUBLISHERS.values() if not row.each_camera] + [*SENT, DIAGNOSTICS_TOPIC]
    ends = [(node.resolve_topic_name(topic), "subscription") for topic in read]
    ends += [(node.resolve_topic_name(topic), "publisher") for topic in sent]
    for topic, end in (*ends, *_OF_ROS):
        yield from (f"{QOS}{topic}.{end}.{policy.name.lower()}" for policy in OVERRIDABLE)
