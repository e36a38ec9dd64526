"""Compares what a recording announces with what was read of it. It reads nothing, and knows no format.

Where a file says how many messages a topic has, and as many were read, nothing of it is missing, whatever else is wrong
with the file. Where it does not say, whatever is wrong may have cost something. Of topics that nobody reads nothing is
missing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from vjepa_ros.errors import listed, named
from vjepa_ros.recordings.metadata import NAME
from vjepa_ros.recordings.opening import Bag
from vjepa_ros.recordings.storage import Storage


@dataclass(frozen=True)
class Missing:
    """A difference between what was announced and what was read.

    Attributes:
        file: what announced it, or could not be read.
        what: it, in words, without the file's name.
        topic: which it is about; None where it may be any.
        announced, read: numbers of messages, where they are known.
    """

    file: str
    what: str
    topic: str | None = None
    announced: int | None = None
    read: int | None = None

    def __str__(self) -> str:
        return f"{self.file}: {self.what}"


def missing(bags: Sequence[Bag], topics: Sequence[str], read: Mapping[Storage, Mapping[str, int]]) -> Iterator[Missing]:
    """What is missing of topics that were read to their end.

    Args:
        bags: what was read.
        topics: their names.
        read: how many messages came, by file and topic.
    """
    for bag in bags:
        by_file = {storage: _differences(storage, topics, read[storage]) for storage in bag.storages}
        together = _together(bag, topics, read)
        for storage in bag.storages:
            yield from by_file[storage]
        explained = {
            topic: sum(
                (m.announced or 0) - (m.read or 0) for found in by_file.values() for m in found if m.topic == topic
            )
            for topic in topics
        }
        for found in together:
            if (found.announced or 0) - (found.read or 0) != explained[found.topic or ""]:
                yield found
        bag_is_whole = _has_all(bag, topics) and not together
        for path, flaw in bag.flaws:
            if flaw.whatever or not bag_is_whole:
                yield Missing(str(path), flaw.what, None, flaw.announced, flaw.read)
        for storage in bag.storages:
            is_whole = bag_is_whole or (storage.announced is not None and not by_file[storage])
            for flaw in storage.flaws:
                concerned = flaw.topics is None or not flaw.topics.isdisjoint(topics)
                if concerned and (flaw.whatever or not is_whole):
                    yield Missing(str(storage.path), flaw.what, None, flaw.announced, flaw.read)


def unread(bags: Sequence[Bag], topics: Collection[str]) -> Iterator[str]:
    """What metadata announces beside the topics that are read, and is not there: sentences, and nothing is missing."""
    for bag in bags:
        counts = {} if bag.metadata is None else bag.metadata.counts
        there = {t: sum(storage.counts.get(t, 0) for storage in bag.storages) for t in counts if t not in topics}
        found = [f"{named(t)} ({counts[t]:,} announced, {number:,} there)" for t, number in there.items()
                 if number != counts[t]]  # fmt: skip
        if found:
            yield f"{bag.path / NAME}: {listed(found, show=str)}: not read, so nothing of it is missing"
        if bag.metadata is not None and counts and bag.metadata.total not in (None, sum(counts.values())):
            yield (
                f"{bag.path / NAME}: {bag.metadata.total:,} messages are announced in all, "
                f"and {sum(counts.values()):,} by topic"
            )


def _differences(storage: Storage, topics: Sequence[str], read: Mapping[str, int]) -> list[Missing]:
    """Where a file has another number of messages than it says."""
    if storage.announced is None:
        return []
    numbers = {topic: (storage.announced.get(topic, 0), read.get(topic, 0)) for topic in topics}
    return [_difference(str(storage.path), topic, *pair) for topic, pair in numbers.items() if pair[0] != pair[1]]


def _together(bag: Bag, topics: Sequence[str], read: Mapping[Storage, Mapping[str, int]]) -> list[Missing]:
    """Where all files of a bag have another number of messages than its metadata says."""
    if bag.metadata is None:
        return []
    counts = bag.metadata.counts
    numbers = {t: (counts[t], sum(read[s].get(t, 0) for s in bag.storages)) for t in topics if t in counts}
    return [_difference(str(bag.path / NAME), t, *pair) for t, pair in numbers.items() if pair[0] != pair[1]]


def _has_all(bag: Bag, topics: Sequence[str]) -> bool:
    """Whether the metadata speaks of all of these topics that the bag may have."""
    counts = {} if bag.metadata is None else bag.metadata.counts
    there = {channel.topic for storage in bag.storages for channel in storage.channels}
    return bool(counts) and all(topic in counts for topic in topics if topic in there)


def _difference(file: str, topic: str, announced: int, read: int) -> Missing:
    what = f"{topic}: {announced:,} messages are announced, and {read:,} were read"
    return Missing(file, what, topic, announced, read)
