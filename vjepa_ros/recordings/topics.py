"""Which topics of a recording are camera, commands and states: the given ones, else by name, the camera by type too.

It knows names and types of topics, no messages.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from vjepa_ros.config.inputs import CAMERAS
from vjepa_ros.config.stream import StreamConfig
from vjepa_ros.errors import BagError

IMAGE = "image"
"""The input that the camera is, whichever way its frames come in."""

_MOST = 30  # topics in one sentence
# Images and a text, where a live run was recorded.
_OWN = ("predicted_latents", "context_latents", "goal_image", "latent_info")


def _endings(name: str) -> tuple[str, ...]:
    """How the topics end that are named as the node names this input."""
    return tuple(f"/{row.topic}" for row in CAMERAS.values()) if name == IMAGE else (f"/{name}",)


@dataclass(frozen=True)
class Topics:
    """The topics that are read.

    Attributes:
        image: name of the camera's.
        inputs: names of the others, by the node's own names for them.
        transport: the value of ``image_transport`` that the type of the image topic stands for.
    """

    image: str
    inputs: Mapping[str, str]
    transport: str

    @property
    def all(self) -> tuple[str, ...]:
        """Their names."""
        return (self.image, *self.inputs.values())


def choose(
    kinds: Mapping[str, str],
    config: StreamConfig,
    given: Mapping[str, str],
    elsewhere: Collection[str] = (),
    unusable: Mapping[str, str] | None = None,
) -> Topics:
    """Find the topics.

    One that is not given is the one that is named like the node's input and has its type. The camera is the only topic
    of images, since cameras have names of their own; of several, one may be what a detector drew, whatever its name.
    Nothing else is guessed by its type, for commands, states and setpoints of another part of the robot look alike.

    Args:
        kinds: type by topic, of the whole recording.
        config: says what is read, and of which type the commands are.
        given: name by input (``image``, ``joint_commands``, ``joint_states``, ...), for those that are given.
        elsewhere: inputs that are read, and come from somewhere else than the recording.
        unusable: why a topic cannot be read, by name, for those that are not in ``kinds``.

    Raises:
        BagError: for a topic that is missing, of a wrong type, or not the only one; it names those that are there, and
            where to say which by the name of the field, such as ``topics.image``.
    """
    unusable = unusable or {}
    names = [name for name in config.inputs if name not in elsewhere]
    inputs: dict[str, tuple[str, ...]] = {name: (config.ros_type(name),) for name in names}
    inputs[IMAGE] = tuple(row.ros_type for row in CAMERAS.values())
    found = {
        name: _given(kinds, name, wanted, given[name], unusable) for name, wanted in inputs.items() if name in given
    }
    for name, wanted in inputs.items():
        if name not in found:
            found[name] = _find(kinds, name, wanted, set(found.values()), unusable)
    transport = next(name for name, row in CAMERAS.items() if row.ros_type == kinds[found[IMAGE]])
    return Topics(found[IMAGE], {name: found[name] for name in names}, transport)


def _given(
    kinds: Mapping[str, str], name: str, wanted: tuple[str, ...], topic: str, unusable: Mapping[str, str]
) -> str:
    if topic in unusable:
        raise BagError(f"`topics.{name}`: {topic} {unusable[topic]}")
    if topic not in kinds:
        raise BagError(f"`topics.{name}`: there is no topic {topic}; {_there(kinds, wanted)}")
    if kinds[topic] not in wanted:
        raise BagError(f"`topics.{name}`: {topic} is {kinds[topic]}, not {' or '.join(wanted)}")
    return topic


def _find(
    kinds: Mapping[str, str],
    name: str,
    wanted: tuple[str, ...],
    taken: Collection[str],
    unusable: Mapping[str, str],
) -> str:
    what, field = f"{name} ({' or '.join(wanted)})", f"`topics.{name}`"
    named = [topic for topic in kinds if topic.endswith(_endings(name)) and topic not in taken]
    typed = [topic for topic in kinds if kinds[topic] in wanted and topic.rsplit("/", 1)[-1] not in _OWN]
    named_and_typed = [topic for topic in named if kinds[topic] in wanted]
    wrong = {topic: f"{topic} is {kinds[topic]}, not {' or '.join(wanted)}" for topic in named}
    wrong |= {topic: f"{topic} {why}" for topic, why in unusable.items() if topic.endswith(_endings(name))}
    if wrong and not named_and_typed:
        raise BagError(f"{'; '.join(list(wrong.values())[:_MOST])}: if {name} is another topic, say which with {field}")
    candidates = [topic for topic in typed if topic not in taken] if name == IMAGE else named_and_typed
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        raise BagError(f"{_cut(candidates)} could each be {what}: say which with {field}")
    if typed:
        raise BagError(f"there is no topic named like {what}: say which it is with {field}; {_there(kinds, wanted)}")
    raise BagError(f"there is no topic for {what}; {_there(kinds, wanted)}")


def _there(kinds: Mapping[str, str], wanted: tuple[str, ...]) -> str:
    """The topics, those of the right type first."""
    ordered = sorted(kinds, key=lambda topic: kinds[topic] not in wanted)
    return f"there are {_cut([f'{topic} ({kinds[topic]})' for topic in ordered])}"


def _cut(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return ", ".join(names[:_MOST]) + more
