"""What the node would publish, written as a bag that ``ros2 bag play`` plays. No ROS graph.

It knows the messages of the node's topics, not where their values come from.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer

from vjepa_ros import files, latents
from vjepa_ros.recordings.definitions import ROS_TYPES

_NEVER = QosTime(9223372036, 854775807)  # RMW_DURATION_INFINITE
_IMAGE, _STRING = "sensor_msgs/msg/Image", "std_msgs/msg/String"
_DIAGNOSTICS = "diagnostic_msgs/msg/DiagnosticArray"


def _qos(depth: int, durability: QosDurability = QosDurability.VOLATILE) -> list[Qos]:
    """What the node offers, reliable; ``ros2 bag play`` offers the same."""
    automatic = QosLiveliness.AUTOMATIC
    keep, reliable = QosHistory.KEEP_LAST, QosReliability.RELIABLE
    return [Qos(keep, depth, reliable, durability, _NEVER, _NEVER, automatic, _NEVER, False)]


class LatentBag:
    """Writes what the node would have published, under its name, as a bag that ``ros2 bag play`` plays.

    Args:
        folder: the bag, a folder that is not there yet.
        node_name: full name of the node, such as ``/vjepa_predictor``.
        context: whether there are context latents too.

    Raises:
        OSError: by every method, where the disk is full or fails; it names the bag.
    """

    def __init__(self, folder: Path, node_name: str, *, context: bool) -> None:
        self._folder = folder
        self._name = node_name
        self._writer = Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP)
        with files.naming(folder):
            self._writer.open()
        latched = _qos(1, QosDurability.TRANSIENT_LOCAL)
        self._info = self._topic("latent_info", _STRING, latched)
        self._window = self._topic("window_info", _DIAGNOSTICS, _qos(10))
        self._predicted = self._topic("predicted_latents", _IMAGE, _qos(2))
        self._context = self._topic("context_latents", _IMAGE, _qos(2)) if context else None

    def _topic(self, name: str, kind: str, qos: list[Qos]) -> Connection:
        topic = f"{self._name}/{name}"
        return self._writer.add_connection(topic, kind, typestore=ROS_TYPES, offered_qos_profiles=qos)

    def _write(self, connection: Connection, at_ns: int, message: Any) -> None:
        data = ROS_TYPES.serialize_cdr(message, connection.msgtype)
        with files.naming(self._folder):
            self._writer.write(connection, at_ns, data)

    def info(self, text: str, at_ns: int) -> None:
        """Write ``latent_info``, JSON, as published at a time."""
        self._write(self._info, at_ns, _new(_STRING, data=text))

    def window(
        self,
        values: Mapping[str, str],
        predicted: latents.Latents,
        context: latents.Latents | None,
        at_ns: int,
    ) -> None:
        """Write ``window_info`` and the latents of a window, as published at a time."""
        image = _image(predicted)
        pairs = [_new("diagnostic_msgs/msg/KeyValue", key=key, value=value) for key, value in values.items()]
        status = _new(
            "diagnostic_msgs/msg/DiagnosticStatus",
            level=0, name=self._name, message="", hardware_id="vjepa_ros", values=pairs,
        )  # fmt: skip
        self._write(self._window, at_ns, _new(_DIAGNOSTICS, header=image.header, status=[status]))
        self._write(self._predicted, at_ns, image)
        if context is not None and self._context is not None:
            self._write(self._context, at_ns, _image(context))

    def close(self) -> None:
        """Finish the bag; without it there is none."""
        with files.naming(self._folder):
            self._writer.close()

    def abort(self) -> None:
        """Close the files of a bag that will not be finished."""
        with files.naming(self._folder):
            self._writer.abort()


def _new(kind: str, **fields: Any) -> Any:
    return ROS_TYPES.types[kind](**fields)


def _image(of: latents.Latents) -> Any:
    header = _new("std_msgs/msg/Header", stamp=_new("builtin_interfaces/msg/Time", sec=0, nanosec=0), frame_id="")
    empty = _new(
        _IMAGE, header=header, height=0, width=0, encoding="", is_bigendian=0, step=0, data=np.zeros(0, np.uint8)
    )
    message = latents.write(empty, of)
    message.data = np.frombuffer(message.data, np.uint8)  # rosbags takes nothing else
    return message
