"""Types that are no part of ROS 2's own, as a recording itself defines them: those of controllers.

A definition is input that nobody vouches for, and rosbags makes Python code of it. So it is only asked for the types
that somebody reads here, and only names and fields of it are used. It knows no files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore

from vjepa_ros.config.inputs import CAMERAS, CONTROLLER_STATE, DYNAMIC_JOINT_STATE
from vjepa_ros.errors import BagError, quoted

Typestore = Any
"""Types by name; the class of rosbags has no public name for what is used of it."""

ROS_TYPES: Typestore = get_typestore(Stores.ROS2_JAZZY)
"""The types of ROS 2 itself."""

_MOST_CHARACTERS = (
    100_000  # of a definition, with those of the types that it is made of; those of ROS have a few thousand
)
_MOST_TYPES = 50
_NAME = re.compile(r"[A-Za-z]\w{0,100}(/[A-Za-z]\w{0,100}){0,2}", re.ASCII)

_POINT = (Nodetype.NAME, "trajectory_msgs/msg/JointTrajectoryPoint")
_TEXTS = (Nodetype.SEQUENCE, ((Nodetype.BASE, ("string", 0)), 0))
_HEADER = {"header": (Nodetype.NAME, "std_msgs/msg/Header")}
_INTERFACES = "control_msgs/msg/InterfaceValue"
# What is read of these types, whatever else they have; of alternatives, one is enough.
_READ: dict[str, tuple[dict[str, Any], ...]] = {
    DYNAMIC_JOINT_STATE: (
        _HEADER | {"joint_names": _TEXTS, "interface_values": (Nodetype.SEQUENCE, ((Nodetype.NAME, _INTERFACES), 0))},
    ),
    _INTERFACES: (
        {"interface_names": _TEXTS, "values": (Nodetype.SEQUENCE, ((Nodetype.BASE, ("float64", 0)), 0))},
    ),
    CAMERAS["ffmpeg"].ros_type: (
        _HEADER | {
            "encoding": (Nodetype.BASE, ("string", 0)), "pts": (Nodetype.BASE, ("uint64", 0)),
            "data": (Nodetype.SEQUENCE, ((Nodetype.BASE, ("uint8", 0)), 0)),
        },
    ),
    CONTROLLER_STATE: (
        _HEADER | {"joint_names": _TEXTS, "reference": _POINT, "feedback": _POINT},
        _HEADER | {"joint_names": _TEXTS, "desired": _POINT, "actual": _POINT},  # before 2023
    ),
}  # fmt: skip


class Definition(NamedTuple):
    """How a recording defines the type of a topic.

    Attributes:
        topic, kind: the topic and the name of its type, such as ``control_msgs/msg/DynamicJointState``.
        text: the definition, followed by those of the types that it is made of; empty where there is none.
        is_idl: whether it is written in IDL, rather than as a ``.msg`` file.
    """

    topic: str
    kind: str
    text: str
    is_idl: bool


def typestore(where: str, wanted: Iterable[Definition]) -> Typestore:
    """The types that messages are decoded by: those of ROS 2, and others as they are defined here.

    Args:
        where: the recording's name, for what is said of it.
        wanted: those of the topics that are read.

    Raises:
        BagError: for a type that is neither, or is defined otherwise than it is read.
    """
    foreign = {definition.kind: definition for definition in wanted if definition.kind not in ROS_TYPES.fielddefs}
    if not foreign:
        return ROS_TYPES
    store = get_typestore(Stores.ROS2_JAZZY)
    for definition in foreign.values():
        _add(store, definition, f"{where}: {definition.topic}")
    return store


def _add(store: Typestore, definition: Definition, where: str) -> None:
    kind = definition.kind
    if kind not in _READ:
        raise BagError(f"{where} is {quoted(kind)}, which is no type of ROS 2's own")
    if not definition.text:
        raise BagError(
            f"{where}: the recording does not define {kind}, as one with the storage mcap does: it cannot be decoded"
        )
    if len(definition.text) > _MOST_CHARACTERS:
        raise BagError(f"{where}: the definition of {kind} has more than {_MOST_CHARACTERS:,} characters")
    try:
        text = definition.text
        found: dict[str, Any] = get_types_from_idl(text) if definition.is_idl else get_types_from_msg(text, kind)
        # Without constants, which nobody needs.
        types: dict[str, Any] = {name: ([], fields) for name, (_, fields) in found.items()}
        names = [*types, *(name for _, fields in types.values() for name, _ in fields)]
        if len(types) > _MOST_TYPES or not all(map(_NAME.fullmatch, names)):
            raise ValueError("it has too many types, or names that are none")
        store.register(types)
    # The parser and the store each have exceptions of their own, and their code meets a stranger's text.
    except Exception as error:
        said = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise BagError(f"{where}: the definition of {kind} in the recording cannot be used: {said}") from error
    for name, alternatives in _READ.items():
        if name in types and not any(_has(types[name][1], needed) for needed in alternatives):
            raise BagError(f"{where}: the recording defines {name} without what is read of it")


def _has(fields: Iterable[tuple[str, Any]], needed: dict[str, Any]) -> bool:
    """Whether a type has these fields."""
    own = dict(fields)
    return all(name in own and own[name] == wanted for name, wanted in needed.items())
