"""End-effector poses as actions and states, out of joints and a description; ``test_pose_topic.py``: of a topic."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support import panda, recorded
from support.builders import assert_same
from support.end_effectors import CAMERA, DESCRIPTION, JOINTS, MESSAGES, arm, feed, intake_of, joints, text

# -- forward kinematics: the recorded joints, against an oracle that has kinematics of its own


def test_the_recorded_joints_become_the_oracles_poses() -> None:
    intake, told = intake_of()
    windows = feed(intake, [(DESCRIPTION, text()), *(item for item in MESSAGES if item[0] != recorded.COMMANDS)])
    poses = panda.oracle_poses()
    expected = panda.oracle_windows(poses, poses)
    assert len(windows) == len(expected) > 30
    assert_same(windows, expected)
    assert (told, intake.counters.late, intake.counters.states) == ([], 0, len(poses))
    grippers = np.concatenate([window.states.values[:, 6] for window in windows])
    assert grippers.min() < 0.1 and grippers.max() > 0.4, "the gripper closes around a cube"
    assert np.abs(np.concatenate([window.actions.values for window in windows])).max(axis=0).min() > 0.01


def test_the_recorded_commands_become_the_actions_where_that_is_asked_for() -> None:
    intake, told = intake_of(pose__actions="commanded")
    windows = feed(intake, [(DESCRIPTION, text()), *MESSAGES])
    states = panda.oracle_poses()
    measured = dict(states)
    # The gripper is always the measured one; commands and states of the bag have the same stamps.
    actions = [(stamp, np.append(arm, measured[stamp][6])) for stamp, arm in panda.oracle_poses(recorded.COMMANDS)]
    assert_same(windows, panda.oracle_windows(actions, states))
    assert (told, len(windows)) == ([], len(panda.oracle_windows(states, states)))
    assert intake.counters.commands == len(actions)


def test_absolute_poses_can_be_the_actions() -> None:
    intake, _ = intake_of(actions__reduction="pick")
    windows = feed(intake, [(DESCRIPTION, text()), *MESSAGES])
    for window in windows:
        np.testing.assert_array_equal(window.actions.values, window.states.values)


@pytest.mark.parametrize("camera_first", [True, False])
def test_the_order_of_arrival_between_topics_changes_nothing(camera_first: bool) -> None:
    intake, _ = intake_of(actions__max_wait_s=60.0)
    want = feed(intake, [(DESCRIPTION, text()), *MESSAGES])
    intake, _ = intake_of(actions__max_wait_s=60.0)
    got = feed(intake, [(DESCRIPTION, text()), *(CAMERA + JOINTS if camera_first else JOINTS + CAMERA)])
    assert len(got) == len(want)
    for one, other in zip(got, want, strict=True):
        np.testing.assert_array_equal(one.actions.values, other.actions.values)
        np.testing.assert_array_equal(one.states.values, other.states.values)


def test_arm_and_gripper_may_send_messages_of_their_own() -> None:
    split = []
    for topic, message in MESSAGES:
        if topic == recorded.STATES:
            of = dict(zip(message.name, message.position, strict=True))
            for names in (recorded.JOINTS, (panda.FINGER,)):
                part = SimpleNamespace(header=message.header, name=list(names), position=[of[name] for name in names])
                split.append((topic, part))
        else:
            split.append((topic, message))
    intake, told = intake_of()
    windows = feed(intake, [(DESCRIPTION, text()), *split])
    poses = panda.oracle_poses()
    assert_same(windows, panda.oracle_windows(poses, poses))
    assert told == []


@pytest.mark.parametrize("torso", [recorded.JOINTS[:2], recorded.JOINTS[3:4]])
def test_the_arm_itself_may_come_in_parts_with_others_in_between(torso: tuple[str, ...]) -> None:
    """A lift or a rail has a driver of its own: forward kinematics begin with what each joint is at a time."""
    split = []
    arm_names = [name for name in recorded.JOINTS if name not in torso]
    for topic, message in MESSAGES:
        if topic == recorded.STATES:
            of = {**dict(zip(message.name, message.position, strict=True)), "wheel": 1.0}
            for names in (arm_names, ("wheel",), (*torso, "wheel"), (panda.FINGER,)):
                part = SimpleNamespace(header=message.header, name=list(names), position=[of[name] for name in names])
                split.append((topic, part))
        elif topic == recorded.CAMERA:
            split.append((topic, message))
    intake, told = intake_of()
    windows = feed(intake, [(DESCRIPTION, text()), *split])
    poses = panda.oracle_poses()
    assert_same(windows, panda.oracle_windows(poses, poses))
    assert (told, intake.counters.foreign, intake.counters.late) == ([], len(poses), 0)


def test_a_joint_of_the_arm_that_never_comes_is_named() -> None:
    intake, told = intake_of()
    split = []
    for topic, message in MESSAGES:
        if topic == recorded.STATES:
            names = [name if name != "panda_joint3" else "elbow" for name in message.name]
            message = SimpleNamespace(header=message.header, name=names, position=message.position)
        split.append((topic, message))
    assert feed(intake, [(DESCRIPTION, text()), *split]) == []
    assert intake.counters.windows_skipped > 30
    assert {(topic, reason) for topic, reason, _ in told if topic == recorded.STATES} == {
        (recorded.STATES, "missing_joints")
    }
    assert "no message so far has a value of 'panda_joint3'; those that came are about " in told[-1][2]
    assert "'elbow'" in told[-1][2]


# -- the description


def test_before_the_description_joints_are_counted_and_reported() -> None:
    intake, told = intake_of()
    assert intake.waits_for == "no usable robot_description yet: no pose can be computed"
    feed(intake, [(recorded.STATES, joints(**arm(), **{panda.FINGER: 0.0}))])
    assert intake.counters.rejected[recorded.STATES, "no_robot_description"] == 1
    assert told[0][:2] == (recorded.STATES, "no_robot_description")
    feed(intake, [(DESCRIPTION, text()), (recorded.STATES, joints(**arm(), **{panda.FINGER: 0.0}))])
    assert intake.waits_for == ""
    assert (intake.counters.states, intake.counters.rejected_total) == (1, 1)


def test_a_bad_description_is_refused_and_changes_nothing() -> None:
    intake, told = intake_of()
    feed(intake, [(DESCRIPTION, text("<robot>"))])
    assert intake.waits_for
    assert told == [(DESCRIPTION, "bad_description", told[0][2])] and told[0][2].startswith("it is not XML")
    feed(intake, [(DESCRIPTION, text()), (DESCRIPTION, text("<!DOCTYPE robot>"))])
    feed(intake, [(recorded.STATES, joints(**arm()))])
    assert (intake.waits_for, intake.stream.epoch) == ("", 0)
    assert intake.counters.rejected == {(DESCRIPTION, "bad_description"): 2}


def test_a_description_of_huge_numbers_gives_no_pose() -> None:
    intake, told = intake_of()
    huge = panda.URDF.replace('xyz="0 0 0.333"', 'xyz="0 0 1e308"').replace('xyz="0 -0.316 0"', 'xyz="0 -1.7e308 0"')
    feed(intake, [(DESCRIPTION, text(huge)), (recorded.STATES, joints(**arm()))])
    assert [said[1] for said in told] == ["not_finite"] and "forward kinematics give" in told[0][2]


def test_another_description_starts_a_new_epoch_and_the_same_one_does_not() -> None:
    intake, _ = intake_of()
    first, later = MESSAGES[: len(MESSAGES) // 2], MESSAGES[len(MESSAGES) // 2 :]
    raised = panda.URDF.replace('xyz="0 0 0.333"', 'xyz="0 0 1.333"')
    windows = feed(intake, [(DESCRIPTION, text()), *first, (DESCRIPTION, text()), (DESCRIPTION, text(raised)), *later])
    assert intake.stream.epoch == 1
    assert {window.epoch for window in windows} == {0, 1}
    heights = {window.epoch: window.states.values[0, 2] for window in windows}
    assert heights[1] - heights[0] > 0.5
    for window in windows:
        assert np.ptp(window.states.values[:, 2]) < 0.5, "no window has poses of both"


# -- joints that cannot be used


@pytest.mark.parametrize(
    ("positions", "reason", "detail"),
    [
        ({**arm(), "panda_joint3": float("nan")}, "not_finite", "'panda_joint3': nan"),
        ({"panda_joint3": float("nan"), panda.FINGER: 0.0}, "not_finite", "1 of 1 joints: 'panda_joint3': nan"),
        ({panda.FINGER: float("inf")}, "not_finite", "inf"),
    ],
)
def test_joints_that_cannot_be_used_are_named(positions: dict[str, Any], reason: str, detail: str) -> None:
    intake, told = intake_of()
    given = {name: value for name, value in positions.items() if value is not None}
    feed(intake, [(DESCRIPTION, text()), (recorded.STATES, joints(**given))])
    assert [said[1] for said in told] == [reason]
    assert detail in told[0][2]


@pytest.mark.parametrize(("position", "closed"), [(0.04, 0.0), (0.0, 1.0), (0.01, 0.75), (0.05, 0.0), (-0.01, 1.0)])
def test_the_gripper_goes_from_open_to_closed_and_no_further(position: float, closed: float) -> None:
    intake, _ = intake_of()
    end_effector: Any = intake._end_effector
    end_effector.describe(panda.URDF)
    _, gripper = end_effector.of_state(joints(**arm(), **{panda.FINGER: position}))
    np.testing.assert_allclose(gripper, [closed], rtol=0, atol=1e-12)


def test_a_rotation_that_the_version_does_not_know_is_said_once_and_changes_nothing() -> None:
    newer = panda.URDF.replace('rpy="0 0 0" xyz="0 0 0.333"', 'rpy="0 0 0" quat_xyzw="0 0 1 0" xyz="0 0 0.333"', 1)
    assert newer.count("quat_xyzw") == 1
    without_commands = [item for item in MESSAGES if item[0] != recorded.COMMANDS]
    intake, told = intake_of()
    windows = feed(intake, [(DESCRIPTION, text(newer)), (DESCRIPTION, text(newer)), *without_commands])
    assert [(topic, reason) for topic, reason, _ in told] == [(DESCRIPTION, "rotation_ignored")]
    assert "quat_xyzw of joint 'panda_joint1' is ignored: it needs" in told[0][2]
    poses = panda.oracle_poses()
    assert_same(windows, panda.oracle_windows(poses, poses))
    assert intake.counters.rejected_total == 0 and len(windows) > 30


def test_an_arm_without_a_gripper_has_an_open_one() -> None:
    intake, _ = intake_of(pose__gripper_joint="")
    windows = feed(intake, [(DESCRIPTION, text()), *MESSAGES])
    assert windows and all((window.states.values[:, 6] == 0).all() for window in windows)


def test_a_gripper_that_never_comes_gives_no_window() -> None:
    intake, _ = intake_of(pose__gripper_joint="no_such_joint")
    assert feed(intake, [(DESCRIPTION, text()), *MESSAGES]) == []
    assert intake.counters.windows_skipped > 30
    assert intake.counters.missing_states > 0
