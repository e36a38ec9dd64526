"""A planner's side of the node: subscribes to the latents and keeps them with what belongs to them.

It knows topics and the wire layout, nothing of the model.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String

from vjepa_ros import latents


@dataclass(frozen=True)
class Received:
    """One window as the planner got it.

    Attributes:
        latents: the predicted latents (steps, H', W', D), with the stamp of the window's newest frame.
        window: the parsed ``window_info``.
        latency_ms: from the arrival of the newest frame here to the arrival of the latents here.
    """

    latents: latents.Latents
    window: dict[str, Any]
    latency_ms: float


class Planner(Node):
    """Listens to the camera and to the predictor.

    Args:
        predictor: fully qualified name of the predictor node.
        camera: topic of the compressed images.
        on_window: called with each window received.
    """

    def __init__(self, predictor: str, camera: str, on_window: Callable[[Received], None]) -> None:
        super().__init__("planner")
        self._on_window = on_window
        self._arrived_s: dict[int, float] = {}
        self._window_infos: dict[int, dict[str, Any]] = {}
        self.info: dict[str, Any] = {}
        self.jpegs: dict[int, bytes] = {}
        self.received: list[Received] = []
        self.health: dict[str, str] = {}
        self.health_level = 0
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.create_subscription(CompressedImage, camera, self._on_image, QoSProfile(depth=1000))
        self.create_subscription(String, f"{predictor}/latent_info", self._on_info, latched)
        self.create_subscription(DiagnosticArray, f"{predictor}/window_info", self._on_window_info, 1000)
        self.create_subscription(Image, f"{predictor}/predicted_latents", self._on_latents, QoSProfile(depth=1000))
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def _on_image(self, message: CompressedImage) -> None:
        stamp_ns = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        self._arrived_s[stamp_ns] = time.monotonic()
        self.jpegs[stamp_ns] = bytes(message.data)

    def _on_info(self, message: String) -> None:
        self.info = latents.read_info(message)

    def _on_window_info(self, message: DiagnosticArray) -> None:
        values = latents.read_window_info(message)
        self._window_infos[values["frame_stamps"][-1]] = values

    def _on_latents(self, message: Image) -> None:
        now_s = time.monotonic()
        predicted = latents.read(message, self.info)
        latency_ms = (now_s - self._arrived_s[predicted.stamp_ns]) * 1e3
        received = Received(predicted, self._window_infos.pop(predicted.stamp_ns), latency_ms)
        self.received.append(received)
        self._on_window(received)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.health |= {pair.key: pair.value for pair in status.values}
            self.health_level = max(self.health_level, status.level[0])
