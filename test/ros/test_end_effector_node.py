"""A dry run of the released V-JEPA 2-AC: its preset, its checkpoint's layout, a robot description, recorded joints.

The real node in its own process, with the package's own parameter file; all sizes are the released ones but the depths.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage, JointState
from std_msgs.msg import String
from support import bags, checkpoint_files, panda, recorded, replays
from support.harness import Predictor, Robot

from vjepa_ros import latents

DEPTHS = {"encoder_depth": 1, "predictor_depth": 1}
RECORDED_S = 2.1  # of the bag: 9 frames at 4 Hz, 2 windows of 8
WINDOWS = 2
DESCRIPTION = "/robot_description"
STREAM = "/vjepa_predictor: stream"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint_files.released(tmp_path_factory.mktemp("released"), **DEPTHS)


@pytest.fixture(scope="module")
def messages() -> list[bags.Message]:
    """The beginning of the sample bag, after a robot description as robot_state_publisher sends it."""
    sample = [m for m in bags.sample() if m.topic in bags.TOPICS]
    start_ns = sample[0].received_ns
    text = bags.TYPES.types["std_msgs/msg/String"](data=panda.URDF)
    described = bags.Message(start_ns - 1, DESCRIPTION, "std_msgs/msg/String", 0, text)
    return [described, *(m for m in sample if m.received_ns - start_ns < RECORDED_S * bags.S)]


def settings(checkpoint: Path) -> dict[str, Any]:
    return {
        "preset": "vjepa2_ac_vitg", "checkpoint": str(checkpoint), "pose.tip_link": "panda_hand",
        "image_transport": "compressed", "queue": "all", "threads": 1, "device": "cpu", "actions.max_wait_s": 30.0,
        **DEPTHS,
    }  # fmt: skip


@pytest.fixture(scope="module")
def predictor(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Predictor]:
    log = tmp_path_factory.mktemp("dry_run") / "log.txt"
    # joint_names: those of the parameter file, which this preset does not read
    given = {**settings(checkpoint), "joint_names": None}
    program = ("-m", "vjepa_ros.ros.main", "--ros-args", "--params-file", str(replays.PARAMS))  # first: the later wins
    process = Predictor(log, given, program=program)
    yield process
    assert process.stop() == 0, process.log


@pytest.fixture
def description(robot: Robot) -> Publisher:
    """Publishes the robot description, as robot_state_publisher does."""
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    return robot.create_publisher(String, DESCRIPTION, latched)


KINDS = {recorded.CAMERA: CompressedImage, recorded.COMMANDS: JointState, recorded.STATES: JointState}


def send(robot: Robot, messages: list[bags.Message]) -> None:
    """Publish recorded messages, in their order, as fast as they are taken."""
    publishers = {recorded.CAMERA: robot.jpegs, recorded.COMMANDS: robot.commands, recorded.STATES: robot.states}
    for number, m in enumerate(messages):
        if m.topic in publishers:
            data = bytes(bags.TYPES.serialize_cdr(m.data, m.kind))
            publishers[m.topic].publish(deserialize_message(data, KINDS[m.topic]))
        if number % 50 == 0:
            robot.executor_.spin_once(timeout_sec=0.0)


def test_a_dry_run_goes_through_the_whole_node_and_equals_the_replay(
    predictor: Predictor, robot: Robot, description: Publisher, messages: list[bags.Message], checkpoint: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    bag = bags.write(tmp_path / "bag", messages)
    given = [f"{name}={value}" for name, value in settings(checkpoint).items()]
    assert replays.run(bag, "-o", tmp_path / "out", "--windows-only", "--set", *given) == 0
    offline = replays.report(tmp_path / "out")
    assert offline["counts"]["windows"] == WINDOWS and offline["counts"]["late"] == 0

    assert robot.change_state(1) and robot.change_state(3), predictor.log
    assert robot.spin(lambda: robot.states.get_subscription_count() == 1)
    assert robot.commands.get_subscription_count() == 0, robot.get_subscriptions_info_by_topic("/joint_commands")
    assert robot.spin(lambda: robot.jpegs.get_subscription_count() == 1)
    assert robot.spin(lambda: robot.count_publishers("/vjepa_predictor/predicted_latents") == 1)
    missing = "no usable robot_description yet: no pose can be computed"
    assert robot.spin(lambda: robot.diagnostics.get(STREAM, {}).get("waits_for") == missing), predictor.log
    assert robot.spin(lambda: robot.levels[STREAM] == DiagnosticStatus.WARN), "active, it needs one"
    assert robot.spin(lambda: missing in predictor.log)
    description.publish(String(data="<!DOCTYPE robot><robot/>"))
    refused = f"rejected {DESCRIPTION} bad_description"
    assert robot.spin(lambda: robot.diagnostics[STREAM].get(refused) == "1"), predictor.log
    assert "it has a DOCTYPE or entities" in predictor.log
    description.publish(String(data=panda.URDF))
    assert robot.spin(lambda: robot.diagnostics[STREAM]["waits_for"] == ""), predictor.log
    send(robot, messages)
    assert robot.spin(lambda: len(robot.predicted) == WINDOWS == len(robot.windows), 60.0), predictor.log

    poses = panda.oracle_poses()
    want = panda.oracle_windows(poses, poses)[:WINDOWS]
    for window, expected in zip(robot.windows, want, strict=True):
        assert window["frame_stamps"] == expected["frame_stamps"]
        np.testing.assert_allclose(window["actions"], expected["actions"], rtol=0, atol=1e-9)
        np.testing.assert_allclose(window["states"], expected["states"], rtol=0, atol=1e-9)
        assert (window["action_source"], window["state_source"]) == ("/joint_states", "/joint_states")
    for message in robot.predicted:
        latent = latents.read(message, robot.info).array
        assert latent.shape == (1, 16, 16, 1408)
        np.testing.assert_allclose(latent.mean(axis=-1), 0, atol=1e-5)
        np.testing.assert_allclose(latent.std(axis=-1), 1, atol=1e-3)
    assert replays.digest(robot.windows) == {name: offline["sha256"][name] for name in ("windows", "actions")}
    info = robot.info
    assert (info["trained"], info["grid"], info["context_steps"], info["steps"]) == (True, [8, 16, 16], 7, 1)
    assert info["pose"]["tip_link"] == "panda_hand" and info["pose"]["gripper_joint"] == panda.FINGER
    assert info["joint_names"] == ["x", "y", "z", "roll", "pitch", "yaw", "gripper"]


def test_another_description_starts_a_new_epoch(predictor: Predictor, robot: Robot, description: Publisher) -> None:
    assert robot.change_state(1) and robot.change_state(3), predictor.log
    description.publish(String(data=panda.URDF))
    assert robot.spin(lambda: robot.diagnostics.get(STREAM, {}).get("waits_for") == ""), predictor.log
    assert robot.diagnostics[STREAM]["epoch"] == "0"
    description.publish(String(data=panda.URDF.replace("0 0 0.107", "0 0 0.207")))
    assert robot.spin(lambda: robot.diagnostics[STREAM].get("epoch") == "1"), predictor.log
    assert "reset (another robot description): epoch 1" in predictor.log
    description.publish(String(data=panda.URDF + " " * 2_000_000))
    words = "characters, at most 2,000,000 (messages.max_description_length)"
    assert robot.spin(lambda: words in predictor.log), predictor.log
    assert robot.spin(lambda: robot.diagnostics[STREAM].get(f"rejected {DESCRIPTION} bad_description") == "1")
    assert (robot.diagnostics[STREAM]["epoch"], robot.diagnostics[STREAM]["waits_for"]) == ("1", "")
