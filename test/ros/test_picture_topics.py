"""~/latent_image and ~/error_image: what they show, that they come last, and that nobody draws for nobody."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Float32
from support.harness import Predictor, Robot
from support.messages import pixels, stamp_ns

import vjepa_ros
from vjepa_ros import latents
from vjepa_ros.forecast.prediction_error import Compared
from vjepa_ros.pictures.colours import Basis
from vjepa_ros.ros.picture_topics import PictureTopics
from vjepa_ros.ros.publishers import Publishers

PICTURES = ("latent_image", "error_image")
WINDOWS = 4


@pytest.fixture(scope="module")
def parameters() -> dict[str, Any]:
    return {f"qos_overrides./vjepa_predictor/{topic}.publisher.depth": 1000 for topic in PICTURES}


def array_of(message: Image) -> np.ndarray:
    assert message.encoding == "rgb8" and message.step == 3 * message.width
    return np.frombuffer(bytes(message.data), np.uint8).reshape(message.height, message.width, 3)


def test_pictures_show_the_windows_and_come_after_them(predictor: Predictor, robot: Robot) -> None:
    name, sent_ns = robot.predictor, {}
    received: dict[str, list[Any]] = {topic: [] for topic in (*PICTURES, "predicted_latents", "prediction_error")}

    def listen(kind: type, topic: str) -> None:
        def callback(message: Any, info: dict[str, int]) -> None:
            sent_ns[topic, len(received[topic])] = info["source_timestamp"]
            received[topic].append(message)

        robot.create_subscription(kind, f"{name}/{topic}", callback, QoSProfile(depth=1000))

    for topic in received:
        listen(Float32 if topic == "prediction_error" else Image, topic)
    robot.start(latents__publish_context=True)
    robot.need(lambda: all(robot.count_publishers(f"{name}/{topic}") == 1 for topic in PICTURES), "no picture topics")
    robot.settle(0.2)
    robot.send_frames(0, 16 + 2 * (WINDOWS - 1))
    counts = {topic: WINDOWS - ("error" in topic) for topic in received}
    robot.need(lambda: all(len(received[topic]) == count for topic, count in counts.items()), "not all pictures")
    robot.need(lambda: len(robot.contexts) == len(robot.windows) == WINDOWS, "no windows")
    observed = np.stack([latents.read(message, robot.info).array[-1] for message in robot.contexts])
    forecast = np.stack([latents.read(message, robot.info).array[0] for message in robot.predicted])

    basis = Basis.of(np.stack([observed[0], forecast[0]]))  # that of the first window, for all of them
    for number, message in enumerate(received["latent_image"]):
        assert message.header == robot.predicted[number].header
        shown = array_of(message)
        assert shown.shape == (64, 64 + 8 + 64, 3)
        for left, step in ((0, observed[number]), (72, forecast[number])):
            np.testing.assert_allclose(shown[8::16, left + 8 : left + 64 : 16].astype(int), basis(step), atol=2)

    preprocess = vjepa_ros.load("tiny_random").preprocess
    for number, message in enumerate(received["error_image"], start=1):
        assert message.header == robot.predicted[number].header
        errors = np.abs(forecast[number - 1] - observed[number]).mean(axis=-1)  # (4, 4)
        shown = array_of(message).astype(int)
        assert shown.shape == (64, 64, 3)
        heat = np.ptp(shown, axis=2)
        near = heat.reshape(4, 16, 4, 16)[:, 6:10, :, 6:10].mean(axis=(1, 3))  # the middle of each token
        assert np.corrcoef(near.ravel(), errors.ravel())[0, 1] > 0.9
        clip = preprocess(pixels(2 * number + 15)[None])[0, :, 0].numpy()  # (3, H, W), as the encoder sees it
        seen = clip.transpose(1, 2, 0) * np.array([0.229, 0.224, 0.225]) + np.array([0.485, 0.456, 0.406])
        grey = cv2.cvtColor((seen * 255).astype(np.float32), cv2.COLOR_RGB2GRAY)
        cool = heat < 6
        assert not cool.any() or np.abs(shown.mean(axis=2) - grey)[cool].mean() < 6

    for picture in range(WINDOWS):
        assert sent_ns["predicted_latents", picture] < sent_ns["latent_image", picture]
    for picture in range(WINDOWS - 1):
        assert sent_ns["prediction_error", picture] < sent_ns["error_image", picture]
        assert sent_ns["latent_image", picture] < sent_ns["predicted_latents", picture + 1], "they come at once"
    assert stamp_ns(received["latent_image"][-1]) == robot.windows[-1]["frame_stamps"][-1]
    assert "failed" not in predictor.log


# -- without a node


@dataclass
class Publisher:
    """Keeps what is published, for so many subscribers."""

    count: int
    sent: list[Image] = field(default_factory=list)

    def get_subscription_count(self) -> int:
        return self.count

    def publish(self, message: Image) -> None:
        self.sent.append(message)


def outcome_of(window_stamp_ns: int, observed: Any) -> Any:
    """What a window of 4 x 4 tokens came to, as far as pictures look at it."""
    steps = np.random.default_rng(0).normal(size=(2, 4, 4, 8)).astype(np.float32)
    frame = SimpleNamespace(image=np.zeros((3, 64, 64)))
    return SimpleNamespace(
        window=SimpleNamespace(stamp_ns=window_stamp_ns, number=7, frames=[frame]),
        forecast=SimpleNamespace(observed=observed),
        forecasts=steps,
        predicted=SimpleNamespace(stamp_ns=window_stamp_ns, frame_id="camera"),
    )


def topics_for(latent: int, error: int) -> tuple[PictureTopics, Publisher, Publisher, list[tuple[str, str, str]]]:
    found: list[tuple[str, str, str]] = []
    made = {"~/latent_image": Publisher(latent), "~/error_image": Publisher(error)}
    endpoints: Any = SimpleNamespace(publisher=lambda _kind, topic, _profile: made[topic])
    publishers = Publishers(endpoints, ["latent_image", "error_image"])
    topics = PictureTopics(publishers, lambda: True, lambda *said: found.append(said))
    return topics, made["~/latent_image"], made["~/error_image"], found


def never() -> np.ndarray:
    raise RuntimeError("somebody drew")


def test_nothing_is_drawn_for_nobody() -> None:
    topics, latent, error, found = topics_for(0, 0)
    topics.publish(outcome_of(5, never), SimpleNamespace(compared=SimpleNamespace(stamp_ns=5, by_place=None)))
    assert (latent.sent, error.sent, found) == ([], [], [])


def test_a_picture_that_fails_is_told_of_and_takes_nothing_with_it() -> None:
    topics, latent, error, found = topics_for(1, 1)
    compared = Compared(5, np.ones((4, 4, 8), np.float32), np.zeros((4, 4, 8), np.float32))
    topics.publish(outcome_of(5, never), SimpleNamespace(compared=compared))
    assert found == [("latent_image", "failed", "window 7: somebody drew")]
    assert (len(latent.sent), len(error.sent)) == (0, 1)


def test_all_forecasts_stand_right_of_what_was_observed() -> None:
    topics, latent, _, found = topics_for(1, 0)
    topics.publish(outcome_of(5, lambda: np.zeros((4, 4, 8), np.float32)), SimpleNamespace(compared=None))
    assert found == [] and latent.sent[0].width == 3 * 64 + 2 * 8


def test_an_older_comparison_is_not_shown_for_this_window() -> None:
    topics, _, error, found = topics_for(0, 1)
    compared = Compared(4, np.ones((4, 4, 8), np.float32), np.zeros((4, 4, 8), np.float32))
    topics.publish(outcome_of(5, never), SimpleNamespace(compared=compared))
    topics.publish(outcome_of(5, never), SimpleNamespace(compared=None))
    assert error.sent == [] and found == []
