"""Bags that are written here, so that ``ros2 bag play`` plays them: mcap, with what a publisher offers. No ROS graph.

It knows no topic and no message by name, but for the header that many have.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from vjepa_ros import files
from vjepa_ros.recordings.definitions import ROS_TYPES
from vjepa_ros.units import S_TO_NS

_NEVER = QosTime(9223372036, 854775807)  # RMW_DURATION_INFINITE


def new(kind: str, **fields: Any) -> Any:
    """A message of a type, such as ``sensor_msgs/msg/Image``."""
    return ROS_TYPES.types[kind](**fields)


def header(stamp_ns: int = 0, frame_id: str = "") -> Any:
    """A ``std_msgs/msg/Header``."""
    sec, nanosec = divmod(stamp_ns, S_TO_NS)
    stamp = new("builtin_interfaces/msg/Time", sec=sec, nanosec=nanosec)
    return new("std_msgs/msg/Header", stamp=stamp, frame_id=frame_id)


class BagWriter:
    """Writes messages as a bag.

    Args:
        folder: the bag, a folder that is not there yet.
        compressed: whether its chunks are compressed, by zstd as recorders do it.

    Raises:
        OSError: by every method, where the disk is full or fails; it names the bag.
    """

    def __init__(self, folder: Path, *, compressed: bool = False) -> None:
        self._folder = folder
        self._writer = Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP)
        if compressed:
            self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        with files.naming(folder):
            self._writer.open()

    def topic(self, name: str, kind: str, depth: int, *, latched: bool = False) -> Connection:
        """A topic to write to, as a reliable publisher offers it.

        Args:
            name: the topic's.
            kind: of its messages, such as ``sensor_msgs/msg/Image``.
            depth: how many messages the publisher keeps.
            latched: whether it sends them to those that come later, too.
        """
        durability = QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE
        automatic, keep, reliable = QosLiveliness.AUTOMATIC, QosHistory.KEEP_LAST, QosReliability.RELIABLE
        qos = [Qos(keep, depth, reliable, durability, _NEVER, _NEVER, automatic, _NEVER, False)]
        return self._writer.add_connection(name, kind, typestore=ROS_TYPES, offered_qos_profiles=qos)

    def write(self, connection: Connection, at_ns: int, message: Any) -> None:
        """Write a message as received at a time."""
        data = ROS_TYPES.serialize_cdr(message, connection.msgtype)
        with files.naming(self._folder):
            self._writer.write(connection, at_ns, data)

    def close(self) -> None:
        """Finish the bag; without it there is none."""
        with files.naming(self._folder):
            self._writer.close()

    def abort(self) -> None:
        """Close the files of a bag that will not be finished."""
        with files.naming(self._folder):
            self._writer.abort()
