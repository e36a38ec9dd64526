"""A planner's side of the node: subscribes to the latents and brings them together with what belongs to them.

What belongs to one window comes on several topics, and nothing orders one topic against another: latents may overtake
their window_info, their image or even latent_info. So everything is kept by its stamp until the rest is there.
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

_MOST = 1000  # stamps kept at most: half a minute of a camera at 30 Hz


@dataclass(frozen=True)
class Received:
    """One window as the planner got it.

    Attributes:
        latents: the predicted latents (steps, H', W', D), with the stamp of the window's newest frame. The forecasts,
            as many as the ``horizon`` of ``latent_info``, are the last steps: ``array[-horizon:]``.
        window: the parsed ``window_info``.
        jpeg: the window's newest frame.
        latency_ms: from the arrival of the newest frame here to the arrival of the latents here.
    """

    latents: latents.Latents
    window: dict[str, Any]
    jpeg: bytes
    latency_ms: float


class Planner(Node):
    """Listens to the camera and to the predictor.

    Args:
        predictor: fully qualified name of the predictor node.
        camera: topic of the compressed images.
        on_window: called with each window, as soon as all that belongs to it has come; in order, unless a part of an
            earlier window comes later than all of the next.
    """

    def __init__(self, predictor: str, camera: str, on_window: Callable[[Received], None]) -> None:
        super().__init__("planner")
        self._predictor = predictor
        self._on_window = on_window
        self._parts: dict[int, dict[str, Any]] = {}  # by stamp, the one touched last at the end
        self.info: dict[str, Any] = {}
        self.health: dict[str, dict[str, str]] = {}  # the node's own words: by status, "stream" or "model"
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.create_subscription(CompressedImage, camera, self._on_image, QoSProfile(depth=1000))
        self.create_subscription(String, f"{predictor}/latent_info", self._on_info, latched)
        self.create_subscription(DiagnosticArray, f"{predictor}/window_info", self._on_window_info, 1000)
        self.create_subscription(Image, f"{predictor}/predicted_latents", self._on_latents, QoSProfile(depth=1000))
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def _on_image(self, message: CompressedImage) -> None:
        self._keep(message, jpeg=bytes(message.data), image_came_s=time.monotonic())

    def _on_window_info(self, message: DiagnosticArray) -> None:
        self._keep(message, window=latents.read_window_info(message))

    def _on_latents(self, message: Image) -> None:
        self._keep(message, latents=message, latents_came_s=time.monotonic())

    def _on_info(self, message: String) -> None:
        self.info = latents.read_info(message)
        for stamp_ns in list(self._parts):
            self._deliver(stamp_ns)

    def _keep(self, message: CompressedImage | DiagnosticArray | Image, **part: Any) -> None:
        """Put a part to the others of its stamp; the oldest stamp makes room."""
        stamp_ns = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        self._parts[stamp_ns] = self._parts.pop(stamp_ns, {}) | part
        if len(self._parts) > _MOST:
            del self._parts[next(iter(self._parts))]
        self._deliver(stamp_ns)

    def _deliver(self, stamp_ns: int) -> None:
        """Pass the window with this stamp on, if everything that belongs to it is here."""
        parts = self._parts[stamp_ns]
        if not parts.keys() >= {"jpeg", "window", "latents"} or parts["window"]["info_id"] != self.info.get("info_id"):
            return
        predicted = latents.read(parts.pop("latents"), self.info)
        latency_ms = (parts["latents_came_s"] - parts["image_came_s"]) * 1e3
        self._on_window(Received(predicted, parts.pop("window"), parts["jpeg"], latency_ms))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:  # /diagnostics belongs to every node of the robot
            node, _, what = status.name.partition(": ")
            if node == self._predictor:
                self.health[what] = {pair.key: pair.value for pair in status.values}
