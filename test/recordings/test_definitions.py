"""Definitions of types in recordings: those that are read are used, and nobody vouches for them."""

from __future__ import annotations

import pytest
from support import controllers

from vjepa_ros.errors import BagError
from vjepa_ros.recordings.definitions import ROS_TYPES, Definition, typestore

DYNAMIC, STATE = controllers.DYNAMIC, controllers.STATE
INTERFACES = "control_msgs/msg/InterfaceValue"


def whole(kind: str, text: str = "", **parts: str) -> Definition:
    """A definition, with those of the types that it is made of."""
    text = text or controllers.DEFINITIONS[kind]
    for name, part in ({INTERFACES: controllers.DEFINITIONS[INTERFACES]} | parts).items():
        text += f"{'=' * 80}\nMSG: {name}\n{part}"
    return Definition("/x", kind, text, is_idl=False)


def test_types_of_ros_need_no_definition() -> None:
    assert typestore("bag", [Definition("/x", "sensor_msgs/msg/JointState", "nonsense", False)]) is ROS_TYPES


def test_two_recordings_may_define_one_type_in_two_ways() -> None:
    humble = typestore("old", [whole(STATE, controllers.HUMBLE)])
    jazzy = typestore("new", [whole(STATE), whole(DYNAMIC)])
    assert {name for name, _ in humble.fielddefs[STATE][1]} >= {"desired", "actual"}
    assert {name for name, _ in jazzy.fielddefs[STATE][1]} >= {"reference", "feedback"}
    assert STATE not in ROS_TYPES.fielddefs and DYNAMIC in jazzy.fielddefs


def test_packets_of_video_as_ffmpeg_image_transport_defines_them() -> None:
    kind = "ffmpeg_image_transport_msgs/msg/FFMPEGPacket"
    text = (
        "std_msgs/Header header\nint32 width       # original image width\nint32 height\nstring encoding\nuint64 pts\n"
        "uint8  flags\nbool is_bigendian\nuint8[] data\n"
    )
    store = typestore("bag", [Definition("/x", kind, text, is_idl=False)])
    assert {"header", "encoding", "pts", "data"} <= {name for name, _ in store.fielddefs[kind][1]}
    with pytest.raises(BagError, match="without what is read of it"):
        typestore("bag", [Definition("/x", kind, text.replace("uint64 pts\n", ""), is_idl=False)])


def test_constants_are_not_needed() -> None:
    text = controllers.DEFINITIONS[DYNAMIC] + 'string EVIL="a\\"; import os"\nuint8 ONE=1\n'
    store = typestore("bag", [whole(DYNAMIC, text)])
    assert store.fielddefs[DYNAMIC][0] == []


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        (Definition("/x", "other_msgs/msg/Thing", "uint8 x\n", False), "which is no type of ROS 2's own"),
        (Definition("/x", DYNAMIC, "", False), "the recording does not define control_msgs/msg/DynamicJointState"),
        (Definition("/x", DYNAMIC, " " * 100_001, False), "has more than 100,000 characters"),
        (Definition("/x", DYNAMIC, "= this is no definition\n", False), "cannot be used: "),
        (Definition("/x", DYNAMIC, "module x {", True), "cannot be used: "),
        (Definition("/x", DYNAMIC, "uint8 " + "x" * 200 + "\n", False), "cannot be used: "),
        (whole(DYNAMIC, "std_msgs/Header header\nstring[] joint_names\n"), "without what is read of it"),
        (whole(DYNAMIC, controllers.DEFINITIONS[DYNAMIC].replace("string[]", "int32[]")), "without what is read of it"),
        (
            whole(DYNAMIC, **{INTERFACES: "string[] interface_names\n"}),
            "defines control_msgs/msg/Interface",
        ),
        (whole(STATE, "std_msgs/Header header\nstring[] joint_names\n"), "without what is read of it"),
        (whole(STATE, **{"std_msgs/Header": "uint8 x\n"}), "already present with different definition"),
        (whole(DYNAMIC, controllers.DEFINITIONS[DYNAMIC] + "uint8 x\nuint8 x\n"), "cannot be used: "),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_definitions_that_are_refused(definition: Definition, said: str) -> None:
    with pytest.raises(BagError) as refused:
        typestore("bag.mcap", [definition])
    assert str(refused.value).startswith("bag.mcap: /x") and said in str(refused.value)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 500
