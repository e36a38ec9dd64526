"""Plans over the middleware: the node in a process of its own, before a robot that stands still."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseArray
from lifecycle_msgs.msg import Transition
from sensor_msgs.msg import CompressedImage, Image
from support import panda
from support.harness import Predictor, Robot
from support.messages import JOINTS, S, image_message, joint_message, pixels, rgb8, stamped
from support.messages import stamp_ns as stamp_of
from support.planned import POSES, QUICK, READY, STEP_S, Standing

HEALTH = "/vjepa_predictor: planner"


@pytest.fixture(scope="module")
def parameters() -> dict[str, Any]:
    return QUICK


@pytest.fixture
def standing(robot: Robot) -> Iterator[Standing]:
    found = Standing(robot)
    yield found
    found.close()


def planned(standing: Standing) -> list[dict[str, Any]]:
    return [status for status in standing.statuses if status["state"] == "planned"]


def test_a_plan_of_every_window(predictor: Predictor, standing: Standing) -> None:
    standing.start()
    robot = standing.robot
    assert robot.spin(lambda: any(s["reason"] == "no_goal" for s in standing.statuses)), predictor.log
    assert standing.plans == [] and standing.energies == []
    assert robot.spin(lambda: robot.messages.get(HEALTH, "").startswith("waiting: no_goal: ")), robot.messages
    assert robot.levels[HEALTH] == b"\0", "the first goal is yet to come"
    assert robot.spin(lambda: "no_plan no_goal" in robot.diagnostics[HEALTH]), "of a window that came before it"
    standing.aim()
    assert standing.is_planning(5), standing.statuses[-1:]
    robot.settle(0.3)
    assert not standing.commands and robot.count_publishers("/vjepa_predictor/command") == 0
    statuses = planned(standing)
    step_stamps = {window["window"]: window["step_stamps"] for window in robot.windows}
    for message, energies, status in zip(standing.plans, standing.energies, statuses, strict=False):
        assert message.joint_names == JOINTS
        actions, decided = np.array(status["actions"]), status["decided"]
        assert 1 <= decided <= 3 and len(message.points) == 4 - decided
        np.testing.assert_allclose([point.positions for point in message.points], actions[decided:], atol=1e-12)
        np.testing.assert_array_equal(actions[:decided], np.tile(READY, (decided, 1)))
        since = [p.time_from_start.sec + p.time_from_start.nanosec / S for p in message.points]
        period_s = since[0]
        assert period_s == pytest.approx(STEP_S, rel=0.2)
        assert period_s == pytest.approx(np.diff(step_stamps[status["window"]]).mean() / S, abs=1e-6)
        np.testing.assert_allclose(np.diff(since), period_s, atol=1e-6)
        # It begins a step after the newest observed one, which is a frame before the window's newest frame.
        begins_s = (stamp_of(message) - status["window_stamp"]) / S
        assert begins_s == pytest.approx((decided - 0.5) * period_s, abs=0.5 * period_s)
        now, last, *steps = energies.data
        assert last == steps[-1] and len(steps) == len(message.points)
        assert (now, last) == pytest.approx((status["energy"], status["planned_energy"]))
    windows = [status["window"] for status in statuses]
    assert windows == sorted(set(windows)), "one of each"
    assert {s["goal"] for s in statuses} == {"goal_image"} and not statuses[-1]["executing"]
    health = robot.diagnostics
    assert robot.spin(lambda: int(health[HEALTH]["planned"]) >= len(statuses)), health[HEALTH]
    found = {"planning": "planned", "reason": "", "goal": "goal_image", "sub_goal": "1", "executing": "False"}
    assert found.items() <= health[HEALTH].items(), health[HEALTH]
    assert float(health[HEALTH]["energy"]) > 0 and float(health[HEALTH]["took_s"]) > 0
    assert int(health[HEALTH]["no_plan no_goal"]) >= 1


def test_no_plan_is_made_of_a_window_that_is_too_old(predictor: Predictor, standing: Standing) -> None:
    standing.start(planner__max_age_s=5e-3)
    standing.aim()
    assert standing.robot.spin(lambda: any(s["reason"] == "stale_window" for s in standing.statuses[1:]))
    standing.robot.settle(1.0)
    assert standing.plans == [] and standing.energies == []
    assert "planner.max_age_s is 0.005 s" in standing.statuses[-1]["detail"]
    robot = standing.robot
    assert robot.spin(lambda: "windows without a plan" in robot.messages.get(HEALTH, "")), robot.messages
    assert robot.levels[HEALTH] == DiagnosticStatus.WARN
    assert int(robot.diagnostics[HEALTH]["no_plan stale_window"]) >= 1


def test_a_camera_that_stops_is_said_without_a_plan_or_a_message(predictor: Predictor, standing: Standing) -> None:
    standing.start()
    standing.aim()
    assert standing.is_planning()
    robot, standing.is_sending = standing.robot, False
    said = "no window comes: the newest frame of the last one is "
    assert robot.spin(lambda: standing.statuses[-1]["detail"].startswith(said)), standing.statuses[-1]
    assert (standing.statuses[-1]["state"], standing.statuses[-1]["reason"]) == ("waiting", "stale_window")
    assert robot.spin(lambda: robot.messages.get(HEALTH, "").startswith("waiting: stale_window: ")), robot.messages
    statuses, plans = len(standing.statuses), len(standing.plans)
    robot.settle(1.2)
    assert len(standing.statuses) == statuses, "once, not twice a second"
    standing.is_sending = True
    assert robot.spin(lambda: len(standing.plans) > plans and standing.statuses[-1]["state"] == "planned")


def test_goals_change_and_bad_ones_change_nothing(predictor: Predictor, standing: Standing) -> None:
    robot = standing.robot
    standing.start()
    compressed = robot.create_publisher(CompressedImage, "/vjepa_predictor/goal_image/compressed", 10)
    assert robot.spin(lambda: compressed.get_subscription_count() == 1)
    standing.aim(40)
    assert standing.is_planning()
    first = planned(standing)[-1]
    bad = image_message(robot.get_clock().now().nanoseconds, 41)
    bad.encoding = "yuv_of_mars"
    standing.goals.publish(bad)
    assert robot.spin(lambda: "/vjepa_predictor/goal_image: unknown_encoding: " in predictor.log)
    assert standing.is_planning()
    assert planned(standing)[-1]["goal_stamp"] == first["goal_stamp"]
    _, data = cv2.imencode(".png", cv2.cvtColor(pixels(10), cv2.COLOR_RGB2BGR))
    goal = stamped(CompressedImage(format="png", data=data.tobytes()), 12345)
    compressed.publish(goal)
    assert robot.spin(lambda: planned(standing)[-1]["goal_stamp"] == 12345), standing.statuses[-1:]
    goal.format = "jpeg; compressedDepth"
    compressed.publish(goal)
    assert robot.spin(lambda: "/vjepa_predictor/goal_image/compressed: depth_image: " in predictor.log)
    assert standing.is_planning() and planned(standing)[-1]["goal_stamp"] == 12345
    # Any size will do: it is cut and resized as the camera's pictures are.
    standing.goals.publish(stamped(rgb8(pixels(3, 90, 120)), 777))
    assert robot.spin(lambda: planned(standing)[-1]["goal_stamp"] == 777), standing.statuses[-1:]


def test_a_folder_of_sub_goals(predictor: Predictor, standing: Standing, tmp_path: Path) -> None:
    for number in (1, 2):
        cv2.imwrite(str(tmp_path / f"goal{number}.png"), pixels(10 * number))
    robot = standing.robot
    standing.start(planner__goals=str(tmp_path))
    assert standing.is_planning()
    status = planned(standing)[-1]
    assert (status["goal"], status["sub_goal"], status["sub_goals"]) == ("goal1.png", 1, 2)
    assert standing.trigger("next_goal") == (True, "goal 2 of 2, goal2.png")
    assert robot.spin(lambda: planned(standing)[-1]["goal"] == "goal2.png")
    assert standing.trigger("next_goal") == (True, "that was the last goal")
    assert robot.spin(lambda: standing.statuses[-1]["state"] == "reached")
    robot.settle(0.3)
    before = len(standing.plans)
    robot.settle(0.8)
    assert len(standing.plans) == before, "nothing is planned once the last one is met"
    assert standing.trigger("next_goal") == (False, "there is no goal that is aimed at")
    standing.aim()
    assert standing.is_planning(), "another goal begins anew"
    robot.stop()
    assert robot.set_parameters(planner__goals=str(tmp_path / "nowhere"))[0][0]
    assert not robot.change_state(Transition.TRANSITION_CONFIGURE)
    assert "cannot configure: planner.goals: " in predictor.log
    assert robot.state() == "unconfigured"


def test_a_goal_is_reached_by_its_energy(predictor: Predictor, standing: Standing) -> None:
    standing.start(planner__goal_energy=[1e3], planner__goal_plans=[3])
    standing.aim()
    assert standing.robot.spin(lambda: bool(standing.statuses) and standing.statuses[-1]["state"] == "reached")
    assert 1 <= len(standing.plans) <= 2, "the third time in a row it is met"


def test_windows_go_on_beside_plans(predictor: Predictor, standing: Standing) -> None:
    """In a queue that loses nothing each window comes, in its order, whatever is planned meanwhile."""
    standing.start(queue="all", planner__samples=64, planner__elites=8, planner__iterations=4)
    standing.aim()
    assert standing.is_planning(3), standing.statuses[-1:]
    robot = standing.robot
    assert robot.spin(lambda: len(robot.windows) >= 20)
    numbers = [window["window"] for window in robot.windows]
    assert numbers == list(range(len(numbers)))
    assert len(robot.windows) > len(standing.plans)


def test_no_window_is_lost_at_4_hz_beside_plans_that_take_longer(predictor: Predictor, standing: Standing) -> None:
    """The newest window wins, and each plan takes until its time is up: longer than one window stays the newest one.

    Whatever else keeps the machine busy for a moment may cost a window; twelve in a row are not had by chance.
    """
    limit_s = 0.6
    standing.start(
        queue="latest", frame_rate=8.0, hop=2, image_size=[64, 64], num_frames=16, encoder_depth=4, predictor_depth=4,
        planner__samples=64, planner__elites=8, planner__iterations=1000, planner__time_limit_s=limit_s,
    )  # fmt: skip
    standing.aim()
    assert standing.is_planning(), standing.statuses[-1:]
    robot = standing.robot

    def in_a_row() -> list[dict[str, Any]]:
        """The newest windows, none of which is missing."""
        numbers = [window["window"] for window in robot.windows]
        first = next((n for n in range(len(numbers) - 1, 0, -1) if numbers[n] != numbers[n - 1] + 1), 0)
        return robot.windows[first:]

    def beside() -> list[dict[str, Any]]:
        """The plans that were made of these windows."""
        numbers = {window["window"] for window in in_a_row()}
        return [status for status in planned(standing) if status["window"] in numbers]

    assert robot.spin(lambda: len(in_a_row()) >= 12 and len(beside()) >= 3), [w["window"] for w in robot.windows]
    for status in beside():
        assert status["ended_early"] and status["took_s"] >= limit_s
    stamps = [window["frame_stamps"][-1] for window in in_a_row()]
    np.testing.assert_allclose(np.diff(stamps) / S, 0.25, atol=0.11)  # the nearest frames of a camera at 10 Hz


def test_the_picture_is_made_only_for_somebody(predictor: Predictor, standing: Standing) -> None:
    robot = standing.robot
    standing.start()
    standing.aim()
    assert standing.is_planning()
    pictures: list[Image] = []
    subscription = robot.create_subscription(Image, "/vjepa_predictor/plan_image", pictures.append, 10)
    assert robot.spin(lambda: bool(pictures)), predictor.log
    picture = pictures[-1]
    assert (picture.encoding, picture.height, picture.width) == ("rgb8", 32, 32 + 8 + 32)
    # The status of a plan is published after its picture.
    assert robot.spin(lambda: stamp_of(picture) in {status["window_stamp"] for status in standing.statuses})
    robot.destroy_subscription(subscription)


def test_states_that_are_no_numbers_stop_the_plans_until_they_are(predictor: Predictor, standing: Standing) -> None:
    robot = standing.robot
    standing.start(states__timeout_s=0.3, actions__max_wait_s=0.05)
    standing.aim()
    assert standing.is_planning()
    standing.joints = False
    timer = robot.create_timer(0.05, lambda: send_nan(robot))
    robot.settle(1.0)
    before = len(standing.plans)
    robot.settle(1.0)
    assert len(standing.plans) == before, "no window, no plan"
    robot.destroy_timer(timer)
    assert "/joint_states: not_finite: " in predictor.log
    standing.joints = True
    assert standing.is_planning()


def send_nan(robot: Robot) -> None:
    now_ns = robot.get_clock().now().nanoseconds
    robot.commands.publish(joint_message(now_ns, JOINTS, READY))
    robot.states.publish(joint_message(now_ns, JOINTS, [float("nan")] * 7))


def test_candidates_of_the_tip_move_straight(predictor: Predictor, standing: Standing) -> None:
    space = {"planner__sample_space": "tip", "planner__std": [0.01, 0.0, 0.0], "pose__tip_link": "panda_hand"}
    standing.start(**space)
    standing.aim()
    assert standing.is_planning(3), standing.statuses[-1:]
    start = panda.transform(READY)[:3, 3]
    for message in standing.plans:
        for point in message.points:
            moved = panda.transform(point.positions)[:3, 3] - start
            assert np.abs(moved[1:]).max() < 2e-3 and np.abs(moved[0]) < 0.2


def test_plans_of_poses(log_path: Path) -> None:
    predictor = Predictor(log_path, {**QUICK, **POSES}, ("-r", "__node:=poses"))
    robot = Robot("/poses")
    standing = Standing(robot, plan=PoseArray)
    try:
        standing.begin()
        standing.aim()
        assert standing.is_planning(2), (standing.statuses[-1:], predictor.log)
        message = standing.plans[-1]
        assert message.header.frame_id == "panda_link0"
        tip = panda.transform(READY)[:3, 3]
        for pose in message.poses:
            place = np.array([pose.position.x, pose.position.y, pose.position.z])
            assert 0 < np.abs(place - tip).max() < 0.5
    finally:
        standing.close()
        assert predictor.stop() == 0, predictor.log
        robot.close()
