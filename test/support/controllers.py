"""What controllers of ros2_control send: their messages' definitions, written down once more, and bags of them.

It imports nothing of the package. The definitions are those of control_msgs for Jazzy, and the two points that the
message of Humble had before.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

S = 10**9
DYNAMIC = "control_msgs/msg/DynamicJointState"
STATE = "control_msgs/msg/JointTrajectoryControllerState"
TRAJECTORY = "trajectory_msgs/msg/JointTrajectory"

DEFINITIONS = {
    "control_msgs/msg/InterfaceValue": "string[] interface_names\nfloat64[] values\n",
    DYNAMIC: "std_msgs/Header header\nstring[] joint_names\ncontrol_msgs/InterfaceValue[] interface_values\n",
    STATE: """std_msgs/Header header
string[] joint_names
trajectory_msgs/JointTrajectoryPoint reference
trajectory_msgs/JointTrajectoryPoint feedback
trajectory_msgs/JointTrajectoryPoint error
trajectory_msgs/JointTrajectoryPoint output
string[] multi_dof_joint_names
trajectory_msgs/MultiDOFJointTrajectoryPoint multi_dof_reference
trajectory_msgs/MultiDOFJointTrajectoryPoint multi_dof_feedback
trajectory_msgs/MultiDOFJointTrajectoryPoint multi_dof_error
trajectory_msgs/MultiDOFJointTrajectoryPoint multi_dof_output
float64 speed_scaling_factor
""",
}
HUMBLE = """std_msgs/Header header
string[] joint_names
trajectory_msgs/JointTrajectoryPoint desired
trajectory_msgs/JointTrajectoryPoint actual
trajectory_msgs/JointTrajectoryPoint error
string[] multi_dof_joint_names
"""


def types(**changed: str) -> Any:
    """A store with these types in it; changes by the last part of a type's name."""
    store = get_typestore(Stores.ROS2_JAZZY)
    for kind, text in DEFINITIONS.items():
        store.register(get_types_from_msg(changed.get(kind.rpartition("/")[2], text), kind))
    return store


def new(store: Any, kind: str, **fields: Any) -> Any:
    """A message of which only these fields are filled."""
    defaults: dict[str, Any] = {}
    for name, (node, detail) in store.fielddefs[kind][1]:
        if name in fields:
            continue
        if node == 1:
            defaults[name] = "" if detail[0] == "string" else 0
        elif node == 2:
            defaults[name] = new(store, detail)
        else:
            is_number = detail[0][0] == 1 and detail[0][1][0] != "string"
            defaults[name] = np.zeros(0, detail[0][1][0]) if is_number else []
    return store.types[kind](**defaults, **fields)


def header(store: Any, stamp_ns: int) -> Any:
    """A std_msgs/Header."""
    sec, nanosec = divmod(stamp_ns, S)
    stamp = new(store, "builtin_interfaces/msg/Time", sec=sec, nanosec=nanosec)
    return new(store, "std_msgs/msg/Header", stamp=stamp)


def point(store: Any, **values: Sequence[float]) -> Any:
    """A trajectory_msgs/JointTrajectoryPoint."""
    fields = {name: np.array(numbers, np.float64) for name, numbers in values.items()}
    return new(store, "trajectory_msgs/msg/JointTrajectoryPoint", **fields)


def controller_state(
    store: Any, stamp_ns: int, names: Sequence[str], reference: Sequence[float], feedback: Sequence[float]
) -> Any:
    """A control_msgs/JointTrajectoryControllerState with positions, by the names that its definition has."""
    fields = [name for name, _ in store.fielddefs[STATE][1]]
    aim, measured = ("reference", "feedback") if "reference" in fields else ("desired", "actual")
    points = {aim: point(store, positions=reference), measured: point(store, positions=feedback)}
    return new(store, STATE, header=header(store, stamp_ns), joint_names=list(names), **points)


def dynamic_state(store: Any, stamp_ns: int, joints: dict[str, dict[str, float]]) -> Any:
    """A control_msgs/DynamicJointState: the interfaces of each joint."""
    values = [
        new(
            store, "control_msgs/msg/InterfaceValue", interface_names=list(of), values=np.array([*of.values()], float)
        )
        for of in joints.values()
    ]  # fmt: skip
    return new(store, DYNAMIC, header=header(store, stamp_ns), joint_names=list(joints), interface_values=values)


def write(folder: Path, store: Any, messages: Sequence[tuple[int, str, str, Any]], plugin: str = "MCAP") -> Path:
    """A bag of (time of recording in ns, topic, type, message)."""
    with Writer(folder, version=9, storage_plugin=StoragePlugin[plugin]) as writer:
        connections: dict[str, Any] = {}
        for received_ns, topic, kind, message in sorted(messages, key=lambda m: m[0]):
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=store)
            writer.write(connections[topic], received_ns, store.serialize_cdr(message, kind))
    return folder
