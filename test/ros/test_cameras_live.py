"""One node with two cameras, and one with a single one in another namespace of the same graph: both tell the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import String
from std_srvs.srv import SetBool
from support.harness import Predictor, Robot
from support.messages import JOINTS, MS, T0_NS, S, image_message, joint_message

from vjepa_ros import latents

PAGE = Path(__file__).resolve().parents[2] / "docs" / "topics.md"
SIDES = ("left", "right")
PAIR, SINGLE = "/pair", "/single"
ROUNDING = 2e-5  # of float32, between one window at a time and two
STEP_NS = 50 * MS


def deep(namespace: str, cameras: tuple[str, ...]) -> dict[str, Any]:
    """Qualities of service by which nothing is lost."""
    read = [f"{namespace}/{camera}/image".replace("//", "/") for camera in cameras] + [f"{namespace}/joint_states"]
    values: dict[str, Any] = {f"qos_overrides.{topic}.subscription.reliability": "reliable" for topic in read}
    values |= {f"qos_overrides.{topic}.subscription.depth": 1000 for topic in read}
    for camera in cameras:
        for topic in ("predicted_latents", "window_info"):
            name = f"{namespace}/vjepa_predictor/{camera}/{topic}".replace("//", "/")
            values[f"qos_overrides.{name}.publisher.depth"] = 1000
    return values


class Seeing(Robot):
    """A robot with cameras of these names; an empty one for a camera without a name."""

    def __init__(self, namespace: str, cameras: tuple[str, ...]) -> None:
        super().__init__(f"{namespace}/vjepa_predictor", namespace)
        self.eyes: dict[str, Any] = {"": self.images}
        self.latents: dict[str, list[Image]] = {}
        self.told: dict[str, list[dict[str, Any]]] = {}
        self.infos: dict[str, dict[str, Any]] = {}
        much, latched = QoSProfile(depth=1000), QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        for name in cameras:
            if name:
                self.eyes[name] = self.create_publisher(Image, f"{name}/image", much)
            own = f"{self.predictor}/{name}".rstrip("/")
            images, told = self.latents.setdefault(name, []), self.told.setdefault(name, [])
            self.create_subscription(Image, f"{own}/predicted_latents", images.append, much)
            self.create_subscription(
                DiagnosticArray,
                f"{own}/window_info",
                lambda m, told=told: told.append(latents.read_window_info(m)),
                much,
            )
            self.create_subscription(
                String,
                f"{own}/latent_info",
                lambda m, name=name: self.infos.update({name: latents.read_info(m)}),
                latched,
            )

    def connect(self) -> None:
        """As of a robot with one camera."""
        self.need_listeners(self.commands, self.states, *(self.eyes[name] for name in self.latents))
        self.need(lambda: set(self.infos) == set(self.latents), "no latent_info")
        self.info = next(iter(self.infos.values()))
        self.settle(0.2)

    def see(self, frames: range, **first: int) -> None:
        """Send joints and each camera's frames, whose pictures begin with this number."""
        for index in frames:
            stamp_ns = T0_NS + index * STEP_NS
            self.send_joints(stamp_ns, float(index))
            for name, picture in first.items():
                self.eyes["" if name == "only" else name].publish(image_message(stamp_ns, picture + index))
            self.executor_.spin_once(timeout_sec=0.0)

    def arrays(self, name: str) -> list[np.ndarray]:
        return [latents.read(message, self.infos[name]).array for message in self.latents[name]]


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Predictor, Predictor]]:
    folder = tmp_path_factory.mktemp("cameras")
    values = {"cameras": "[left, right]", "hop": 16, **deep(PAIR, SIDES)}
    pair = Predictor(folder / "pair.txt", values, ("-r", f"__ns:={PAIR}", "-r", "image:=/front"))
    single = Predictor(folder / "single.txt", {"hop": 16, **deep(SINGLE, ("",))}, ("-r", f"__ns:={SINGLE}"))
    yield pair, single
    assert pair.stop() == 0, pair.log
    assert single.stop() == 0, single.log


def test_each_camera_gives_what_it_gives_alone(nodes: tuple[Predictor, Predictor], log_path: Path) -> None:
    pair, single = Seeing(PAIR, SIDES), Seeing(SINGLE, ("",))
    try:
        pair.start()
        single.start()
        assert "image is renamed to /front, and is not read: with cameras the topics are left/image" in nodes[0].log
        assert "is renamed" not in nodes[1].log
        assert pair.infos["left"] == pair.infos["right"] == single.infos[""]
        pair.see(range(48), left=0, right=100)
        for number in (0, 100):  # one after another, after a jump of time
            single.see(range(48), only=number)
            wanted = 3 if number == 0 else 6
            single.need(lambda wanted=wanted: len(single.latents[""]) == len(single.told[""]) == wanted, "no latents")
            assert single.reset()[0]
        assert pair.spin(lambda: all(len(pair.latents[side]) == len(pair.told[side]) == 3 for side in SIDES)), (
            {side: len(pair.latents[side]) for side in SIDES}, nodes[0].log,
        )  # fmt: skip
        alone = single.arrays("")
        for side, expected in zip(SIDES, (alone[:3], alone[3:]), strict=True):
            for ours, theirs in zip(pair.arrays(side), expected, strict=True):
                np.testing.assert_allclose(ours, theirs, rtol=0, atol=ROUNDING)
        assert np.abs(alone[0] - alone[3]).max() > 0.01
        for index, told in enumerate(pair.told["left"]):
            other = single.told[""][index]
            for key in ("frame_stamps", "actions", "states", "action_stamps", "state_stamps", "window", "held", "late"):
                assert told[key] == pair.told["right"][index][key] == other[key]
        # Nothing of one node is heard in the namespace of the other.
        assert single.count_publishers(f"{SINGLE}/vjepa_predictor/left/predicted_latents") == 0
        wanted_names = ("stream left", "stream right", "prediction left", "clocks right", "windows")
        parts = {f"{PAIR}/vjepa_predictor: {name}" for name in wanted_names}
        pair.need(lambda: parts <= pair.diagnostics.keys(), f"not all of {wanted_names}")
        _one_stalls(pair)
        _together(pair)
        _a_jump_of_one(pair)
        _as_the_page_says(pair)
        _off_and_on(pair)
    finally:
        pair.close()
        single.close()


def _one_stalls(pair: Seeing) -> None:
    """The right camera's windows go on while the left one's frames do not come; diagnostics say which."""
    before = {side: len(pair.latents[side]) for side in SIDES}
    stream, inputs = (f"{PAIR}/vjepa_predictor: {part}" for part in ("stream left", "inputs"))
    pair.settle(0.1)  # what was said before the first frame, while nobody listened
    pair.messages.pop(stream, None)
    pair.see(range(48, 96), right=100)
    pair.need(lambda: len(pair.latents["right"]) == before["right"] + 3, "the left camera holds up the right one")
    assert len(pair.latents["left"]) == before["left"]
    pair.need(lambda: "no frames" in pair.messages[stream] and pair.levels[inputs] == b"\2", "nobody misses it")


def _together(pair: Seeing) -> None:
    """Sooner or later two windows are there at the same time, and go through the model together."""
    model = f"{PAIR}/vjepa_predictor: model"
    first = 1000
    while int(pair.diagnostics[model]["together"]) == 0:
        assert first < 3000, "never together"
        pair.see(range(first, first + 64), left=0, right=100)
        done = {side: len(pair.latents[side]) + 2 for side in SIDES}
        pair.need(lambda done=done: all(len(pair.latents[side]) >= done[side] for side in SIDES), "no windows")
        pair.settle(1.1)
        first += 64


def _a_jump_of_one(pair: Seeing) -> None:
    """Stamps of one camera that jump back begin an epoch of that camera alone."""
    epochs = {side: pair.told[side][-1]["epoch"] for side in SIDES}
    stamp_ns = T0_NS - 100 * S
    for index in range(17):
        pair.commands.publish(joint_message(stamp_ns + index * STEP_NS, JOINTS, [0.1] * 7))
        pair.states.publish(joint_message(stamp_ns + index * STEP_NS, JOINTS, [0.1] * 7))
        pair.eyes["right"].publish(image_message(stamp_ns + index * STEP_NS, index))
    # Windows of before may still be under way.
    pair.need(lambda: pair.told["right"][-1]["epoch"] > epochs["right"], "no window of the new epoch")
    left = f"{PAIR}/vjepa_predictor: stream left"
    pair.diagnostics.pop(left)
    pair.need(lambda: pair.diagnostics[left]["epoch"] == str(epochs["left"]), "the left camera has jumped too")


def _as_the_page_says(pair: Seeing) -> None:
    """The parts that each camera has one of, and the keys that there are with several alone."""
    section = PAGE.read_text(encoding="utf-8").split("\n## Diagnostics\n")[1].split("\n## ")[0]
    parts = {name.rpartition(": ")[2] for name in pair.diagnostics if name.startswith(f"{PAIR}/")}
    kinds = {part.partition(" ")[0] for part in parts if " " in part}
    assert parts >= {f"{kind} {side}" for kind in kinds for side in SIDES} and "`stream left`" in section
    (sentence,) = (line for line in section.splitlines() if "are there once for each, with" in line)
    assert set(re.findall(r"`(\w+)`", sentence)) == kinds == {"stream", "prediction", "clocks"}
    model = pair.diagnostics[f"{PAIR}/vjepa_predictor: model"]
    assert "together" in model and [name for name in model if f"`{name}`" not in section] == []
    assert model["epoch"] == pair.diagnostics[f"{PAIR}/vjepa_predictor: stream left"]["epoch"]
    assert model["epoch"] != pair.diagnostics[f"{PAIR}/vjepa_predictor: stream right"]["epoch"]


def _off_and_on(pair: Seeing) -> None:
    """Images of all cameras are subscribed to, or of none."""
    assert pair.call(SetBool, "enable", SetBool.Request(data=False)).success
    pair.need(lambda: all(pair.eyes[side].get_subscription_count() == 0 for side in SIDES), "still subscribed")
    assert pair.call(SetBool, "enable", SetBool.Request(data=True)).success
    pair.need(lambda: all(pair.eyes[side].get_subscription_count() == 1 for side in SIDES), "not subscribed")
    # What came before the pause says nothing of how often frames come after it.
    inputs, topics = f"{PAIR}/vjepa_predictor: inputs", [f"{PAIR}/{side}/image" for side in SIDES]
    pair.need(
        lambda: all(pair.diagnostics[inputs].get(f"messages {topic}") == "0" for topic in topics), "not forgotten"
    )
    assert all(f"{topic}: nothing has come yet" in pair.messages[inputs] for topic in topics), pair.messages[inputs]
    assert pair.diagnostics[inputs][f"messages {PAIR}/joint_states"] != "0"
