"""One camera of the node: its stream of windows, its latents of the past, and what is sent of each window.

Several cameras share the model, the commands and the states, and nothing else. It knows no lifecycle, no subscriptions
and no threads; what is sent of a window is sent here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from rclpy.lifecycle import LifecycleNode

from vjepa_ros.config.inputs import CAMERAS, Input, input_of_camera
from vjepa_ros.config.node import NodeConfig
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.forecast.forecaster import Forecaster, WindowForecast
from vjepa_ros.forecast.outcome import Outcome, Outcomes
from vjepa_ros.images import bridge
from vjepa_ros.ros.endpoints import Endpoints
from vjepa_ros.ros.graph import setting_of
from vjepa_ros.ros.picture_topics import PictureTopics
from vjepa_ros.ros.publishers import PUBLISHERS, Publishers
from vjepa_ros.ros.saying import Warnings
from vjepa_ros.stream.intake import build_intake
from vjepa_ros.stream.window import Window


class Camera:
    """What a camera has of its own.

    Args:
        name: as ``cameras`` has it; empty for the only one, which has no name.
        node: whose topics they are.
        config: what the parameters say.
        model: the world model, which all cameras share.
        info: ``latent_info``.
        endpoints: makes the publishers.
        warn: told of everything that must not be silent.

    Attributes:
        name: as given.
        row: the topic that its frames come on.
        intake: takes messages in and gives windows.
        forecaster: computes windows.
        outcomes: what becomes of them.
        on_error: told how wrong a forecast was, NaN where that failed.
    """

    def __init__(
        self,
        name: str,
        node: LifecycleNode,
        config: NodeConfig,
        model: WorldModel,
        info: Mapping[str, Any],
        endpoints: Endpoints,
        warn: Warnings,
    ) -> None:
        self.name = name
        self.row: Input = input_of_camera(CAMERAS[config.camera.transport], name)
        self._node = node
        self._endpoints = endpoints
        self._warn = warn
        self.forecaster = Forecaster(model, config)
        self.intake = build_intake(config, warn, bridge.decode)
        self.intake.watch.setting = partial(setting_of, node)
        self.outcomes = self._make_outcomes(config, info)
        self.on_error: Callable[[float], None] = lambda _error: None
        names = [word for word, row in PUBLISHERS.items() if row.each_camera]
        if not config.latents.publish_context:
            names.remove("context")
        self._publishers = Publishers(endpoints, names, name)
        self._pictures = PictureTopics(self._publishers, node.context.ok, warn)

    def _make_outcomes(self, config: NodeConfig, info: Mapping[str, Any]) -> Outcomes:
        stream = config.stream
        named = {name: self._endpoints.resolved(name) for name in stream.inputs} | {"none": "none"}
        return Outcomes(config, info, (named[stream.action_topic], named[stream.state_topic]), self._warn)

    def change(self, config: NodeConfig, info: Mapping[str, Any]) -> None:
        """Go by another configuration, which differs in live parameters of the stream or the latents."""
        self.forecaster.change(config)
        self.intake.change(config.stream)
        not_finite, self.outcomes = self.outcomes.not_finite, self._make_outcomes(config, info)
        self.outcomes.not_finite = not_finite

    def publish_info(self, info: Mapping[str, Any]) -> None:
        """Say what is constant; only while the lifecycle publishers are enabled."""
        self._publishers.publish("info", info)

    def publish(self, window: Window, forecast: WindowForecast, compute_ms: float) -> Outcome | None:
        """Send what the model says about a window; in the worker's thread.

        Returns:
            What was sent, for :meth:`draw`; None where that is nothing.
        """
        outcome = self.outcomes.of(window, forecast, compute_ms)
        if outcome is None:
            return None
        self._publishers.publish("predicted", outcome.predicted)  # first: planners wait for it
        self._publishers.publish("window", outcome.values(), outcome.predicted, self._node.get_fully_qualified_name())
        if outcome.context is not None:
            self._publishers.publish("context", outcome.context)
        self._publish_error(outcome)
        return outcome

    def draw(self, outcome: Outcome | None) -> None:
        """Send pictures of the last window, to whom wants any; after all else, in the worker's thread."""
        if outcome is not None:
            self._pictures.publish(outcome, self.outcomes.errors)

    def _publish_error(self, outcome: Outcome) -> None:
        """How far an earlier forecast was from what this window observes; after its own forecasts are out."""
        try:
            found = self.outcomes.error(outcome)
            if found is not None:
                self._publishers.publish("no_change", found.no_change)
                self._publishers.publish("error", found.error)
                self.on_error(found.error)
        # A number about the past: whatever is wrong with it, forecasts go on. A broken device fails at the next window.
        except Exception as error:  # noqa: BLE001
            if self._node.context.ok():  # else a signal has closed the middleware in the meantime
                self._warn("prediction_error", "failed", f"window {outcome.window.number}: {error}")
            self.on_error(math.nan)

    def close(self) -> None:
        """End the publishers."""
        self._publishers.close()
