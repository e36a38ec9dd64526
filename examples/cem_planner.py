"""A cross-entropy planner that asks the predictor: sample actions, ask how near they come to a goal, keep the best.

It shows the loop, and commands nothing. With random weights the energies say nothing about the world.

    python examples/cem_planner.py GOAL_IMAGE [--predictor /vjepa_predictor] [--horizon 2] [--std 0.05]
"""

from __future__ import annotations

import argparse
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Float32MultiArray, MultiArrayDimension

from vjepa_ros import latents

_TAGS = 2**24  # whole numbers up to here are exact in 32 bits
_Tag = tuple[float, ...]


class CemPlanner(Node):
    """Asks questions and waits for their answers.

    Args:
        predictor: fully qualified name of the predictor node.
        timeout_s: how long to wait for an answer.
    """

    def __init__(self, predictor: str = "/vjepa_predictor", timeout_s: float = 10.0) -> None:
        super().__init__("cem_planner")
        self._timeout_s = timeout_s
        self._id = secrets.randbelow(_TAGS)  # others may ask too
        self._asked = 0
        self._goal_message = Image()
        self._energies: dict[_Tag, NDArray[np.float32]] = {}  # what came on each topic, by tag: either may be first
        self._infos: dict[_Tag, dict[str, Any]] = {}
        self.window: dict[str, Any] = {}
        self._candidates = self.create_publisher(Float32MultiArray, f"{predictor}/candidates", 10)
        self._goal = self.create_publisher(Image, f"{predictor}/goal_image", 1)
        self.create_subscription(Float32MultiArray, f"{predictor}/candidate_energies", self._on_energies, 10)
        self.create_subscription(DiagnosticArray, f"{predictor}/candidate_info", self._on_info, 10)
        self.create_subscription(DiagnosticArray, f"{predictor}/window_info", self._on_window, 10)

    def _on_energies(self, message: Float32MultiArray) -> None:
        sizes, data = [dim.size for dim in message.layout.dim], np.array(message.data, np.float32)
        offset = message.layout.data_offset
        tag = tuple(map(float, data[:offset]))
        if self._is_mine(tag):
            self._energies[tag] = data[offset:].reshape(sizes)

    def _on_info(self, message: DiagnosticArray) -> None:
        info = latents.read_window_info(message)
        tag = tuple(map(float, info["tag"]))
        if self._is_mine(tag):
            self._infos[tag] = info

    def _is_mine(self, tag: _Tag) -> bool:
        """Whether an answer is to the question that was asked last: not to another planner's, nor one given up."""
        return tag == (self._id, self._asked)

    def _on_window(self, message: DiagnosticArray) -> None:
        self.window = latents.read_window_info(message)

    def wait(self, until: Callable[[], bool]) -> None:
        """Spin until something holds."""
        end_s = time.monotonic() + self._timeout_s
        while not until():
            if time.monotonic() > end_s:
                raise TimeoutError("no answer: is the predictor active, and does it get frames and commands?")
            rclpy.spin_once(self, timeout_sec=0.1)

    def set_goal(self, pixels: NDArray[np.uint8]) -> None:
        """Publish a goal, (h, w, 3) RGB."""
        self.wait(lambda: min(p.get_subscription_count() for p in (self._goal, self._candidates)) > 0)
        height, width, _ = pixels.shape
        message = Image(height=height, width=width, encoding="rgb8", step=width * 3)
        message.data.frombytes(pixels.tobytes())
        message.header.stamp = self.get_clock().now().to_msg()
        self._goal_message = message
        self._goal.publish(message)

    def ask(self, candidates: NDArray[np.floating]) -> NDArray[np.float32]:
        """(K, H, A) candidates, in the units of window_info's actions -> (K, H) energies towards the goal that was set.

        Raises:
            RuntimeError: where the predictor does not answer, with its reason.
        """
        stamp = self._goal_message.header.stamp
        end_s = time.monotonic() + self._timeout_s
        while time.monotonic() < end_s:
            info, energies = self._ask_once(candidates)
            if energies is not None and info["goal_stamp"] == stamp.sec * 10**9 + stamp.nanosec:
                return energies
            if energies is None and info["reason"] != "no_goal":
                raise RuntimeError(f"{info['reason']}: {info['detail']}")
            self._goal.publish(self._goal_message)  # the question has overtaken it, or it got lost
        raise TimeoutError("the predictor does not take the goal, or somebody else sets another one")

    def _ask_once(self, candidates: NDArray[np.floating]) -> tuple[dict[str, Any], NDArray[np.float32] | None]:
        self._asked = (self._asked + 1) % _TAGS
        tag = (self._id, self._asked)
        message = Float32MultiArray()
        message.layout.dim = [
            MultiArrayDimension(label=label, size=size, stride=int(np.prod(candidates.shape[axis:])))
            for axis, (label, size) in enumerate(zip(("candidate", "step", "joint"), candidates.shape, strict=True))
        ]
        message.layout.data_offset = len(tag)  # our own numbers come first, and come back with the answer
        message.data.frombytes(np.append(np.array(tag, np.float32), candidates).astype(np.float32).tobytes())
        self._candidates.publish(message)
        self.wait(lambda: tag in self._infos)
        info = self._infos.pop(tag)
        if not info["answered"]:
            return info, None
        self.wait(lambda: tag in self._energies)
        return info, self._energies.pop(tag)


def plan(
    ask: Callable[[NDArray[np.floating]], NDArray[np.float32]], start: NDArray[np.floating], horizon: int, std: float,
    samples: int = 64, elites: int = 8, iterations: int = 3, seed: int = 0,
) -> NDArray[np.floating]:  # fmt: skip
    """The (horizon, A) actions that come nearest to the goal, of those sampled around ``start`` (A,)."""
    rng = np.random.default_rng(seed)
    mean, spread = np.tile(start, (horizon, 1)), np.full((horizon, len(start)), std)
    for _ in range(iterations):
        candidates = mean + spread * rng.normal(size=(samples, *mean.shape))
        final = ask(candidates)[:, -1]  # how far the last step is from the goal
        best = candidates[np.argsort(final)[:elites]]
        mean, spread = best.mean(axis=0), best.std(axis=0)
        print(f"energy: best {final.min():.5f}, median {np.median(final):.5f}", flush=True)
    return mean


def main() -> None:
    """Plan once towards a picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("goal", type=Path, help="a picture from the robot's camera")
    parser.add_argument("--predictor", default="/vjepa_predictor")
    parser.add_argument("--horizon", type=int, default=2, help="steps")
    parser.add_argument("--std", type=float, default=0.05, help="of the first samples, in the commands' unit")
    arguments = parser.parse_args()
    picture = cv2.imread(str(arguments.goal), cv2.IMREAD_COLOR)
    if picture is None:
        parser.error(f"{arguments.goal} is no picture")
    rclpy.init()
    planner = CemPlanner(arguments.predictor)
    planner.set_goal(np.ascontiguousarray(picture[..., ::-1], np.uint8))
    planner.wait(lambda: bool(planner.window))
    start = np.array(planner.window["actions"][-1])
    print("actions:", plan(planner.ask, start, arguments.horizon, arguments.std).tolist())
    planner.destroy_node()
    rclpy.shutdown()


if __name__ == "__main__":
    main()
