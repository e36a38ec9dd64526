"""What the node subscribes to: the table of inputs as classes of messages and profiles."""

from __future__ import annotations

import sys

import pytest
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Float32MultiArray, Float64MultiArray, String
from support import added
from support.builders import pose_config, signal_config, stream_config

from vjepa_ros.config.inputs import (
    CAMERAS,
    COMMAND_TYPES,
    DYNAMIC_JOINT_STATE,
    INPUTS,
    JOINT_STATE,
    STATE_TYPES,
    input_of_camera,
)
from vjepa_ros.config.pose import POSE_NAMES
from vjepa_ros.errors import ConfigError
from vjepa_ros.ros import qos
from vjepa_ros.ros.graph import remedy
from vjepa_ros.ros.inputs import Subscribed, message_class, require_messages, subscribed

BEST_EFFORT, RELIABLE = ReliabilityPolicy.BEST_EFFORT, ReliabilityPolicy.RELIABLE


def said(row: Subscribed) -> tuple[str, type, ReliabilityPolicy, int]:
    return row.topic, row.kind, row.profile.reliability, row.profile.depth


def test_what_is_read_by_default() -> None:
    assert list(map(said, subscribed(stream_config(), "raw"))) == [
        ("image", Image, BEST_EFFORT, 5),
        ("joint_states", JointState, BEST_EFFORT, 1000),
        ("joint_commands", JointState, RELIABLE, 1000),
    ]
    camera, *_ = subscribed(stream_config(), "compressed")
    assert said(camera) == ("image/compressed", CompressedImage, BEST_EFFORT, 5)


def test_what_poses_are_made_of() -> None:
    poses = {"commands": signal_config(names=POSE_NAMES), "states": signal_config("states", POSE_NAMES)}
    made = stream_config(pose=pose_config(source="forward_kinematics", tip_link="hand"), **poses)
    _, description, _ = subscribed(made, "raw")
    assert said(description) == ("robot_description", String, RELIABLE, 1)
    assert description.profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
    commanded = stream_config(pose=pose_config(source="pose_topic", actions="commanded"), **poses)
    wanted = [("image", 5), ("end_effector_pose", 1000), ("commanded_pose", 1000)]
    assert [(row.topic, row.profile.depth) for row in subscribed(commanded, "raw")] == wanted


@pytest.mark.parametrize("row", [*CAMERAS.values(), *INPUTS.values(), *COMMAND_TYPES.values(), *STATE_TYPES.values()])
def test_every_type_that_a_row_names_is_installed(row) -> None:
    if row.ros_type.startswith(("control_msgs/", "ffmpeg_image_transport_msgs/")):
        pytest.importorskip(row.ros_type.split("/")[0])
    if row.ros_type:  # else that of a command or state type
        assert message_class(row.ros_type).__name__ == row.ros_type.rpartition("/")[2]


def test_a_type_that_is_not_there_is_an_error() -> None:
    for ros_type, error in (("sensor_msgs/msg/Smell", AttributeError), ("nose_msgs/msg/Smell", ImportError)):
        with pytest.raises(error):
            message_class(ros_type)


@pytest.mark.parametrize(
    ("changes", "parameter"),
    [
        ({"command_type": "JointTrajectoryControllerState"}, "actions.type"),
        ({"command_type": "DynamicJointState"}, "actions.type"),
        ({"state_type": "DynamicJointState"}, "states.type"),
        ({"state_type": "JointTrajectoryControllerState"}, "states.type"),
    ],
)
def test_messages_that_are_not_installed_are_refused_by_the_parameter_that_asks_for_them(
    changes, parameter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "control_msgs", None)
    require_messages(stream_config())
    require_messages(stream_config(state_source="none", state_type="DynamicJointState"))  # which are not read
    with pytest.raises(ConfigError, match="is not installed here .*: install the package control_msgs") as refused:
        require_messages(stream_config(**changes))
    assert refused.value.parameter == parameter


@pytest.mark.parametrize(
    ("name", "kind", "advice"),
    [
        ("joint_commands", DYNAMIC_JOINT_STATE, "set actions.type: DynamicJointState"),
        ("joint_states", DYNAMIC_JOINT_STATE, "set states.type: DynamicJointState"),
        ("joint_states", "std_msgs/msg/Float64MultiArray", "such messages cannot be read"),
        ("end_effector_pose", "sensor_msgs/msg/JointState", "such messages cannot be read"),
    ],
)
def test_another_type_on_an_input_is_read_by_the_parameter_of_that_input(name: str, kind: str, advice: str) -> None:
    assert remedy(INPUTS[name], INPUTS[name].ros_type or JOINT_STATE, f"/{name}", kind).startswith(advice)


@pytest.mark.parametrize(("camera", "own"), [("", ""), ("left", "left/")])
def test_what_is_remapped_is_the_name_of_the_camera(camera: str, own: str) -> None:
    row, kind = input_of_camera(CAMERAS["raw"], camera), CAMERAS["compressed"].ros_type
    of_driver = remedy(row, row.ros_type, "/cam/image/compressed", kind)
    assert of_driver.startswith(f"set image_transport: compressed, remap {own}image/compressed:=/cam/image/compressed")
    of_another = remedy(row, row.ros_type, "/cam", kind)
    assert of_another == f"set image_transport: compressed and remap {own}image/compressed:=/cam"
    assert remedy(row, row.ros_type, "/cam", row.ros_type).startswith(f"remap {own}image:=/cam")


def test_every_word_for_a_quality_has_a_profile_of_its_own() -> None:
    assert {row.quality for row in (*CAMERAS.values(), *INPUTS.values())} == set(qos.OF_INPUTS)
    (first, *_), (second, *_) = subscribed(stream_config(), "raw"), subscribed(stream_config(), "raw")
    assert first.profile is not second.profile, "rclpy writes overrides into it"


def test_one_row_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(INPUTS, added.WHEELS.topic, added.WHEELS)
    monkeypatch.setitem(COMMAND_TYPES, added.HALVES.name, added.HALVES)
    config = stream_config(commands=signal_config(field="velocity"))
    *_, wheels = subscribed(config, "raw")
    assert said(wheels) == ("wheel_speeds", Float64MultiArray, BEST_EFFORT, 1000)
    *_, commands = subscribed(stream_config(command_type="Float32MultiArray"), "raw")
    assert said(commands) == ("joint_commands", Float32MultiArray, RELIABLE, 1000)
