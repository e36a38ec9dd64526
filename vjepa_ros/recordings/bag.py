"""Bags as one recording, without a ROS graph, and what of them could not be read: nothing vanishes in silence.

What a recording announces (its metadata, index, statistics, checksums) is compared with what was read. It knows message
types and times of recording, not what the messages are for.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from rosbags.serde import SerdeError

from vjepa_ros.errors import BagError, InputError, listed
from vjepa_ros.recordings import opening, zstd_bag
from vjepa_ros.recordings.definitions import ROS_TYPES, Definition, Typestore, typestore
from vjepa_ros.recordings.expanding import ExpandError
from vjepa_ros.recordings.missing import Missing, missing, unread
from vjepa_ros.recordings.opening import Bag
from vjepa_ros.recordings.storage import CDR, Flaw, Storage

_LARGE = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
_MOST_SAID = 5
MOST_PLAIN_BYTES = 16 * 2**20
"""Of a message that is no image: decoded, its small parts take some thirty times their bytes."""


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
            InputError: ``undecodable`` for bytes that are no such message, ``too_large`` for more than one should have.
        """
        if len(self.data) > MOST_PLAIN_BYTES and self.kind not in _LARGE:
            raise InputError("too_large", f"{len(self.data):,} bytes, more than {MOST_PLAIN_BYTES:,}")
        try:
            return self.types.deserialize_cdr(self.data, self.kind)
        except SerdeError as error:
            raise InputError("undecodable", str(error)) from error
        except Exception as error:
            if self.types is ROS_TYPES:
                raise
            raise InputError("undecodable", str(error) or type(error).__name__) from error  # by a stranger's definition


class Recording:
    """Several bags as one recording, in the order of time.

    Args:
        paths: bag folders, or single ``.mcap`` and ``.db3`` files, also with ``.zstd`` behind; or the folder of one
            LeRobotDataset.
        say: is told of what is noted, at once.

    Attributes:
        notes: what was found on the way, one sentence each.
        incomplete: what was announced and could not be read of the topics that were read to their end.

    Raises:
        BagError: naming the bag that cannot be read, and why.
        OSError: where there is no room to decompress a file.
    """

    def __init__(self, paths: Sequence[Path], say: Callable[[str], None] = lambda sentence: None) -> None:
        self.notes: list[str] = []
        self.incomplete: list[Missing] = []
        self._say = say
        self._open = ExitStack()
        self._bags: list[Bag] = []
        try:
            for path in paths:
                known = [file for bag in self._bags for file in bag.identities]
                self._bags.append(opening.open_bag(path, self._open, known))
            self._note()
            alone = next((s.path for s in self._storages() if s.episodes_ns), None)
            if alone is not None and len(self._bags) > 1:
                raise BagError(f"{alone}: a dataset is a recording of its own, with times of its own: give it alone")
            if not any(storage.counts.get(c.topic) for storage in self._storages() for c in storage.channels):
                raise BagError(self._nothing(paths))
        except BaseException:
            self._open.close()
            raise

    def _nothing(self, paths: Sequence[Path]) -> str:
        """Why there is no message, in a sentence."""
        if not any(bag.storages for bag in self._bags):
            lost = [f"{path}: {flaw.what}" for bag in self._bags for path, flaw in bag.flaws]
            more = f"; and {len(lost) - _MOST_SAID:,} more" if len(lost) > _MOST_SAID else ""
            return "; ".join(lost[:_MOST_SAID]) + more
        return "; ".join([f"{', '.join(map(str, paths))}: there is no message in it", *self.notes[:_MOST_SAID]])

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open.close()

    def _storages(self) -> Iterator[Storage]:
        for bag in self._bags:
            yield from bag.storages

    def _note(self, more: Iterable[str] = ()) -> None:
        """Note what was not known before."""
        found = [*more]
        for bag in self._bags:
            found += bag.notes
            for path, flaw in bag.every_flaw():
                found.append(f"{path}: {flaw.what}")
            found += [f"{storage.path}: {note}" for storage in bag.storages for note in storage.notes]
        for sentence in dict.fromkeys(found):
            if sentence not in self.notes:
                self.notes.append(sentence)
                self._say(sentence)

    def _kinds(self) -> dict[str, set[tuple[str, str]]]:
        """(type, serialisation) of every topic, by name; more than one where bags do not agree."""
        kinds: dict[str, set[tuple[str, str]]] = {}
        for storage in self._storages():
            for channel in storage.channels:
                kinds.setdefault(channel.topic, set()).add((channel.kind, channel.encoding))
        return dict(sorted(kinds.items()))

    @property
    def topics(self) -> dict[str, str]:
        """The type of every topic that can be read, by name."""
        return {
            topic: kind
            for topic, found in self._kinds().items()
            if len(found) == 1
            for kind, encoding in found
            if kind and encoding == CDR
        }

    @property
    def unusable(self) -> dict[str, str]:
        """Why a topic cannot be read, by name: nobody need mind unless it is one of those that are asked for."""
        said = {topic: why for storage in self._storages() for topic, why in storage.unusable.items()}
        for topic, found in self._kinds().items():
            encodings = sorted({encoding for _, encoding in found if encoding != CDR})
            kinds = sorted({kind for kind, _ in found})
            if encodings:
                said[topic] = f"is recorded as {listed(encodings)}, not as {CDR}, which is all that ROS 2 has"
            elif "" in kinds:
                said[topic] = "has a type that is not given, or in two ways"
            elif len(kinds) > 1:
                said[topic] = f"is {' and '.join(kinds)} at once"
        return said

    @property
    def inputs(self) -> dict[str, str]:
        """The topics of the node's inputs, by input, where the recording's format itself says which they are."""
        return {name: topic for storage in self._storages() for name, topic in storage.inputs.items()}

    @property
    def episodes_ns(self) -> list[int]:
        """Times of recording at which something begins that has nothing to do with what was before; mostly none."""
        return [time_ns for storage in self._storages() for time_ns in storage.episodes_ns]

    def count(self, topics: Collection[str]) -> int:
        """How many messages these topics have, as far as is known before they are read."""
        return sum(storage.counts.get(topic, 0) for storage in self._storages() for topic in set(topics))

    def messages(self, topics: Collection[str]) -> Iterator[Recorded]:
        """All messages of these topics, in the order of time; behind the last one, ``incomplete`` is whole.

        Raises:
            BagError: for a topic that cannot be read, or that has another definition of its type than ROS 2.
            OSError: where there is no room for what does not fit into memory.
        """
        for topic, why in self.unusable.items():
            if topic in topics:
                raise BagError(f"{topic}: {why}")
        streams: list[Iterator[Recorded]] = []
        read: dict[Storage, Counter[str]] = {}
        for bag in self._bags:
            _require_definitions(bag, topics)
            for storage in bag.storages:
                counts = read[storage] = Counter()
                if any(channel.topic in topics for channel in storage.channels):
                    streams.append(_messages(storage, topics, counts, _types(storage, topics)))
        if len(streams) == 1:  # as nearly always
            yield from streams[0]
        else:
            yield from heapq.merge(*streams, key=lambda recorded: recorded.received_ns)
        self._compare(topics, read)

    def _compare(self, topics: Collection[str], read: dict[Storage, Counter[str]]) -> None:
        self._note(unread(self._bags, topics))
        for found in missing(self._bags, sorted(set(topics)), read):
            if found not in self.incomplete:
                self.incomplete.append(found)
                if str(found) not in self.notes:
                    self._say(str(found))


def _require_definitions(bag: Bag, topics: Collection[str]) -> None:
    """Refuse messages of types that are defined in another way."""
    for storage in bag.storages:
        for channel in storage.channels:
            digest = channel.digest or (bag.metadata.digests.get(channel.topic, "") if bag.metadata else "")
            if channel.topic not in topics or channel.kind not in ROS_TYPES.fielddefs or not digest:
                continue
            if digest != ROS_TYPES.hash_rihs01(channel.kind):
                raise BagError(f"{bag.path}: {channel.topic} has another definition of {channel.kind} than ROS 2")


def _types(storage: Storage, topics: Collection[str]) -> Typestore:
    """What the messages of a file are decoded by."""
    wanted = [channel for channel in storage.channels if channel.topic in topics]
    definitions = [Definition(c.topic, c.kind, c.definition, c.definition_format == "ros2idl") for c in wanted]
    return typestore(str(storage.path), definitions)


def _messages(storage: Storage, topics: Collection[str], counts: Counter[str], types: Typestore) -> Iterator[Recorded]:
    """Those of a file, decompressed and counted."""
    damaged: Counter[str] = Counter()
    for received_ns, channel, data in storage.messages(topics):
        try:
            message = zstd_bag.message(data)
        except ExpandError:
            damaged[channel.topic] += 1
            continue
        counts[channel.topic] += 1
        yield Recorded(channel.topic, channel.kind, received_ns, message, types)
    for topic, count in damaged.items():
        said = f"{count:,} messages of {topic} are damaged, or too large, when they are decompressed"
        storage.flaw(Flaw(said, frozenset([topic]), announced=count, read=0, whatever=True))
