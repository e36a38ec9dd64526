"""What the planner reads of the robot: what is said of a description with rotations that its version does not know."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support import panda
from support.messages import JOINTS

from vjepa_ros.config.node import resolve
from vjepa_ros.ros.robot_inputs import RobotInputs

PLANNER = {"planner.enabled": True, "planner.execute": True, "planner.max_prediction_error": 0.5,
           "planner.box_m": [-2.0, -2.0, -2.0, 2.0, 2.0, 2.0]}  # fmt: skip
TURNED = panda.URDF.replace('rpy="0 0 0" xyz="0 0 0.333"', 'rpy="0 0 0" quat_xyzw="0 0 1 0" xyz="0 0 0.333"', 1)


@pytest.mark.parametrize(
    ("source", "said"),
    [("names", ["rotation_ignored"]), ("forward_kinematics", [])],  # with the latter, the stream's intake says it
)
def test_a_rotation_that_is_ignored_is_said_once_and_by_one(source: str, said: list[str]) -> None:
    config = resolve({"joint_names": JOINTS, "pose.tip_link": "panda_hand", "pose.source": source, **PLANNER}
                     | ({"actions.reduction": "pose_delta"} if source != "names" else {}))  # fmt: skip
    arms: list[Any] = []
    told: list[tuple[str, str]] = []
    execution: Any = SimpleNamespace(describe=lambda arm: None)
    inputs = RobotInputs(
        config, JOINTS, execution, lambda arm, base: arms.append(arm), lambda *what: told.append((what[0], what[1]))
    )
    take = inputs.takes["robot_description"]
    for text in (panda.URDF, TURNED, TURNED):
        assert take("/robot_description", SimpleNamespace(data=text), 0) == []
    assert told == [("/robot_description", reason) for reason in said]
    plain, turned = arms  # one each: the same again does nothing
    ready = np.full(len(plain.kinematics.joint_names), 0.3)
    np.testing.assert_array_equal(plain.kinematics.pose(ready), turned.kinematics.pose(ready))
