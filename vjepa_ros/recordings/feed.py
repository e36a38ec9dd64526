"""From a recording to windows, message by message, as the node makes them: what every tool that reads bags begins with.

It knows bags, topics and the stream, not what becomes of the windows.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import vjepa_ros
from vjepa_ros.config.checks import require
from vjepa_ros.config.inputs import CAMERAS
from vjepa_ros.config.node import NodeConfig
from vjepa_ros.config.stream import StreamConfig
from vjepa_ros.documents import Unreadable, read_text
from vjepa_ros.errors import ConfigError, InputError, place
from vjepa_ros.kinematics.urdf import MOST_CHARACTERS
from vjepa_ros.recordings import topics
from vjepa_ros.recordings.bag import Recorded, Recording
from vjepa_ros.recordings.reading import Say
from vjepa_ros.stream.clocks import Setting
from vjepa_ros.stream.intake import Take, build_intake
from vjepa_ros.stream.pictures import Decode
from vjepa_ros.stream.window import EpochCause, Window

_DESCRIPTION = "robot_description"
_CLOCK = "/clock"


@dataclass(frozen=True)
class Source:
    """A recording that is open, and how it is read.

    Attributes:
        bags: where it lies.
        recording: what is in them.
        chosen: the topics that are read.
        config: the node's; the image transport is that of the chosen topic.
        urdf: file that the robot description comes from, where it is no topic of the recording.
    """

    bags: Sequence[Path]
    recording: Recording
    chosen: topics.Topics
    config: NodeConfig
    urdf: Path | None

    @property
    def count(self) -> int:
        """How many messages will be read."""
        return self.recording.count(self.chosen.all)

    @property
    def named(self) -> dict[str, str]:
        """The topics, for a report; and the file that stands for one."""
        file = {} if self.urdf is None else {"urdf": str(self.urdf)}
        return {"image": self.chosen.image, **self.chosen.inputs, "transport": self.chosen.transport, **file}

    @property
    def report(self) -> dict[str, Any]:
        """What every report begins with: what was read, and what of it could not be, as far as reading has come."""
        return {
            "vjepa_ros": vjepa_ros.__version__,
            "bags": [str(path) for path in self.bags],
            "topics": self.named,
            "notes": self.recording.notes,
            "incomplete": [asdict(found) for found in self.recording.incomplete],
        }


def open_source(
    bags: Sequence[Path],
    config: NodeConfig,
    given: Mapping[str, str],
    urdf: Path | None,
    say: Say,
    stack: ExitStack,
) -> Source:
    """Open a recording and find its topics.

    Args:
        bags: together one recording.
        config: the node's.
        given: topics of the inputs (``image``, ``joint_states``, ...) that are not to be found by name and type.
        urdf: file with the robot description, where no topic of the recording is to be read for it.
        say: is told what was found.
        stack: closes the recording.

    Raises:
        BagError: for a recording that cannot be used.
        ConfigError: for a robot description that would not be read, or several cameras.
    """
    require(
        not config.camera.names,
        "cameras", "a recording is read as one camera's: leave it empty, and say which topic is the camera's with "
        "`topics.image`",
    )  # fmt: skip
    _require_use(urdf, config.stream, given)
    recording = stack.enter_context(Recording(bags, say))
    elsewhere = () if urdf is None else (_DESCRIPTION,)
    named = {**recording.inputs, **given}
    chosen = topics.choose(recording.topics, config.stream, named, elsewhere, recording.unusable)
    source = Source(bags, recording, chosen, config.with_transport(chosen.transport), urdf)
    say(f"reads {', '.join(chosen.all)}: {source.count:,} messages")
    return source


def _require_use(urdf: Path | None, config: StreamConfig, given: Mapping[str, str]) -> None:
    """Refuse a file that would not be read, or not alone."""
    if urdf is not None and _DESCRIPTION not in config.inputs:
        raise ConfigError("urdf", "a robot description is read with pose.source: forward_kinematics only")
    if urdf is not None and _DESCRIPTION in given:
        raise ConfigError("urdf", f"the robot description comes from a file or a topic (`topics.{_DESCRIPTION}`)")


def _text(urdf: Path) -> str:
    """What is in the file."""
    try:
        return read_text(urdf, 4 * MOST_CHARACTERS)  # bytes
    except Unreadable as error:
        raise ConfigError("urdf", f"{place(urdf)}: {error}") from error


class Feed:
    """Takes the messages of a recording and gives the windows.

    Args:
        source: the recording, and how it is read.
        fallback: decodes raw images of encodings that the package does not know.
        say: is told of what happens to messages.

    Attributes:
        intake: with the stream and its counters.
        messages: how many came, by topic.

    Raises:
        ConfigError: for a robot description in a file that cannot be used.
        OSError: for a file that cannot be read.
    """

    def __init__(self, source: Source, fallback: Decode | None, say: Say) -> None:
        chosen = source.chosen
        self.intake = build_intake(source.config, self.report, fallback)
        setting = Setting(recorded=True, clock_published=_CLOCK in source.recording.topics)
        self.intake.watch.setting = lambda: setting
        self.messages: Counter[str] = Counter()
        take = self.intake.take
        self._take: dict[str, Take] = {topic: take[name] for name, topic in chosen.inputs.items()}
        self._take[chosen.image] = take[CAMERAS[chosen.transport].topic]
        self._say = say
        self._told: set[tuple[str, str]] = set()
        self._episodes_ns = deque(source.recording.episodes_ns[1:])
        if source.urdf is not None:
            try:
                self.intake.describe(_text(source.urdf))  # as if it were latched: before the first message
            except InputError as error:
                raise ConfigError("urdf", f"{place(source.urdf)}: {error.detail}") from error

    def take(self, recorded: Recorded) -> list[Window]:
        """Take in the next message; the windows that it completed. One that cannot be used is counted and reported."""
        self.messages[recorded.topic] += 1
        if self._episodes_ns and recorded.received_ns >= self._episodes_ns[0]:
            while self._episodes_ns and recorded.received_ns >= self._episodes_ns[0]:
                self._episodes_ns.popleft()
            self.intake.stream.reset(EpochCause.EPISODE)
        try:
            message = recorded.message()
        except InputError as error:
            self.intake.counters.rejected[recorded.topic, error.reason] += 1
            self.report(recorded.topic, error.reason, error.detail)
            return []
        epoch = self.intake.stream.epoch
        windows = self._take[recorded.topic](recorded.topic, message, recorded.received_ns)
        if self.intake.stream.epoch != epoch and self.intake.stream.epoch_cause is EpochCause.STAMPS:
            topic, jump = self.intake.watch.last_jump
            self.report(topic, "time_jumped_back", f"{jump}: everything is reset")
        return windows

    def finish(self) -> None:
        """Say what was lost in all for its stamps: after the last message."""
        for topic, text in self.intake.watch.losses.items():
            self.report(topic, "out_of_order", text)

    def report(self, topic: str, reason: str, detail: str) -> None:
        """Say what happened to a message, once for each topic and reason: counters count the rest."""
        if (topic, reason) not in self._told:
            self._told.add((topic, reason))
            self._say(f"{topic}: {reason}: {detail}")
