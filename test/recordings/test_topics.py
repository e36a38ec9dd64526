"""Which topics of a recording are which, where end-effector poses are made of them."""

from __future__ import annotations

from typing import Any

import pytest

from vjepa_ros.config.node import resolve
from vjepa_ros.config.stream import StreamConfig
from vjepa_ros.errors import BagError
from vjepa_ros.recordings.topics import choose

IMAGE, JOINTS = "sensor_msgs/msg/Image", "sensor_msgs/msg/JointState"
POSE, TEXT = "geometry_msgs/msg/PoseStamped", "std_msgs/msg/String"
KINDS = {
    "/eye": IMAGE, "/arm/joint_states": JOINTS, "/arm/joint_commands": JOINTS, "/robot_description": TEXT,
    "/robot_description_semantic": TEXT, "/vjepa_predictor/latent_info": TEXT, "/arm/end_effector_pose": POSE,
    "/goal": POSE,
}  # fmt: skip


def stream(source: str, **changes: Any) -> StreamConfig:
    pose = {f"pose.{name}": value for name, value in changes.items()}
    return resolve({"preset": "vjepa2_ac_vitg", "pose.source": source, "pose.tip_link": "hand", **pose}).stream


def test_forward_kinematics_read_the_description_and_the_states() -> None:
    chosen = choose(KINDS, stream("forward_kinematics"), {})
    assert chosen.inputs == {"robot_description": "/robot_description", "joint_states": "/arm/joint_states"}
    assert set(chosen.all) == {"/eye", *chosen.inputs.values()}
    both = choose(KINDS, stream("forward_kinematics", actions="commanded"), {"robot_description": "/robot_description"})
    assert both.inputs["joint_commands"] == "/arm/joint_commands"


def test_poses_are_found_by_name_alone() -> None:
    wanted = stream("pose_topic", actions="commanded", gripper_joint="finger")
    with pytest.raises(
        BagError, match=r"no topic named like commanded_pose .*: say which it is with `topics.commanded_pose`;"
    ):
        choose(KINDS, wanted, {})
    chosen = choose(KINDS, wanted, {"commanded_pose": "/goal"})
    assert chosen.inputs == {
        "joint_states": "/arm/joint_states", "end_effector_pose": "/arm/end_effector_pose", "commanded_pose": "/goal"
    }  # fmt: skip
    given = choose(KINDS, stream("pose_topic"), {"end_effector_pose": "/goal"})
    assert given.inputs == {"end_effector_pose": "/goal"}


def test_what_the_node_itself_said_is_no_description() -> None:
    kinds = {topic: kind for topic, kind in KINDS.items() if "description" not in topic}
    with pytest.raises(BagError, match=r"no topic for robot_description \(std_msgs/msg/String\)"):
        choose(kinds, stream("forward_kinematics"), {})
    with pytest.raises(
        BagError, match="`topics.robot_description`: /eye is sensor_msgs/msg/Image, not std_msgs/msg/String"
    ):
        choose(KINDS, stream("forward_kinematics"), {"robot_description": "/eye"})


def test_images_of_the_predictor_and_of_its_planner_are_no_cameras() -> None:
    image, joints = "sensor_msgs/msg/Image", "sensor_msgs/msg/JointState"
    kinds = {
        "/arm/vjepa_predictor/predicted_latents": image,
        "/arm/vjepa_predictor/context_latents": image,
        "/arm/vjepa_predictor/goal_image": image,
        "/camera/image_raw": image,
        "/joint_commands": joints,
        "/joint_states": joints,
    }
    found = choose(kinds, resolve({"joint_names": [f"joint{i}" for i in range(7)]}).stream, {})
    assert found.image == "/camera/image_raw"


JOINT_NAMES = [f"joint{number}" for number in range(7)]
TRAJECTORY = "trajectory_msgs/msg/JointTrajectory"


@pytest.mark.parametrize("source", ["commands", "none", "joint_states"])
@pytest.mark.parametrize("other", ["/joint_states", "/gripper_states", "/gripper/targets"])
def test_commands_are_never_guessed_by_their_type(source: str, other: str) -> None:
    """States, or those of the gripper, in place of the commands would go unnoticed."""
    config = resolve({"joint_names": JOINT_NAMES, "states.source": source}).stream
    kinds = {"/eye": IMAGE, other: JOINTS, "/arm/joint_states": JOINTS}
    with pytest.raises(
        BagError, match=r"no topic named like joint_commands .*: say which it is with `topics.joint_commands`"
    ):
        choose(kinds, config, {"joint_states": "/arm/joint_states"})
    assert choose(kinds, config, {"joint_commands": other}).inputs["joint_commands"] == other


@pytest.mark.parametrize("source", ["commands", "none", "joint_states"])
def test_commands_of_a_wrong_type_are_not_passed_over(source: str) -> None:
    config = resolve({"joint_names": JOINT_NAMES, "states.source": source}).stream
    kinds = {"/eye": IMAGE, "/joint_commands": TRAJECTORY, "/joint_states": JOINTS}
    sentence = f"/joint_commands is {TRAJECTORY}, not {JOINTS}: if joint_commands is another topic, say which"
    with pytest.raises(BagError, match=sentence):
        choose(kinds, config, {})
    kinds["/sim/joint_commands"] = JOINTS
    assert choose(kinds, config, {}).inputs["joint_commands"] == "/sim/joint_commands"


def test_states_are_never_guessed_by_their_type_and_cameras_are() -> None:
    config = resolve({"joint_names": JOINT_NAMES}).stream
    kinds = {"/eye": IMAGE, "/joint_commands": JOINTS, "/gripper_states": JOINTS}
    with pytest.raises(
        BagError, match=r"no topic named like joint_states .*: say which it is with `topics.joint_states`;"
    ):
        choose(kinds, config, {})
    kinds["/joint_states"] = JOINTS
    assert choose(kinds, config, {}).image == "/eye"
    with pytest.raises(BagError, match="/eye, /other could each be image"):
        choose({**kinds, "/other": IMAGE}, config, {})
    # What a detector drew is often called so; the camera never.
    with pytest.raises(BagError, match="/eye, /other/image could each be image"):
        choose({**kinds, "/other/image": IMAGE}, config, {})
    assert choose({**kinds, "/other/image": IMAGE}, config, {"image": "/eye"}).image == "/eye"
    with pytest.raises(BagError, match=f"/image is {TEXT}, not {IMAGE} or .*: if image is another topic, say which"):
        choose({**kinds, "/image": TEXT}, config, {})
