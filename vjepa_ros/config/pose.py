"""Where end-effector poses come from, as frozen values that refuse what makes no sense.

It knows no messages, robots or files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from vjepa_ros.config.checks import require
from vjepa_ros.errors import brief

PoseSource = Literal["names", "pose_topic", "forward_kinematics"]
PoseActions = Literal["measured", "commanded"]

POSE_SOURCES: tuple[str, ...] = get_args(PoseSource)
POSE_ACTIONS: tuple[str, ...] = get_args(PoseActions)

POSE_NAMES = ("x", "y", "z", "roll", "pitch", "yaw", "gripper")
"""The dimensions of a pose that is made here: m, extrinsic xyz Euler angles in rad, closedness from 0 to 1."""


@dataclass(frozen=True)
class PoseConfig:
    """Where the end effector's pose comes from.

    Attributes:
        source: ``names``: there is none but what joint_names calls so; ``pose_topic``: a PoseStamped topic;
            ``forward_kinematics``: joint positions and the robot's description.
        actions: whether actions are made of ``measured`` or of ``commanded`` poses.
        tip_link: the link whose pose it is, for forward kinematics.
        base_link: the link that it is relative to. Empty: the root of the description, or whatever frame the poses of
            the topic are in.
        gripper_joint: its position tells how far the gripper is closed; empty for an arm without one: always 0.
        gripper_open, gripper_closed: that joint's positions at closedness 0 and 1.

    Raises:
        ConfigError: where a value or a combination makes no sense; it names the parameter.
    """

    source: PoseSource
    actions: PoseActions
    tip_link: str
    base_link: str
    gripper_joint: str
    gripper_open: float
    gripper_closed: float

    def __post_init__(self) -> None:
        for name, value, choices in (
            ("pose.source", self.source, POSE_SOURCES), ("pose.actions", self.actions, POSE_ACTIONS)
        ):  # fmt: skip
            require(value in choices, name, f"{brief(value)} is not one of {', '.join(choices)}")
        require(
            self.source != "forward_kinematics" or bool(self.tip_link),
            "pose.tip_link", "is not set: forward kinematics need the link of the robot description whose pose counts, "
            "such as panda_hand; where poses come otherwise, set pose.source",
        )  # fmt: skip
        require(
            self.source != "forward_kinematics" or self.tip_link != self.base_link,
            "pose.tip_link", f"is {self.tip_link}, and so is pose.base_link: it would never move",
        )  # fmt: skip
        require(
            not self.has_gripper
            or (all(map(math.isfinite, (self.gripper_open, self.gripper_closed)))
                and self.gripper_open != self.gripper_closed),
            "pose.gripper_closed", f"positions of {self.gripper_joint} must be finite and not the same, but it is open "
            f"at {self.gripper_open} and closed at {self.gripper_closed}",
        )  # fmt: skip

    @property
    def is_made_here(self) -> bool:
        """Whether poses are made of other messages, rather than sent as seven numbers."""
        return self.source != "names"

    @property
    def has_gripper(self) -> bool:
        """Whether a gripper joint is read."""
        return self.is_made_here and bool(self.gripper_joint)
