"""Which topics of a recording are camera, commands and states: the given ones, else by name and type.

It knows names and types of topics, no messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vjepa_ros.errors import BagError
from vjepa_ros.stream.config import StreamConfig

RAW, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
JOINT_STATE = "sensor_msgs/msg/JointState"
_COMMAND_TYPES = {
    "JointState": JOINT_STATE,
    "JointTrajectory": "trajectory_msgs/msg/JointTrajectory",
    "Float64MultiArray": "std_msgs/msg/Float64MultiArray",
}
# Images too, where a live run was recorded.
_NO_CAMERAS = ("predicted_latents", "context_latents", "goal_image")
_OPTIONS = {"image": "--image", "joint_commands": "--joint-commands", "joint_states": "--joint-states"}
_NAMES = {  # how the node's own inputs end
    "image": ("/image", "/image/compressed"),
    "joint_commands": ("/joint_commands",),
    "joint_states": ("/joint_states",),
}


@dataclass(frozen=True)
class Topics:
    """The topics that are read.

    Attributes:
        image, joint_commands: their names.
        joint_states: its name, None where no states are needed.
        transport: ``raw`` or ``compressed``, by the type of the image topic.
    """

    image: str
    joint_commands: str
    joint_states: str | None
    transport: str

    @property
    def all(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(name for name in (self.image, self.joint_commands, self.joint_states) if name)


def choose(kinds: Mapping[str, str], config: StreamConfig, given: Mapping[str, str]) -> Topics:
    """Find the topics.

    One that is not given is the one that is named like the node's input and has its type; else the only one of the type
    that is left.

    Args:
        kinds: type by topic, of the whole recording.
        config: says of which type the commands are, and whether states are read.
        given: name by input (``image``, ``joint_commands``, ``joint_states``), for those that are given.

    Raises:
        BagError: for a topic that is missing, of a wrong type, or not the only one; it names those that are there.
    """
    inputs: dict[str, tuple[str, ...]] = {}
    if config.reads_joint_states:
        inputs["joint_states"] = (JOINT_STATE,)
    inputs |= {"joint_commands": (_COMMAND_TYPES[config.command_type],), "image": (RAW, COMPRESSED)}
    found = {name: _given(kinds, name, wanted, given[name]) for name, wanted in inputs.items() if name in given}
    candidates = {
        name: [topic for topic, kind in kinds.items() if kind in wanted and topic.rsplit("/", 1)[-1] not in _NO_CAMERAS]
        for name, wanted in inputs.items()
    }
    for name in inputs:  # by name first, so that commands and states, which may have one type, are told apart
        named = [topic for topic in candidates[name] if topic.endswith(_NAMES[name]) and topic not in found.values()]
        if name not in found and len(named) == 1:
            found[name] = named[0]
    for name, wanted in inputs.items():
        if name not in found:
            found[name] = _only(kinds, name, wanted, [t for t in candidates[name] if t not in found.values()])
    transport = "raw" if kinds[found["image"]] == RAW else "compressed"
    return Topics(found["image"], found["joint_commands"], found.get("joint_states"), transport)


def _given(kinds: Mapping[str, str], name: str, wanted: tuple[str, ...], topic: str) -> str:
    if topic not in kinds:
        raise BagError(f"{_OPTIONS[name]}: there is no topic {topic}; {_there(kinds)}")
    if kinds[topic] not in wanted:
        raise BagError(f"{_OPTIONS[name]}: {topic} is {kinds[topic]}, not {' or '.join(wanted)}")
    return topic


def _only(kinds: Mapping[str, str], name: str, wanted: tuple[str, ...], topics: list[str]) -> str:
    if len(topics) == 1:
        return topics[0]
    what = f"{name} ({' or '.join(wanted)})"
    if not topics:
        raise BagError(f"there is no topic for {what}; {_there(kinds)}")
    raise BagError(f"{', '.join(topics)} could each be {what}: say which with {_OPTIONS[name]}")


def _there(kinds: Mapping[str, str]) -> str:
    return "there are " + ", ".join(f"{topic} ({kind})" for topic, kind in kinds.items())
