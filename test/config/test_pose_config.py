"""Where end-effector poses come from: which topics are read, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from support.builders import pose_config, signal_config, stream_config
from support.panda import PRESET

from vjepa_ros.config.node import resolve
from vjepa_ros.config.pose import POSE_NAMES
from vjepa_ros.config.stream import StreamConfig
from vjepa_ros.errors import ConfigError


def config_of(reduction: Any = "pose_delta", state_source: Any = "joint_states", **changes: Any) -> StreamConfig:
    made = pose_config(**{"source": "forward_kinematics", "tip_link": "hand", **changes})
    commands = signal_config(names=POSE_NAMES)
    states = signal_config("states", names=POSE_NAMES)
    return stream_config(
        pose=made, commands=commands, states=states, reduction=reduction, state_source=state_source, num_frames=16
    )


@pytest.mark.parametrize(
    ("changes", "inputs", "actions", "states"),
    [
        ({"source": "names"}, "joint_states joint_commands", "joint_commands", "joint_states"),
        ({}, "robot_description joint_states", "joint_states", "joint_states"),
        ({"actions": "commanded"}, "robot_description joint_states joint_commands", "joint_commands", "joint_states"),
        (
            {"actions": "commanded", "state_source": "none"},
            "robot_description joint_commands", "joint_commands", "none",
        ),
        ({"state_source": "none"}, "robot_description joint_states", "joint_states", "none"),
        ({"source": "pose_topic"}, "end_effector_pose", "end_effector_pose", "end_effector_pose"),
        (
            {"source": "pose_topic", "gripper_joint": "finger", "actions": "commanded"},
            "joint_states end_effector_pose commanded_pose", "commanded_pose", "end_effector_pose",
        ),
        ({"source": "names", "gripper_joint": "f"}, "joint_states joint_commands", "joint_commands", "joint_states"),
    ],
)  # fmt: skip
def test_only_what_is_needed_is_read(changes: dict[str, Any], inputs: str, actions: str, states: str) -> None:
    config = config_of(**changes)
    assert config.inputs == tuple(inputs.split())
    assert (config.action_topic, config.state_topic) == (actions, states)


@pytest.mark.parametrize(
    ("values", "parameter"),
    [
        ({"pose.tip_link": ""}, "pose.tip_link"),
        ({"pose.base_link": "panda_hand"}, "pose.tip_link"),
        ({"pose.gripper_closed": 0.04}, "pose.gripper_closed"),
        ({"pose.source": "tf"}, "pose.source"),
        ({"pose.actions": "imagined"}, "pose.actions"),
        ({"actions.reduction": "difference"}, "actions.reduction"),
        ({"actions.reduction": "sum", "actions.tail": "zero"}, "actions.reduction"),
        ({"actions.alignment": "linear"}, "actions.alignment"),
        ({"actions.alignment": "linear", "actions.reduction": "pick"}, "actions.alignment"),
        ({"states.alignment": "linear"}, "states.alignment"),
        ({"states.scale": [2.0] * 7}, "states.scale"),
        ({"actions.scale": [2.0] * 7, "actions.reduction": "pick"}, "actions.scale"),
        ({"states.field": "velocity"}, "actions.field"),
        ({"pose.actions": "commanded", "actions.type": "JointTrajectory"}, "actions.type"),
        ({"action_dim": 6}, "action_dim"),
        ({"state_dim": 6}, "state_dim"),
        ({"pose.source": "names", "joint_names": list("xyzabcg"), "states.alignment": "linear"}, "states.alignment"),
    ],
)
def test_what_makes_no_sense_is_refused(values: dict[str, Any], parameter: str) -> None:
    with pytest.raises(ConfigError) as refused:
        resolve({**PRESET, **values})
    assert refused.value.parameter == parameter


def test_the_type_of_commands_does_not_matter_where_none_are_read() -> None:
    stream = resolve({**PRESET, "actions.type": "JointTrajectory"}).stream
    assert stream.inputs == ("robot_description", "joint_states")
    assert not stream.reads_measured_commands


def test_joint_names_are_not_read() -> None:
    stream = resolve({**PRESET, "joint_names": ["one", "two"]}).stream
    assert stream.commands.joint_names == stream.states.joint_names == POSE_NAMES
