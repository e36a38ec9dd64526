"""Questions over the middleware: the node in a process of its own, asked from here, held against the engine offline."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Float32MultiArray
from support import recorded
from support.asking import Asker, candidates_around, question
from support.harness import Predictor, Robot
from support.messages import JOINTS, T0_NS, image_message, joint_message, pixels, stamped
from support.robot import TIMEOUT_S

import vjepa_ros
from examples.cem_planner import CemPlanner, plan
from vjepa_ros.images.compressed import decode_compressed

QUESTIONS = "/vjepa_predictor: questions"
EVER = 1e9  # s; the recording is old
TOLERANCE = 2e-6


@pytest.fixture(scope="module")
def asker(robot: Robot) -> Asker:
    return Asker(robot)


@pytest.fixture(scope="module")
def model() -> Any:
    return vjepa_ros.load("tiny_random")


def send_recording(robot: Robot, frames: int) -> dict[int, np.ndarray]:
    """The beginning of the sample bag; the pictures by stamp."""
    pictures: dict[int, np.ndarray] = {}
    for topic, m in recorded.messages():
        stamp_ns = m.header.stamp.sec * 10**9 + m.header.stamp.nanosec
        if topic == recorded.CAMERA:
            if len(pictures) == frames:
                break
            pictures[stamp_ns] = decode_compressed(m.format, m.data)
            robot.jpegs.publish(stamped(CompressedImage(format=m.format, data=m.data.tobytes()), stamp_ns))
        elif topic in (recorded.COMMANDS, recorded.STATES):
            publisher = robot.commands if topic == recorded.COMMANDS else robot.states
            publisher.publish(joint_message(stamp_ns, list(m.name), list(m.position)))
        robot.executor_.spin_once(timeout_sec=0.0)
    return pictures


def offline(model: Any, window: dict[str, Any], pictures: dict[int, np.ndarray], values: np.ndarray, goal: Any) -> Any:
    """The engine's energies for a window, from nothing but the recording and what window_info says."""
    context = model.encode(model.preprocess(np.stack([pictures[stamp] for stamp in window["frame_stamps"]])))
    actions, states = np.array(window["actions"])[None], np.array(window["states"])[None]
    return model.energy(model.rollout(context, actions[:, :-1], states, values), model.encode_goal(goal)).numpy()


def test_energies_equal_the_engines_offline(predictor: Predictor, asker: Asker, model: Any) -> None:
    robot = asker.robot
    asker.start(image_transport="compressed", candidates__max_age_s=EVER, candidates__batch_size=2)
    pictures = send_recording(robot, 24)
    assert robot.spin(lambda: len(robot.windows) == 5 and len(robot.predicted) == 5)
    window, goal = robot.windows[-1], pixels(40)
    asker.set_goal(image_message(T0_NS, 40))
    values = candidates_around(np.array(window["actions"][-1]))
    info = asker.ask(values, (42.0, 7.5))
    (got,) = asker.numbers()
    want = offline(model, window, pictures, values, goal)
    assert np.ptp(want, axis=0).min() > 50 * TOLERANCE
    np.testing.assert_allclose(got, want, rtol=0, atol=TOLERANCE)
    assert list(asker.energies[0].data[:2]) == [42.0, 7.5]
    assert info == {
        "question": 0, "tag": [42.0, 7.5], "answered": True, "reason": "", "detail": "",
        "info_id": robot.info["info_id"], "epoch": window["epoch"], "window": window["window"],
        "window_stamp": window["frame_stamps"][-1], "goal_stamp": T0_NS,
    }  # fmt: skip
    header = asker.headers[-1]
    assert header == robot.predicted[-1].header

    # Further questions, answered in their order.
    for number in range(3):
        asker.candidates.publish(question(values[number : number + 1, : number + 1], (float(number),)))
    assert robot.spin(lambda: len(asker.energies) == 4 and len(asker.infos) == 4)
    assert [info["tag"] for info in asker.infos[1:]] == [[0.0], [1.0], [2.0]]
    for number, energies in enumerate(asker.numbers(3)):
        np.testing.assert_allclose(energies, want[number : number + 1, : number + 1], rtol=0, atol=TOLERANCE)
    assert robot.spin(lambda: robot.diagnostics.get(QUESTIONS, {}).get("answered") == "4")
    assert robot.levels[QUESTIONS] == b"\0"


def test_a_cross_entropy_planner_gets_its_answers(predictor: Predictor, asker: Asker, model: Any) -> None:
    robot = asker.robot
    asker.start(image_transport="compressed", candidates__max_age_s=EVER, candidates__batch_size=16)
    planner = CemPlanner(robot.predictor, TIMEOUT_S)
    try:
        planner.set_goal(pixels(40))
        pictures = send_recording(robot, 16)
        planner.wait(lambda: bool(planner.window))
        start = np.array(planner.window["actions"][-1])
        own = planner._candidates

        def publish_after_others(message: Float32MultiArray) -> None:
            """Other planners ask first, and count their questions too."""
            *_, number = message.data[: message.layout.data_offset]
            for tag in ((number,), (number, number), (0.5, number)):
                own.publish(question(candidates_around(start, 2, 1), tag))
            own.publish(message)

        planner._candidates = SimpleNamespace(publish=publish_after_others)
        asked: list[tuple[np.ndarray, np.ndarray]] = []

        def ask(values: np.ndarray) -> np.ndarray:
            asked.append((values, planner.ask(values)))
            return asked[-1][1]

        best = plan(ask, start, horizon=2, std=10.0, samples=16, elites=4)
        assert len(asked) == 3
        for values, energies in asked:
            want = offline(model, planner.window, pictures, values, pixels(40))
            np.testing.assert_allclose(energies, want, rtol=0, atol=TOLERANCE)
        last, energies = asked[-1]
        np.testing.assert_allclose(best, last[np.argsort(energies[:, -1])[:4]].mean(axis=0))
        with pytest.raises(RuntimeError, match="bad_layout: sizes"):
            planner.ask(asked[0][0][..., :6])
    finally:
        planner.destroy_node()


def test_every_refusal_is_a_diagnostic_and_never_a_number(predictor: Predictor, asker: Asker) -> None:
    robot = asker.robot
    asker.start(candidates__max_age_s=EVER, candidates__max_count=5, candidates__max_horizon=4)
    values = candidates_around(np.zeros(7))
    assert asker.refused(values) == ("no_goal", "publish an image on ~/goal_image first")
    asker.set_goal(image_message(0, 40))
    assert asker.refused(values)[0] == "no_window"
    robot.send_frames(0, 16)
    assert robot.spin(lambda: len(robot.predicted) == 1)
    assert asker.refused(values, labels=("candidate", "joint", "step"))[0] == "bad_layout"
    assert asker.refused(values[..., :6])[0] == "bad_layout"
    assert asker.refused(values, sizes=(5, 2, 7))[0] == "bad_layout"
    assert asker.refused(candidates_around(np.zeros(7), 6))[0] == "too_large"
    assert asker.refused(candidates_around(np.zeros(7), 5, 5))[0] == "too_large"
    assert asker.refused(np.where(values > 0, np.inf, values))[0] == "bad_values"
    refusals = len(asker.infos)
    assert asker.energies == []
    assert asker.ask(values)["answered"], "the node goes on"
    assert np.isfinite(asker.numbers()[0]).all()

    # A time that has been left behind: the window goes with it, the goal stays.
    assert robot.reset()[0]
    assert asker.refused(values)[0] == "no_window"
    robot.send_frames(0, 16)
    assert robot.spin(lambda: len(robot.predicted) == 2)
    assert asker.ask(values)["epoch"] == robot.windows[-1]["epoch"] == robot.windows[0]["epoch"] + 1
    before, after = asker.numbers(2)
    np.testing.assert_allclose(before, after, rtol=0, atol=TOLERANCE)

    assert [info["question"] for info in asker.infos] == list(range(refusals + 3))
    counted = {"no_goal": "1", "no_window": "2", "bad_layout": "3", "too_large": "2", "bad_values": "1"}
    totals = {"asked": str(refusals + 3), "answered": "2", "refused": str(refusals + 1)}
    assert robot.spin(lambda: totals.items() <= robot.diagnostics[QUESTIONS].items()), robot.diagnostics[QUESTIONS]
    status = robot.diagnostics[QUESTIONS]
    found = {key.removeprefix("refused "): n for key, n in status.items() if key.startswith("refused ") and n != "0"}
    assert found == counted
    for reason in counted:
        lines = [line for line in predictor.log.splitlines() if f"/vjepa_predictor/candidates: {reason}: " in line]
        assert 1 <= len(lines) <= 2, "warned about, and throttled"


def test_a_stale_window_and_a_fresh_one(predictor: Predictor, asker: Asker) -> None:
    robot = asker.robot
    asker.start(candidates__max_age_s=60.0)
    asker.set_goal(image_message(0, 40))
    values = candidates_around(np.zeros(7))
    robot.send_frames(0, 16)  # of the year 2023
    assert robot.spin(lambda: len(robot.predicted) == 1)
    reason, detail = asker.refused(values)
    assert reason == "stale_window" and "candidates.max_age_s is 60 s" in detail
    assert asker.infos[-1]["window"] is None
    robot.send_frames(0, 16, t0_ns=robot.get_clock().now().nanoseconds)
    assert robot.spin(lambda: len(robot.predicted) == 2)
    assert asker.ask(values)["window_stamp"] == robot.windows[-1]["frame_stamps"][-1]
    assert len(asker.numbers()) == len(asker.energies) == 1


def test_goals_in_other_encodings_and_goals_that_cannot_be_used(predictor: Predictor, asker: Asker) -> None:
    robot = asker.robot
    asker.start(candidates__max_age_s=EVER, view__roi=[0, 0, 32, 32])
    robot.send_frames(0, 16)
    assert robot.spin(lambda: len(robot.predicted) == 1)
    values = candidates_around(np.zeros(7))
    asker.set_goal(image_message(1, 40))
    asker.ask(values)
    swapped = image_message(2, 40)
    swapped.encoding = "bgr8"
    del swapped.data[:]
    swapped.data.frombytes(np.ascontiguousarray(pixels(40)[..., ::-1]).tobytes())
    asker.set_goal(swapped)
    assert asker.ask(values)["goal_stamp"] == 2
    unknown, depth, small = (image_message(stamp, 41) for stamp in (3, 4, 5))
    unknown.encoding, depth.encoding, small.height = "yuv_of_mars", "16UC1", 31
    for goal in (unknown, depth, small):
        asker.set_goal(goal)
    assert robot.diagnostics[QUESTIONS]["goals_refused"] == "3"
    assert asker.ask(values)["goal_stamp"] == 2, "the goal before them stays"
    first, second, third = asker.numbers(3)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(second, third)
    for reason in ("unknown_encoding", "depth_image", "roi_outside"):
        assert f"/vjepa_predictor/goal_image: {reason}: " in predictor.log
    asker.set_goal(image_message(6, 60))
    assert asker.ask(values)["goal_stamp"] == 6
    assert np.abs(asker.numbers()[0] - first).min() > 50 * TOLERANCE

    # Deactivating forgets the goal.
    robot.reactivate()
    asker.connect()
    assert asker.refused(values)[0] == "no_goal"


def test_every_question_of_a_burst_is_answered_or_refused(predictor: Predictor, asker: Asker) -> None:
    robot = asker.robot
    asker.start(
        candidates__max_age_s=EVER, candidates__max_count=64, candidates__queue_size=1, candidates__max_horizon=8
    )
    asker.set_goal(image_message(0, 40))
    robot.send_frames(0, 16)
    assert robot.spin(lambda: len(robot.predicted) == 1)
    values = candidates_around(np.zeros(7), 64, 8)
    for number in range(6):
        asker.candidates.publish(question(values, (float(number),)))
    robot.send_frames(16, 2)
    assert robot.spin(lambda: len(asker.infos) == 6 and len(robot.predicted) == 2)
    answered = [info["tag"][0] for info in asker.infos if info["answered"]]
    assert {info["reason"] for info in asker.infos if not info["answered"]} == {"busy"}
    assert 1 <= len(answered) < 6 and answered == sorted(answered)
    assert robot.spin(lambda: len(asker.energies) == len(answered))
    assert [message.data[0] for message in asker.energies] == answered


def test_a_configuration_that_cannot_be_rolled_out_still_predicts(predictor: Predictor, asker: Asker) -> None:
    robot = asker.robot
    asker.start(state_names=[*JOINTS[1:], JOINTS[0]])
    robot.send_frames(0, 16)
    assert robot.spin(lambda: len(robot.predicted) == 1)
    reason, detail = asker.refused(candidates_around(np.zeros(7)))
    assert reason == "no_state_model" and "state_names: " in detail


def test_a_model_that_was_given_up_answers_nothing(log_path: Path, tmp_path: Path) -> None:
    faulty = str(Path(__file__).parents[1] / "support" / "faulty_node.py")
    fault = tmp_path / "fault"
    fault.write_text("always", encoding="utf-8")
    predictor = Predictor(log_path, {"max_failures": 1}, ("-r", "__node:=broken"), (faulty, str(fault)))
    robot = Robot("/broken")
    try:
        asker = Asker(robot)
        asker.start()
        asker.set_goal(image_message(0, 40))
        robot.send_frames(0, 16)
        assert robot.spin(lambda: "given up" in predictor.log)
        reason, detail = asker.refused(candidates_around(np.zeros(7)))
        assert reason == "model_failed" and "out of memory" in detail
        assert asker.energies == []
    finally:
        assert predictor.stop() == 0, predictor.log
        robot.close()
