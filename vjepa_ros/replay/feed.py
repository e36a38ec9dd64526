"""From a recording to windows, message by message, as the node makes them: what every tool that reads bags begins with.

It knows bags, topics and the stream, not what becomes of the windows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vjepa_ros import devices
from vjepa_ros.bag import Recorded, Recording
from vjepa_ros.engine import WorldModel
from vjepa_ros.errors import InputError
from vjepa_ros.forecast import load_model
from vjepa_ros.node_config import NodeConfig, resolve
from vjepa_ros.replay import topics
from vjepa_ros.stream.intake import Decode, Intake, Take
from vjepa_ros.stream.preprocess import Preprocess
from vjepa_ros.stream.window import Window

Say = Callable[[str], None]
"""Is told, once each, of what people should know."""


@dataclass(frozen=True)
class Source:
    """A recording that is open, and how it is read.

    Attributes:
        recording: the bags.
        chosen: the topics that are read.
        values: the node's parameters, by name; the image transport is that of the chosen topic.
        config: what they say.
    """

    recording: Recording
    chosen: topics.Topics
    values: dict[str, Any]
    config: NodeConfig

    @property
    def count(self) -> int:
        """How many messages will be read."""
        return self.recording.count(self.chosen.all)

    @property
    def named(self) -> dict[str, str]:
        """The topics, for a report."""
        return {"image": self.chosen.image, **self.chosen.inputs, "transport": self.chosen.transport}


def open_source(
    bags: Sequence[Path], values: Mapping[str, Any], given: Mapping[str, str], say: Say, stack: ExitStack
) -> Source:
    """Open a recording and find its topics.

    Args:
        bags: together one recording.
        values: the node's parameters, by name.
        given: topics of the inputs (``image``, ``joint_states``, ...) that are not to be found by name and type.
        say: is told what was found.
        stack: closes the recording.

    Raises:
        BagError: for a recording that cannot be used.
        ConfigError: naming a parameter that makes no sense.
    """
    recording = stack.enter_context(Recording(bags))
    for note in recording.notes:
        say(note)
    chosen = topics.choose(recording.topics, resolve(values).stream, given)
    values = {**values, "image_transport": chosen.transport}
    source = Source(recording, chosen, values, resolve(values))
    say(f"reads {', '.join(chosen.all)}: {source.count:,} messages")
    return source


def load(config: NodeConfig, say: Say) -> WorldModel:
    """The model, warm; what must be known about it is said.

    Raises:
        ConfigError: naming the parameter at fault.
    """
    devices.use_threads(config.threads)
    for warning in config.convention_warnings:
        say(f"override_convention: {warning}")
    model = load_model(config)
    if not model.trained:
        say(model.notice)
    return model


class Feed:
    """Takes the messages of a recording and gives the windows.

    Args:
        config: what the parameters say.
        chosen: the topics.
        fallback: decodes raw images of encodings that the package does not know.
        say: is told of what happens to messages.

    Attributes:
        intake: with the stream and its counters.
        messages: how many came, by topic.
    """

    def __init__(self, config: NodeConfig, chosen: topics.Topics, fallback: Decode | None, say: Say) -> None:
        preprocess = Preprocess(config.model.preprocessing, config.model.image_size, config.view)
        self.intake = Intake(config.stream, preprocess, self.report, config.offsets_s, config.max_skew_s, fallback)
        self.messages: Counter[str] = Counter()
        is_raw = chosen.transport == "raw"
        self._take: dict[str, Take] = {topic: self.intake.take[name] for name, topic in chosen.inputs.items()}
        self._take[chosen.image] = self.intake.image if is_raw else self.intake.compressed_image
        self._say = say
        self._told: set[tuple[str, str]] = set()

    def take(self, recorded: Recorded) -> list[Window]:
        """Take in the next message; the windows that it completed. One that cannot be used is counted and reported."""
        self.messages[recorded.topic] += 1
        try:
            message = recorded.message()
        except InputError as error:
            self.intake.counters.rejected[recorded.topic, error.reason] += 1
            self.report(recorded.topic, error.reason, error.detail)
            return []
        return self._take[recorded.topic](recorded.topic, message, recorded.received_ns)

    def report(self, topic: str, reason: str, detail: str) -> None:
        """Say what happened to a message, once for each topic and reason: counters count the rest."""
        if (topic, reason) not in self._told:
            self._told.add((topic, reason))
            self._say(f"{topic}: {reason}: {detail}")
