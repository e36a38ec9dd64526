"""The sample bag through the real node with a horizon: the forecasts, their errors, and what the node says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from std_msgs.msg import Float32
from support import bags, recorded, replays
from support.harness import Predictor, Robot
from support.playing import IMAGE, MAX_WAIT_S, play

import vjepa_ros
from vjepa_ros import latents

HORIZON, HOP = 3, 4  # a window ends every two steps: forecast 2 is the one whose step is observed as the newest
STATUS = "/vjepa_predictor: prediction"

BROKEN = """
from vjepa_ros.forecast.prediction_error import PredictionErrors
from vjepa_ros.ros.main import main

def add(*_):
    raise ZeroDivisionError("a bug")

PredictionErrors.add = add
main()
"""


def computed(want: list[dict[str, Any]]) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
    """The forecasts (HORIZON, 4, 4, 128) and newest steps (4, 4, 128) of the oracle's windows, by the engine."""
    images = {
        message.header.stamp.sec * 10**9 + message.header.stamp.nanosec: message.data
        for topic, message in recorded.messages()
        if topic == recorded.CAMERA
    }
    pixels = {stamp: cv2.imdecode(np.asarray(data), cv2.IMREAD_COLOR)[..., ::-1] for stamp, data in images.items()}
    model = vjepa_ros.load("tiny_random")
    forecasts, newest = [], []
    for window in want:
        context = model.encode(model.preprocess(np.stack([pixels[stamp] for stamp in window["frame_stamps"]])))
        future = np.concatenate([window["actions"][-1:], window["future_actions"]])[None]
        rolled = model.rollout(context, window["actions"][None, :-1], window["states"][None], future)
        forecasts.append(rolled.reshape(HORIZON, 4, 4, 128).numpy())
        newest.append(context[0, -16:].reshape(4, 4, 128).numpy())
    return forecasts, newest


def test_forecasts_and_their_errors_are_those_of_the_engine(predictor: Predictor, robot: Robot, tmp_path: Path) -> None:
    errors: list[float] = []
    no_change: list[float] = []
    for name, received in (("prediction_error", errors), ("no_change_error", no_change)):
        topic = f"{robot.predictor}/{name}"
        robot.create_subscription(Float32, topic, lambda message, received=received: received.append(message.data), 100)
    renamed = [
        m._replace(topic=IMAGE) if m.topic == recorded.CAMERA else m for m in bags.sample() if m.topic in bags.TOPICS
    ]
    bag = bags.write(tmp_path / "bag", renamed)
    want = replays.expected(recorded.BAG, MAX_WAIT_S, hop=HOP, horizon=HORIZON)
    forecasts, newest = computed(want)

    robot.start(image_transport="compressed", actions__max_wait_s=MAX_WAIT_S, hop=HOP, latents__horizon=HORIZON)
    assert robot.spin(lambda: robot.count_publishers(f"{robot.predictor}/prediction_error") == 1)
    play(robot, bag, len(want))
    assert [window["late"] for window in robot.windows] == [0] * len(want)
    replays.assert_equal(robot.windows, want)
    assert robot.info["horizon"] == robot.info["steps"] == HORIZON
    for message, window, forecast in zip(robot.predicted, robot.windows, forecasts, strict=True):
        assert message.height == HORIZON * 4 * 4
        assert len(window["future_actions"]) == len(window["future_sources"]) == HORIZON - 1
        np.testing.assert_allclose(latents.read(message, robot.info).array, forecast, rtol=0, atol=1e-4)

    assert robot.spin(lambda: len(errors) >= len(want) - 1 and len(no_change) >= len(want) - 1), len(errors)
    by_hand = [np.abs(forecasts[n - 1][1] - newest[n]).mean() for n in range(1, len(want))]
    np.testing.assert_allclose(errors, by_hand, rtol=1e-4)
    stayed = [np.abs(newest[n - 1] - newest[n]).mean() for n in range(1, len(want))]
    np.testing.assert_allclose(no_change, stayed, rtol=1e-4)
    assert robot.spin(lambda: robot.diagnostics.get(STATUS, {}).get("count") == str(len(errors)))
    said = robot.diagnostics[STATUS]
    assert (said["steps_ahead"], said["stamp_ns"]) == ("2", str(want[-1]["frame_stamps"][-1]))
    for key, values in (("error", errors), ("no_change", no_change)):
        np.testing.assert_allclose(float(said[key]), values[-1], rtol=1e-6)
        np.testing.assert_allclose(float(said[f"mean_{key}"]), np.mean(values), rtol=1e-6)


def test_whatever_goes_wrong_with_the_error_forecasts_go_on(log_path: Path) -> None:
    broken = Predictor(log_path, arguments=("-r", "__node:=broken"), program=("-c", BROKEN))
    robot = Robot("/broken")
    try:
        robot.start()
        robot.send_frames(0, 22)
        assert robot.spin(lambda: len(robot.predicted) == len(robot.windows) == 4)
        assert robot.spin(lambda: robot.diagnostics.get("/broken: model", {}).get("done") == "4")
        assert "prediction_error: failed: window 0: a bug" in broken.log
    finally:
        robot.close()
        assert broken.stop() == 0, broken.log
