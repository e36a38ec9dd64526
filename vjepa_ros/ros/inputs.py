"""What the node subscribes to, out of the table of inputs: classes of messages and profiles for its words.

It knows which topics there are, not what becomes of a message.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile

from vjepa_ros.config.inputs import CAMERAS, INPUTS, Input, input_of_camera, of_camera
from vjepa_ros.config.parts import CameraConfig
from vjepa_ros.config.stream import StreamConfig
from vjepa_ros.errors import ConfigError
from vjepa_ros.images.video import require_decoder
from vjepa_ros.ros import qos


@dataclass(frozen=True)
class Subscribed:
    """A topic to subscribe to.

    Attributes:
        topic: its name for the node.
        row: of the table; a camera's of several has the topic above, and not the table's.
        kind: the class of its messages.
        profile: its quality of service, a fresh one.
        is_camera: whether frames come there.
        is_latched: whether what comes there stays true until something else does, and is no part of windows.
    """

    topic: str
    row: Input
    kind: Any
    profile: QoSProfile
    is_camera: bool
    is_latched: bool


def message_class(ros_type: str) -> Any:
    """The class of messages of a type, such as ``sensor_msgs/msg/Image``.

    Raises:
        ImportError, AttributeError: where its package is not installed, or has no such type.
    """
    package, folder, name = ros_type.split("/")
    return resolve_name(f"{package}.{folder}:{name}")


def require_messages(config: StreamConfig, transport: str = "raw", more: Mapping[str, str] | None = None) -> None:
    """Refuse types of messages that are not installed here, and video without a decoder.

    Args:
        config, transport: what is read.
        more: further types, by the parameter that asks for them.

    Raises:
        ConfigError: naming the parameter that asks for one.
    """
    if transport == "ffmpeg":
        require_decoder("image_transport")
    wanted = {INPUTS[name].typed_by or name: config.ros_type(name) for name in config.inputs}
    for parameter, ros_type in {**wanted, "image_transport": CAMERAS[transport].ros_type, **(more or {})}.items():
        try:
            message_class(ros_type)
        except (ImportError, AttributeError) as error:
            package = ros_type.split("/")[0]
            raise ConfigError(
                parameter,
                f"{ros_type} is not installed here ({error}): install the package {package} of your ROS distribution, "
                f"for example ros-jazzy-{package.replace('_', '-')}",
            ) from error


def rows_of(config: StreamConfig, transport: str, cameras: Iterable[str] = ("",)) -> list[tuple[Input, str]]:
    """What is read: the cameras, which come in as ``image_transport`` says, and all else; each with its type."""
    rows = [input_of_camera(CAMERAS[transport], camera) for camera in cameras]
    return [*((row, row.ros_type) for row in rows), *((INPUTS[name], config.ros_type(name)) for name in config.inputs)]


def renamed_in_vain(node: Node, camera: CameraConfig) -> tuple[str, str]:
    """What is wrong where the image's topic is renamed though several cameras have topics of their own, and what to do.

    Args:
        node: its rules count, those of its launch file among them.
        camera: says whether there are several.

    Returns:
        Two empty texts where nothing is.
    """
    own = CAMERAS[camera.transport].topic
    to = node.resolve_topic_name(own)
    if not camera.names or to == node.resolve_topic_name(own, only_expand=True):
        return "", ""
    topics = [of_camera(own, name) for name in camera.names]
    found = f"{own} is renamed to {to}, and is not read: with cameras the topics are {', '.join(topics)}"
    return found, f"remap {topics[0]} and so on; what is said for a camera without a name renames none of them"


def subscribed(
    config: StreamConfig, transport: str, others: Collection[str] = (), cameras: Iterable[str] = ("",)
) -> Iterator[Subscribed]:
    """The topics of these rows, and of other inputs that somebody besides the stream reads."""
    more = [(INPUTS[name], config.ros_type(name)) for name in others if name not in config.inputs]
    for row, ros_type in [*rows_of(config, transport, cameras), *more]:
        kind, profile = message_class(ros_type), qos.OF_INPUTS[row.quality]()
        yield Subscribed(row.topic, row, kind, profile, row.quality == "camera", row.quality == "latched")
