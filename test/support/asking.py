"""Who asks about candidates over the middleware, and what is asked."""

from __future__ import annotations

from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import Image
from std_msgs.msg import Float32MultiArray, MultiArrayDimension

from support.harness import Robot
from vjepa_ros import latents


class Asker:
    """The topics of questions, seen from outside."""

    def __init__(self, robot: Robot) -> None:
        self.robot = robot
        self.goals_sent = 0
        name = robot.predictor
        self.candidates = robot.create_publisher(Float32MultiArray, f"{name}/candidates", 100)
        self.goals = robot.create_publisher(Image, f"{name}/goal_image", 10)
        self.energies: list[Float32MultiArray] = []
        self.infos: list[dict[str, Any]] = []
        self.headers: list[Any] = []
        robot.create_subscription(Float32MultiArray, f"{name}/candidate_energies", self.energies.append, 1000)
        robot.create_subscription(DiagnosticArray, f"{name}/candidate_info", self._on_info, 1000)

    def _on_info(self, message: DiagnosticArray) -> None:
        self.infos.append(latents.read_window_info(message))
        self.headers.append(message.header)

    def start(self, **values: Any) -> None:
        """A new activation, with these parameters and nothing received."""
        self.robot.start(**values)
        self.goals_sent = 0
        self.connect()

    def connect(self) -> None:
        """Wait until both sides know each other."""
        publishers = (self.candidates, self.goals)
        assert self.robot.spin(lambda: all(p.get_subscription_count() == 1 for p in publishers))
        topics = [f"{self.robot.predictor}/{topic}" for topic in ("candidate_energies", "candidate_info")]
        assert self.robot.spin(lambda: all(self.robot.count_publishers(topic) == 1 for topic in topics))
        self.robot.settle(0.2)
        self.energies.clear()
        self.infos.clear()

    def set_goal(self, message: Image) -> None:
        """Publish a goal, and wait until it has arrived: nothing orders one topic against another."""

        def are_counted() -> bool:
            status = self.robot.diagnostics.get(f"{self.robot.predictor}: questions", {})
            return sum(int(status.get(key, -1)) for key in ("goals", "goals_refused")) == self.goals_sent

        assert self.robot.spin(are_counted), "the diagnostics are still those of the configuration before"
        self.goals.publish(message)
        self.goals_sent += 1
        assert self.robot.spin(are_counted)

    def ask(self, values: np.ndarray, tag: tuple[float, ...] = (), **changes: Any) -> dict[str, Any]:
        """Ask, and wait for what became of it."""
        known = len(self.infos)
        self.candidates.publish(question(values, tag, **changes))
        assert self.robot.spin(lambda: len(self.infos) > known), "no answer"
        return self.infos[-1]

    def refused(self, *arguments: Any, **changes: Any) -> tuple[str, str]:
        """Ask; why there is no number."""
        info = self.ask(*arguments, **changes)
        assert not info["answered"]
        return info["reason"], info["detail"]

    def numbers(self, count: int = 1) -> list[np.ndarray]:
        """The energies of the last answers, without their tags."""
        answered = sum(info["answered"] for info in self.infos)
        assert self.robot.spin(lambda: len(self.energies) == answered), "each answer has its numbers"
        found = []
        for message in self.energies[-count:]:
            assert [dim.label for dim in message.layout.dim] == ["candidate", "step"]
            sizes = [dim.size for dim in message.layout.dim]
            assert [dim.stride for dim in message.layout.dim] == [sizes[0] * sizes[1], sizes[1]]
            values = np.array(message.data, np.float32)[message.layout.data_offset :]
            found.append(values.reshape(sizes))
        return found


def question(values: np.ndarray, tag: tuple[float, ...] = (), **changes: Any) -> Float32MultiArray:
    """A message with candidates; changes by name."""
    labels = changes.get("labels", ("candidate", "step", "joint"))
    sizes = changes.get("sizes", values.shape)
    message = Float32MultiArray()
    message.layout.dim = [
        MultiArrayDimension(label=label, size=size, stride=int(np.prod(sizes[axis:])))
        for axis, (label, size) in enumerate(zip(labels, sizes, strict=True))
    ]
    message.layout.data_offset = len(tag)
    message.data.frombytes(np.append(np.float32(tag), values).astype(np.float32).tobytes())
    return message


def candidates_around(around: np.ndarray, candidates: int = 5, steps: int = 3) -> np.ndarray:
    """(candidates, steps, A) float32 around an action."""
    noise = np.random.default_rng(3).normal(size=(candidates, steps, len(around)))
    return (around + 10 * noise).astype(np.float32)  # so far apart that random weights tell them apart
