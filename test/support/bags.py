"""Bags written from the sample bag: as it is, in every format, and as a worse recording would have been."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import lz4.frame
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from support.recorded import BAG, CAMERA, COMMANDS, STATES

MS, S = 10**6, 10**9
TYPES = get_typestore(Stores.ROS2_JAZZY)
TOPICS = (CAMERA, COMMANDS, STATES)


class Message(NamedTuple):
    """A message of a bag: when it was recorded, where, and what it says."""

    received_ns: int
    topic: str
    kind: str
    stamp_ns: int
    data: Any


def sample() -> list[Message]:
    """The messages of the sample bag."""
    with AnyReader([BAG], default_typestore=TYPES) as reader:
        found = []
        for connection, received_ns, raw in reader.messages():
            message: Any = reader.deserialize(raw, connection.msgtype)
            stamp_ns = message.header.stamp.sec * S + message.header.stamp.nanosec
            found.append(Message(received_ns, connection.topic, connection.msgtype, stamp_ns, message))
        return found


def write(folder: Path, messages: list[Message], plugin: str = "mcap", compression: str = "", version: int = 9) -> Path:
    """Write a bag; ``compression`` is none, "zstd" or "lz4" of mcap's chunks, or "file" or "message" of rosbag2."""
    mode = {"zstd": "STORAGE", "file": "FILE", "message": "MESSAGE"}.get(compression, "NONE")
    writer = Writer(folder, version=version, storage_plugin=StoragePlugin[plugin.upper()])
    writer.set_compression(CompressionMode[mode], CompressionFormat.ZSTD)
    with writer:
        if compression == "lz4":  # rosbags reads it, as rosbag2 writes it, but has no option to write it
            writer.storage.compression, writer.storage.compressor = "lz4", lz4.frame.compress
        connections = {}
        for message in sorted(messages, key=lambda m: m.received_ns):
            if message.topic not in connections:
                connections[message.topic] = writer.add_connection(message.topic, message.kind, typestore=TYPES)
            if hasattr(message.data, "header"):
                stamp = message.data.header.stamp
                stamp.sec, stamp.nanosec = divmod(message.stamp_ns, S)
            data = TYPES.serialize_cdr(message.data, message.kind)
            writer.write(connections[message.topic], message.received_ns, data)
    return folder


# -- worse recordings; seeded, so that they are the same in every run


def jitter(messages: list[Message]) -> list[Message]:
    """The camera's stamps and the arrival of everything are off by up to 20 ms."""
    rng = random.Random(1)
    return [
        m._replace(
            stamp_ns=m.stamp_ns + (rng.randint(-20, 20) * MS if m.topic == CAMERA else 0),
            received_ns=m.received_ns + rng.randint(0, 4) * MS,
        )
        for m in messages
    ]


def drop_outs(messages: list[Message]) -> list[Message]:
    """Every message is lost with a chance of 15 %, and for a second and a half no command arrives."""
    rng = random.Random(2)
    start_ns = messages[0].received_ns
    kept = [m for m in messages if rng.random() > 0.15]
    return [m for m in kept if m.topic != COMMANDS or not 6 * S < m.received_ns - start_ns < 7.5 * S]


def reordering(messages: list[Message]) -> list[Message]:
    """Frames overtake each other within 100 ms; the joints' topics are 80 ms behind the camera."""
    rng = random.Random(3)
    return [
        m._replace(received_ns=m.received_ns + (rng.randint(0, 100) if m.topic == CAMERA else 180) * MS)
        for m in messages
    ]


def loop(messages: list[Message]) -> list[Message]:
    """Played twice: the stamps jump back, the recording goes on."""
    later_ns = messages[-1].received_ns - messages[0].received_ns + 50 * MS
    return messages + [m._replace(received_ns=m.received_ns + later_ns) for m in messages]


def stall(messages: list[Message]) -> list[Message]:
    """The camera stands still for 2 s, then sends what it saw since, and later for 3 s, and sends nothing of it."""
    start_ns = messages[0].received_ns
    out = []
    for m in messages:
        at_s = (m.received_ns - start_ns) / S
        if m.topic == CAMERA and 2.0 < at_s < 4.0:
            out.append(m._replace(received_ns=start_ns + round((3.95 + (at_s - 2.0) * 0.02) * S)))
        elif m.topic != CAMERA or not 7.0 < at_s < 10.0:
            out.append(m)
    return out


def unchanged(messages: list[Message]) -> list[Message]:
    """As it is."""
    return messages


WORSE: tuple[Callable[[list[Message]], list[Message]], ...] = (jitter, drop_outs, reordering, loop, stall)
