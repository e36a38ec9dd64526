"""Frames, commands and states in; latents and their window information out: over the middleware, from the real node."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage
from support import oracle
from support.harness import Predictor, Robot
from support.messages import JOINTS, MS, T0_NS, image_message, joint_message, pixels, stamped

import vjepa_ros
from vjepa_ros import latents


def windows_of(robot: Robot, count: int) -> None:
    assert robot.spin(lambda: len(robot.predicted) >= count and len(robot.windows) >= count), len(robot.predicted)
    robot.settle()
    assert len(robot.predicted) == len(robot.windows) == count


def expected(count: int, hop: int = 2) -> list[dict[str, Any]]:
    """What the oracle says about ``Robot.send_frames(0, count)``."""
    stamps = [T0_NS + index * 50 * MS for index in range(count)]
    joints = [(stamp, np.array([index + 0.01 * j for j in range(7)])) for index, stamp in enumerate(stamps)]
    return oracle.windows(
        [(stamp,) for stamp in stamps], joints, [(stamp, -value) for stamp, value in joints],
        num_frames=16, stride=2, phase=0, hop=hop, frame_rate=0.0, max_gap_ns=10**9, jump_back_ns=10**9,
        max_wait_ns=200 * MS, timeout_ns=10**9, on_missing="skip",
    )  # fmt: skip


def test_windows_equal_the_oracle_and_latents_equal_the_engine(predictor: Predictor, robot: Robot) -> None:
    robot.start(latents__publish_context=True)
    robot.send_frames(0, 24)
    want = expected(24)
    windows_of(robot, len(want))
    model = vjepa_ros.load("tiny_random")
    for number, (message, context, window, oracles) in enumerate(
        zip(robot.predicted, robot.contexts, robot.windows, want, strict=True)
    ):
        assert window["window"] == number
        assert window["frame_stamps"] == oracles["frame_stamps"]
        assert window["step_stamps"] == oracles["step_stamps"]
        np.testing.assert_array_equal(window["actions"], oracles["actions"])
        np.testing.assert_array_equal(window["states"], oracles["states"])
        got = latents.read(message, robot.info)
        assert got.stamp_ns == oracles["frame_stamps"][-1]
        assert got.frame_id == context.header.frame_id == "camera"
        clip = model.preprocess(np.stack([pixels(number * 2 + i) for i in range(16)]))
        encoded = model.encode(clip)
        outputs = model.predict(encoded, oracles["actions"][None], oracles["states"][None])
        np.testing.assert_allclose(got.array, model.grid.unflatten(outputs)[0, -1:].numpy(), atol=1e-5)
        np.testing.assert_allclose(
            latents.read(context, robot.info).array, model.grid.unflatten(encoded)[0].numpy(), atol=1e-5
        )


def test_the_messages_are_what_the_interface_says(predictor: Predictor, robot: Robot) -> None:
    robot.start(latents__steps="all", latents__dtype="16FC1")
    robot.send_frames(0, 16)
    windows_of(robot, 1)
    (message,), (window_message,) = robot.predicted, robot.window_messages
    assert (message.height, message.width, message.encoding, message.step) == (8 * 4 * 4, 128, "16FC1", 256)
    assert len(message.data) == 8 * 4 * 4 * 128 * 2
    assert message.header == window_message.header
    assert latents.read(message, robot.info).array.shape == (8, 4, 4, 128)
    assert robot.info["trained"] is False and "UNTRAINED" in robot.info["notice"]
    assert robot.info["grid"] == [8, 4, 4] and robot.info["dim"] == 128 and robot.info["steps"] == 8
    assert robot.info["joint_names"] == robot.info["state_names"] == JOINTS
    assert (robot.info["reduction"], robot.info["phase"], robot.info["encoding"]) == ("pick", "first", "clip")
    assert robot.windows[0]["info_id"] == robot.info["info_id"]
    assert robot.windows[0]["late"] == robot.windows[0]["held"] == 0
    assert robot.count_publishers("/vjepa_predictor/context_latents") == 0


def test_quality_of_service_and_names(predictor: Predictor, robot: Robot) -> None:
    robot.start()

    def profile(topic: str, publishes: bool) -> tuple[str, str, int, str]:
        asked = robot.get_publishers_info_by_topic if publishes else robot.get_subscriptions_info_by_topic

        def found() -> list[Any]:
            """Names of nodes come after their topics."""
            return [info for info in asked(topic) if info.node_name == "vjepa_predictor"]

        assert robot.spin(lambda: len(found()) == 1), asked(topic)
        (info,) = found()
        return info.topic_type, info.qos_profile.reliability.name, info.qos_profile.durability.name, ""

    own = "/vjepa_predictor/"
    assert profile(own + "predicted_latents", True)[:3] == ("sensor_msgs/msg/Image", "RELIABLE", "VOLATILE")
    assert profile(own + "latent_info", True)[:3] == ("std_msgs/msg/String", "RELIABLE", "TRANSIENT_LOCAL")
    window_info = profile(own + "window_info", True)
    assert window_info[:3] == ("diagnostic_msgs/msg/DiagnosticArray", "RELIABLE", "VOLATILE")
    for name in ("prediction_error", "no_change_error"):
        assert profile(own + name, True)[:3] == ("std_msgs/msg/Float32", "RELIABLE", "VOLATILE")
    assert profile("/diagnostics", True)[:2] == ("diagnostic_msgs/msg/DiagnosticArray", "RELIABLE")
    assert profile("/joint_commands", False)[:2] == ("sensor_msgs/msg/JointState", "RELIABLE")
    # overridden by the harness; without that they are best effort (test_lifecycle.py)
    assert profile("/image", False)[:2] == ("sensor_msgs/msg/Image", "RELIABLE")
    assert profile("/joint_states", False)[:2] == ("sensor_msgs/msg/JointState", "RELIABLE")


def test_compressed_images_give_the_same_windows(predictor: Predictor, robot: Robot) -> None:
    robot.start(image_transport="compressed")
    for index in range(16):
        stamp_ns = T0_NS + index * 50 * MS
        robot.send_joints(stamp_ns, float(index))
        png = cv2.imencode(".png", pixels(index)[..., ::-1])[1].tobytes()
        robot.jpegs.publish(stamped(CompressedImage(format="rgb8; png compressed bgr8", data=png), stamp_ns))
    windows_of(robot, 1)
    compressed = latents.read(robot.predicted[0], robot.info).array.copy()
    robot.start(image_transport="raw")
    robot.send_frames(0, 16)
    windows_of(robot, 1)
    np.testing.assert_array_equal(latents.read(robot.predicted[0], robot.info).array, compressed)


def test_bad_input_is_dropped_counted_warned_about_and_changes_nothing_else(predictor: Predictor, robot: Robot) -> None:
    robot.start()
    stream = "/vjepa_predictor: stream"
    for index in range(18):
        stamp_ns = T0_NS + index * 50 * MS
        bad = image_message(stamp_ns - 10 * MS, index)
        bad.encoding = "yuv_of_mars"
        robot.images.publish(bad)
        empty = image_message(stamp_ns - 5 * MS, index)
        empty.height = empty.width = 0
        robot.images.publish(empty)
        robot.commands.publish(joint_message(stamp_ns + MS, JOINTS, [float("nan")] * 7))
        robot.commands.publish(joint_message(stamp_ns + MS, JOINTS[:5], [0.0] * 5))
        robot.states.publish(joint_message(stamp_ns + MS, ["gripper"], [0.0]))
        robot.send_frames(index, 1)
    want = expected(18)
    windows_of(robot, len(want))
    for window, oracles in zip(robot.windows, want, strict=True):
        assert window["frame_stamps"] == oracles["frame_stamps"]
        np.testing.assert_array_equal(window["actions"], oracles["actions"])
        np.testing.assert_array_equal(window["states"], oracles["states"])
    assert robot.spin(lambda: robot.diagnostics.get(stream, {}).get("rejected") == str(18 * 3))
    assert robot.spin(lambda: robot.diagnostics[stream]["foreign"] == "18"), "the gripper's: no fault"
    counted = {key: value for key, value in robot.diagnostics[stream].items() if key.startswith("rejected /")}
    assert counted == {
        "rejected /image empty_image": "18",
        "rejected /image unknown_encoding": "18",
        "rejected /joint_commands not_finite": "18",
    }
    for topic, reason in (("/image", "unknown_encoding"), ("/joint_commands", "not_finite")):
        lines = [line for line in predictor.log.splitlines() if f"{topic}: {reason}" in line]
        assert 1 <= len(lines) <= 2, "warned about, and throttled"
    assert "missing_joints" not in predictor.log
    assert predictor.process.poll() is None


def test_a_gap_restarts_the_window_and_a_jump_back_starts_an_epoch(predictor: Predictor, robot: Robot) -> None:
    robot.start()
    robot.send_frames(0, 17)
    robot.send_frames(60, 17)  # 2 s later: a gap
    windows_of(robot, 2)
    assert [window["epoch"] for window in robot.windows] == [robot.windows[0]["epoch"]] * 2
    assert robot.windows[1]["frame_stamps"][0] == T0_NS + 60 * 50 * MS
    robot.send_frames(10, 16)  # back by more than a second
    windows_of(robot, 3)
    assert robot.windows[2]["epoch"] == robot.windows[0]["epoch"] + 1
    assert robot.windows[2]["window"] == 0
    assert robot.windows[2]["frame_stamps"] == [T0_NS + index * 50 * MS for index in range(10, 26)]


def test_reset_service(predictor: Predictor, robot: Robot) -> None:
    assert robot.reset()[0] is False
    robot.start()
    robot.send_frames(0, 16)
    windows_of(robot, 1)
    robot.send_frames(16, 15)  # one frame short of a whole new window
    windows_of(robot, 8)
    seen = len(robot.windows)
    success, message = robot.reset()
    assert success and "epoch" in message
    robot.send_frames(31, 16)
    assert robot.spin(lambda: len(robot.windows) > seen)
    robot.settle()
    assert len(robot.windows) == seen + 1, "a reset begins with an empty window"
    assert robot.windows[-1]["epoch"] == robot.windows[0]["epoch"] + 1
    assert robot.windows[-1]["frame_stamps"][0] == T0_NS + 31 * 50 * MS
