"""The Franka Panda twice: the robot description of the tests, and its forward kinematics once more, in plain numpy.

The latter go by the arm's published Denavit-Hartenberg parameters (Craig's convention), not by the description. Like
the oracle, it imports nothing of the package.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from support import oracle, recorded

URDF = (Path(__file__).parents[1] / "data" / "panda.urdf").read_text(encoding="utf-8")
FINGER, FINGER_OPEN = "panda_finger_joint1", 0.04  # m; closed at 0

PRESET = {
    "preset": "vjepa2_ac_vitg", "image_size": [32, 32], "pose.tip_link": "panda_hand",
    "pose.gripper_joint": FINGER, "pose.gripper_open": FINGER_OPEN, "pose.gripper_closed": 0.0,
}  # fmt: skip
"""The released model on this arm, at a small image size."""

_A = (0.0, 0.0, 0.0, 0.0825, -0.0825, 0.0, 0.088)  # m
_D = (0.333, 0.0, 0.316, 0.0, 0.384, 0.0, 0.0)  # m
_ALPHA = (0.0, -np.pi / 2, np.pi / 2, np.pi / 2, -np.pi / 2, np.pi / 2, np.pi / 2)
_FLANGE = 0.107  # m
_HAND = -np.pi / 4  # the hand is turned against the flange


def transform(positions: Any) -> Any:
    """(7,) joint angles -> (4, 4) of panda_hand in panda_link0."""
    found = np.eye(4)
    for a, d, alpha, theta in zip(_A, _D, _ALPHA, positions, strict=True):
        (ca, sa), (ct, st) = ((np.cos(angle), np.sin(angle)) for angle in (alpha, theta))
        found = found @ np.array(
            [[ct, -st, 0, a], [st * ca, ct * ca, -sa, -d * sa], [st * sa, ct * sa, ca, d * ca], [0, 0, 0, 1]]
        )
    c, s = np.cos(_HAND), np.sin(_HAND)
    return found @ np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, _FLANGE], [0, 0, 0, 1]])


def pose(positions: Any) -> Any:
    """(7,) joint angles -> (6,) x, y, z, extrinsic xyz Euler angles of panda_hand."""
    found = transform(positions)
    r = found[:3, :3]
    angles = [np.arctan2(r[2, 1], r[2, 2]), -np.arcsin(np.clip(r[2, 0], -1, 1)), np.arctan2(r[1, 0], r[0, 0])]
    return np.concatenate([found[:3, 3], angles])


def oracle_poses(topic: str = recorded.STATES) -> list[Any]:
    """(stamp, (7,) pose with the gripper's closedness) of the sample bag's joints, as the oracle wants them."""
    poses = []
    for of_topic, message in recorded.messages():
        if of_topic == topic:
            positions = dict(zip(message.name, message.position, strict=True))
            closed = [1.0 - np.clip(positions[FINGER] / FINGER_OPEN, 0, 1)] if FINGER in positions else []
            stamp_ns = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
            arm = pose([positions[name] for name in recorded.JOINTS])
            poses.append((stamp_ns, np.concatenate([arm, closed])))
    return poses


def oracle_windows(actions: list[Any], states: list[Any], **changes: Any) -> list[dict[str, Any]]:
    """The windows of the sample bag by the preset vjepa2_ac_vitg, and these poses."""
    frames = recorded.oracle_lists()[0]
    arguments = recorded.oracle_arguments(4.0, 1) | {"num_frames": 8, "stride": 1, "reduction": "pose_delta", **changes}
    return oracle.windows(frames, actions, states, **arguments)
