"""What every file of messages is to those that read it: channels, what it announces, its messages in the order of time,
and what is wrong with it. It knows no format, and opens nothing.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CDR = "cdr"
"""The serialisation of ROS 2, and the only one that is read."""
MOST_MESSAGE_BYTES = 256 * 2**20
MOST_RECEIVED_NS = 2**63 - 1
"""Times of recording are from 0 to here: what ROS has room for."""

_NAME = re.compile(r"[!-~]{1,256}")  # what can be printed, without spaces: no topic of ROS has anything else
_KIND = re.compile(r"(\w{1,256})/(?:(msg)/)?(\w{1,256})", re.ASCII)


@dataclass(frozen=True)
class Channel:
    """What messages of one kind on one topic come through.

    Attributes:
        topic, kind: its name and type, such as ``sensor_msgs/msg/Image``; the type is empty where none is given.
        encoding: how messages are serialised, ``cdr`` for those of ROS 2.
        digest: of the type's definition, as ROS 2 makes it; empty where none is given.
        definition, definition_format: of the type, and ``ros2msg`` or ``ros2idl``; empty where none is given.
    """

    topic: str
    kind: str
    encoding: str = CDR
    digest: str = ""
    definition: str = ""
    definition_format: str = ""


@dataclass(frozen=True)
class Flaw:
    """What is wrong with a file.

    Attributes:
        what: in words, without the file's name.
        topics: those that it may have cost messages of; None where nobody can tell.
        announced, read: how many messages should be there and are, where it is known.
        whatever: it counts even where as many messages were read as were announced.
    """

    what: str
    topics: frozenset[str] | None = None
    announced: int | None = None
    read: int | None = None
    whatever: bool = False


MOST_FLAWS = 20
MORE_FLAWS = Flaw("more of it cannot be read further on")


Stored = tuple[int, Channel, bytes]
"""A message as it lies in a file: its time of recording in ns, where it came through, and its bytes."""


class Unreadable(Exception):
    """A file that nothing can be read of; the message is a sentence without its name."""


class Storage(ABC):
    """A file of messages.

    Args:
        path: how the file is called to people.

    Attributes:
        channels: what is in it, also what cannot be used.
        announced: how many messages of each topic the file says that it has; None where it does not say.
        counts: the same, counted where it does not say; for progress.
        flaws: what was found to be wrong so far, each once.
        notes: what was found and costs nothing.
        unusable: why something in it cannot be read, by the topic that it would have, as the rest of a sentence.
        inputs: topics of the node's inputs (``joint_commands``, ...), where the format itself says which they are.
        episodes_ns: times of recording at which something begins that has nothing to do with what was before; empty
            where all of it is one. What has them is a recording of its own.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.channels: list[Channel] = []
        self.announced: Mapping[str, int] | None = None
        self.counts: Mapping[str, int] = {}
        self.flaws: dict[Flaw, None] = {}
        self.notes: list[str] = []
        self.unusable: Mapping[str, str] = {}
        self.inputs: Mapping[str, str] = {}
        self.episodes_ns: Sequence[int] = ()

    def flaw(self, found: Flaw) -> None:
        """Note what is wrong; the first ones one by one."""
        self.flaws.setdefault(found if len(self.flaws) < MOST_FLAWS or found in self.flaws else MORE_FLAWS)

    @abstractmethod
    def messages(self, topics: Collection[str]) -> Iterator[Stored]:
        """The messages of these topics, in the order of time; what cannot be read is left out, and becomes a flaw.

        Raises:
            OSError: where there is no room for what does not fit into memory.
        """

    @abstractmethod
    def close(self) -> None:
        """Close the file."""


def named(topic: str, kind: str, encoding: str, **more: str) -> Channel | None:
    """A channel by the names that stand in a file; None for a topic that cannot be one of ROS."""
    if not _NAME.fullmatch(topic):
        return None
    found = _KIND.fullmatch(kind)
    full = f"{found[1]}/msg/{found[3]}" if found else ""
    return Channel(topic, full, encoding if _NAME.fullmatch(encoding) else "", **more)


def reason(error: Exception) -> str:
    """What an exception of a library says, as the end of a sentence."""
    said = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
    return said if len(said) <= 200 else f"{said[:200]}..."
