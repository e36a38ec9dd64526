"""Bags in and out, without a ROS graph: recordings are read, and what the node would publish is written.

rosbag2 in mcap and sqlite3, as ``rosbags`` reads them. It knows message types and times of recording, not what the
messages are for.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Protocol

import numpy as np
from rosbags.interfaces import (
    Connection,
    MessageDefinitionFormat,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import Reader, ReaderError, StoragePlugin, Writer
from rosbags.serde import SerdeError

from vjepa_ros import files, latents
from vjepa_ros.errors import BagError, InputError
from vjepa_ros.recordings import zstd_bag
from vjepa_ros.recordings.cut_mcap import CutMcap
from vjepa_ros.recordings.definitions import ROS_TYPES, Definition, Typestore, typestore

_SUFFIXES = (".mcap", ".db3")
_NEVER = QosTime(9223372036, 854775807)  # RMW_DURATION_INFINITE
_TYPES = ROS_TYPES
IMAGE, STRING, DIAGNOSTICS = "sensor_msgs/msg/Image", "std_msgs/msg/String", "diagnostic_msgs/msg/DiagnosticArray"


@dataclass(frozen=True)
class Recorded:
    """One message of a recording.

    Attributes:
        topic, kind: its topic and type, such as ``sensor_msgs/msg/Image``.
        received_ns: when it was recorded.
        data: the serialised message.
        types: what it is decoded by.
    """

    topic: str
    kind: str
    received_ns: int
    data: bytes
    types: Typestore = field(default=ROS_TYPES, repr=False, compare=False)

    def message(self) -> Any:
        """The message, with the fields of its type.

        Raises:
            InputError: ``undecodable`` for bytes that are no such message.
        """
        try:
            return self.types.deserialize_cdr(self.data, self.kind)
        except SerdeError as error:
            raise InputError("undecodable", str(error)) from error
        except Exception as error:
            if self.types is ROS_TYPES:
                raise
            raise InputError("undecodable", str(error) or type(error).__name__) from error  # by a stranger's definition


class _Source(Protocol):
    """What a file or folder is read by."""

    @property
    def connections(self) -> list[Connection]: ...

    def messages(self, connections: Collection[Connection]) -> Iterator[tuple[Connection, int, bytes]]: ...


class Recording:
    """Several bags as one recording, in the order of time.

    Args:
        paths: bag folders, or single ``.mcap`` and ``.db3`` files, also with ``.zstd`` behind.

    Attributes:
        notes: what was found on the way and does not hold up the reading, one sentence each.

    Raises:
        BagError: naming the bag that cannot be read, and why.
        OSError: where there is no room to decompress a file.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.notes: list[str] = []
        self._open = ExitStack()
        self._sources: list[tuple[Path, _Source]] = []
        try:
            for path in paths:
                self._add(path)
        except BaseException:
            self._open.close()
            raise
        names = ", ".join(map(str, paths))
        if not any(connection.msgcount for connection in self._connections()):
            self._open.close()
            raise BagError("; ".join([f"{names}: there is no message in it", *self.notes]))

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open.close()

    def _add(self, path: Path) -> None:
        if not path.exists():
            raise BagError(f"{path}: there is no such bag")
        if path.is_dir():
            files = sorted(filter(_is_storage, path.iterdir()))
            try:
                self._sources.append((path, self._open.enter_context(Reader(path))))
                return
            except Exception as error:  # see _messages
                has_metadata = (path / "metadata.yaml").exists()
                if not files and has_metadata:
                    raise _unreadable(path, error) from error
                if not files:
                    raise BagError(f"{path}: holds neither a metadata.yaml nor .mcap or .db3 files") from error
                why = error if has_metadata else "it has no metadata.yaml"
                self.notes.append(f"{path}: its files are read one by one, because {why}")
        else:
            files = [path]
        for file in files:
            self._sources.append((file, self._file(file)))

    def _file(self, path: Path) -> _Source:
        file, whole = path, True
        if path.suffix == zstd_bag.SUFFIX:
            folder = Path(self._open.enter_context(TemporaryDirectory(prefix="vjepa_ros_")))
            try:
                file, whole = zstd_bag.unpack(path, folder)
            except zstd_bag.ZstdError as error:
                raise _unreadable(path, error) from error
        try:
            if not whole:
                raise ReaderError("it was cut off")
            reader: _Source = self._open.enter_context(Reader(file))
            return reader
        except Exception as error:  # see _messages
            if file.suffix != ".mcap":
                raise _unreadable(path, error) from error
        try:
            cut = CutMcap(file)
        except Exception as error:  # see _messages
            raise _unreadable(path, error) from error
        self._open.callback(cut.close)
        total = f"{'' if file == path else 'decompressed '}{cut.total_bytes:,}"
        self.notes.append(
            f"{path}: was cut off; the first {cut.used_bytes:,} of its {total} bytes are whole and are used"
        )
        return cut

    def _connections(self) -> Iterator[Connection]:
        for _, source in self._sources:
            yield from source.connections

    @property
    def topics(self) -> dict[str, str]:
        """The type of every topic, by name.

        Raises:
            BagError: for a topic that has two.
        """
        kinds: dict[str, str] = {}
        for connection in sorted(self._connections(), key=lambda c: c.topic):
            if kinds.setdefault(connection.topic, connection.msgtype) != connection.msgtype:
                raise BagError(f"{connection.topic}: is {kinds[connection.topic]} and {connection.msgtype} at once")
        return kinds

    def count(self, topics: Collection[str]) -> int:
        """How many messages these topics have."""
        return sum(connection.msgcount for connection in self._connections() if connection.topic in topics)

    def messages(self, topics: Collection[str]) -> Iterator[Recorded]:
        """All messages of these topics, in the order of time.

        Raises:
            BagError: where a bag cannot be read any further, or holds another definition of a type.
        """
        streams = []
        for path, source in self._sources:
            wanted = [connection for connection in source.connections if connection.topic in topics]
            if wanted:
                streams.append(_messages(path, source, wanted))
        yield from heapq.merge(*streams, key=lambda recorded: recorded.received_ns)


def _messages(path: Path, source: _Source, connections: list[Connection]) -> Iterator[Recorded]:
    for connection in connections:
        is_known = connection.msgtype in _TYPES.fielddefs
        if is_known and connection.digest and connection.digest != _TYPES.hash_rihs01(connection.msgtype):
            raise BagError(f"{path}: {connection.topic} has another definition of {connection.msgtype} than ROS 2")
    defined = MessageDefinitionFormat
    types = typestore(
        str(path),
        [Definition(c.topic, c.msgtype, c.msgdef.data, c.msgdef.format is defined.IDL) for c in connections],
    )
    try:
        for connection, received_ns, data in source.messages(connections):
            yield Recorded(connection.topic, connection.msgtype, received_ns, zstd_bag.message(data), types)
    # Storages, decompressors and SQLite each have exceptions of their own, some of them of packages that rosbags only
    # uses itself; whichever it is, the bag is broken.
    except Exception as error:
        raise _unreadable(path, error) from error


def _is_storage(path: Path) -> bool:
    """Whether it is a file of messages; one that lies there decompressed too is not counted twice."""
    if path.suffix == zstd_bag.SUFFIX:
        return path.with_suffix("").suffix in _SUFFIXES and not path.with_suffix("").exists()
    return path.suffix in _SUFFIXES


def _unreadable(path: Path, error: Exception) -> BagError:
    reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
    return BagError(f"{path}: cannot be read: {reason}")


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
        self._info = self._topic("latent_info", STRING, latched)
        self._window = self._topic("window_info", DIAGNOSTICS, _qos(10))
        self._predicted = self._topic("predicted_latents", IMAGE, _qos(2))
        self._context = self._topic("context_latents", IMAGE, _qos(2)) if context else None

    def _topic(self, name: str, kind: str, qos: list[Qos]) -> Connection:
        topic = f"{self._name}/{name}"
        return self._writer.add_connection(topic, kind, typestore=_TYPES, offered_qos_profiles=qos)

    def _write(self, connection: Connection, at_ns: int, message: Any) -> None:
        data = _TYPES.serialize_cdr(message, connection.msgtype)
        with files.naming(self._folder):
            self._writer.write(connection, at_ns, data)

    def info(self, text: str, at_ns: int) -> None:
        """Write ``latent_info``, JSON, as published at a time."""
        self._write(self._info, at_ns, _new(STRING, data=text))

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
        self._write(self._window, at_ns, _new(DIAGNOSTICS, header=image.header, status=[status]))
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
    return _TYPES.types[kind](**fields)


def _image(of: latents.Latents) -> Any:
    header = _new("std_msgs/msg/Header", stamp=_new("builtin_interfaces/msg/Time", sec=0, nanosec=0), frame_id="")
    empty = _new(
        IMAGE, header=header, height=0, width=0, encoding="", is_bigendian=0, step=0, data=np.zeros(0, np.uint8)
    )
    message = latents.write(empty, of)
    message.data = np.frombuffer(message.data, np.uint8)  # rosbags takes nothing else
    return message
