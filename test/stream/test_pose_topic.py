"""End-effector poses as actions and states, out of a topic of poses; the gripper still comes with the joints."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import oracle, panda, recorded
from support.builders import MS, assert_same
from support.end_effectors import MESSAGES, POSE, feed, intake_of, pose

from vjepa_ros.stream.intake import Intake


def on_topic(**changes: Any) -> tuple[Intake, list[tuple[str, str, str]]]:
    return intake_of(pose__source="pose_topic", pose__tip_link="", pose__base_link="panda_link0", **changes)


def quaternion(angles: Any) -> Any:
    """x, y, z, w of extrinsic xyz Euler angles: the product of three half turns."""

    def product(p: Any, q: Any) -> Any:
        return np.concatenate([p[3] * q[:3] + q[3] * p[:3] + np.cross(p[:3], q[:3]), [p[3] * q[3] - p[:3] @ q[:3]]])

    x, y, z = (np.append(np.sin(angles[i] / 2) * np.eye(3)[i], np.cos(angles[i] / 2)) for i in range(3))
    return product(product(z, y), x)


def test_poses_of_a_topic_become_the_oracles_windows() -> None:
    """Poses come between the grippers' messages: each is read at its own time."""
    intake, told = on_topic()
    rng = np.random.default_rng(3)
    start_ns = MESSAGES[0][1].header.stamp.sec * 10**9
    poses = [(start_ns + n * 37 * MS, rng.uniform(-1.5, 1.5, 6)) for n in range(500)]
    grippers = [(stamp, value[6]) for stamp, value in panda.oracle_poses()]
    at = oracle.sampled([(stamp, np.array([value])) for stamp, value in grippers], 10**9, "hold")
    of_pose = [(POSE, pose(p[:3], quaternion(p[3:]), stamp)) for stamp, p in poses]
    windows = feed(intake, of_pose + [item for item in MESSAGES if item[0] != recorded.COMMANDS])
    assert told == []
    # The oracle has one stream: a message whenever either of them has said something new, as long as both speak.
    pose_at = oracle.sampled(poses, 10**9, "hold")
    stamps = sorted({stamp for stamp, _ in poses} | {stamp for stamp, _ in grippers})
    both = [(s, (pose_at(s)[0], at(s)[0])) for s in stamps if s <= min(poses[-1][0], grippers[-1][0])]
    both = [(s, np.concatenate(parts)) for s, parts in both if all(part is not None for part in parts)]
    expected = panda.oracle_windows(both, both)
    assert_same(windows, expected)
    assert len(windows) > 30


@pytest.mark.parametrize(
    ("message", "reason", "detail"),
    [
        (pose(frame_id="camera"), "wrong_frame", "it is in the frame 'camera', not in 'panda_link0' (pose.base_link)"),
        (pose(frame_id=""), "wrong_frame", "it is in the frame ''"),
        (pose((float("nan"), 0, 0)), "not_finite", "position [nan, 0.0, 0.0]"),
        (pose(quaternion=(0, 0, float("inf"), 1)), "not_finite", "inf"),
        (pose(quaternion=(0, 0, 0, 0)), "bad_quaternion", "[0.0, 0.0, 0.0, 0.0] (x, y, z, w) has the norm 0, not 1"),
        (pose(quaternion=(0, 0, 1, 1)), "bad_quaternion", "has the norm 1.414, not 1"),
    ],
)
def test_poses_that_cannot_be_used_are_named(message: Any, reason: str, detail: str) -> None:
    intake, told = on_topic()
    feed(intake, [(POSE, message)])
    assert [said[1] for said in told] == [reason]
    assert detail in told[0][2]
    assert intake.counters.rejected == {(POSE, reason): 1}


@pytest.mark.parametrize("scale", [1.0, -1.0, 1.001])
def test_a_quaternion_and_its_negative_are_one_rotation_whatever_rounding_did(scale: float) -> None:
    angles = np.array([0.3, -0.4, 2.0])
    intake, _ = on_topic()
    end_effector: Any = intake._end_effector
    got = end_effector.of_pose(pose(quaternion=scale * quaternion(angles), frame_id="/panda_link0"))
    np.testing.assert_allclose(got, [1, 2, 3, *angles], rtol=0, atol=1e-12)


def test_commanded_poses_have_a_topic_of_their_own() -> None:
    intake, _ = on_topic(pose__actions="commanded")
    feed(intake, [(POSE, pose())])
    intake.commanded_pose("/commanded_pose", pose(), 0)
    assert (intake.counters.states, intake.counters.commands) == (1, 1)
