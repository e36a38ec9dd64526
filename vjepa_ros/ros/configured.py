"""What ``configure`` makes and ``cleanup`` frees: the model, the streams and the publishers.

It knows no lifecycle, no subscriptions and no threads; what is sent of a window is sent here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import Image
from std_msgs.msg import Float32, Float32MultiArray, String

from vjepa_ros import devices
from vjepa_ros.config.node import NodeConfig
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.forecast import info
from vjepa_ros.forecast.forecaster import Forecaster, WindowForecast, load_model, notices
from vjepa_ros.forecast.outcome import Outcome, Outcomes
from vjepa_ros.images import bridge
from vjepa_ros.ros import qos
from vjepa_ros.ros.candidates import CandidateTopics
from vjepa_ros.ros.endpoints import Endpoints
from vjepa_ros.ros.graph import setting_of
from vjepa_ros.ros.inputs import require_messages
from vjepa_ros.ros.messages import info_message, latents_message, window_message
from vjepa_ros.ros.no_planner import NoPlanner
from vjepa_ros.ros.picture_topics import PictureTopics
from vjepa_ros.ros.planner import PlannerTopics
from vjepa_ros.ros.saying import Warnings
from vjepa_ros.stream.intake import build_intake
from vjepa_ros.stream.window import Window

PUBLISHERS: dict[str, tuple[type, str, Callable[[], Any]]] = {
    "predicted": (Image, "~/predicted_latents", qos.LATENTS),
    "context": (Image, "~/context_latents", qos.LATENTS),  # where it is asked for
    "info": (String, "~/latent_info", qos.LATCHED),
    "window": (DiagnosticArray, "~/window_info", qos.WINDOW_INFO),
    "error": (Float32, "~/prediction_error", qos.ERRORS),
    "no_change": (Float32, "~/no_change_error", qos.ERRORS),
    "latent_image": (Image, "~/latent_image", qos.LATENTS),
    "error_image": (Image, "~/error_image", qos.LATENTS),
    "energies": (Float32MultiArray, "~/candidate_energies", qos.QUESTIONS),
    "answers": (DiagnosticArray, "~/candidate_info", qos.QUESTIONS),
}
"""What is published, by a word for it: type, topic and quality of service."""


def load(config: NodeConfig, tell: Callable[[int, int], None] | None = None) -> WorldModel:
    """The model, in whichever thread.

    Args:
        config: what the parameters say.
        tell: called now and then with (bytes read, bytes to read); what it raises ends the loading.

    Raises:
        ConfigError: as :func:`load_model`.
    """
    return load_model(config, tell)


class Configured:
    """A configuration with everything that is made of it.

    Args:
        node: whose topics they are.
        config: what the parameters say.
        endpoints: makes the publishers.
        warn: told of everything that must not be silent.
        model: the one that the configuration names, warm; without it, it is loaded.

    Attributes:
        config, warn: as given.
        model: the world model, warm.
        info: ``latent_info``.
        device_name: what the model runs on.
        notices: what people must be told about the model.
        intake: takes messages in and gives windows.
        forecaster: computes windows.
        outcomes: what becomes of them.
        candidates: takes questions in and answers them.
        planner: plans from every window, where it is enabled.

    Raises:
        ConfigError: naming the parameter that asks for messages which are not installed, or that the model cannot be
            built of, loaded from or run on.
    """

    def __init__(
        self,
        node: LifecycleNode,
        config: NodeConfig,
        endpoints: Endpoints,
        warn: Warnings,
        model: WorldModel | None = None,
    ) -> None:
        self._node = node
        self._endpoints = endpoints
        self.warn = warn
        self.config = config
        require_messages(config.stream)  # before a model is loaded
        self.model = load_model(config) if model is None else model
        self.info = info.latent_info(config, self.model)
        self.device_name = devices.name_of(self.model.device)
        self.notices = notices(config, self.model)
        self.forecaster = Forecaster(self.model, config)
        self.intake = build_intake(config, warn, bridge.decode)
        self.intake.watch.setting = partial(setting_of, node)
        self.outcomes = self._make_outcomes()
        self._publishers: dict[str, Any] = {}
        self._pictures = PictureTopics(self._publishers, node.context.ok, warn)
        self.planner: PlannerTopics | NoPlanner = NoPlanner()
        try:
            self._make_publishers()
            if config.planner.enabled:
                self.planner = PlannerTopics(node, config, self.model, self.forecaster, self.intake, endpoints, warn)
        except BaseException:
            self.close()
            raise
        self.candidates = CandidateTopics(
            node, config, self.model, self.forecaster, self.intake, self._publishers, self.info["info_id"], warn
        )
        self.candidates.on_goal = self.planner.new_goal

    def _make_outcomes(self) -> Outcomes:
        stream = self.config.stream
        named = {name: self._endpoints.resolved(name) for name in stream.inputs} | {"none": "none"}
        return Outcomes(self.config, self.info, (named[stream.action_topic], named[stream.state_topic]), self.warn)

    def change(self, config: NodeConfig) -> None:
        """Go by another configuration, which differs in live parameters alone; the model stays as it is.

        Where the node is active and streams or latents differ, a new epoch has begun and no result is being delivered;
        where neither does, nothing that the worker uses is touched.
        """
        before, self.config = self.config, config
        if (before.stream, before.latents) != (config.stream, config.latents):
            self.info = info.latent_info(config, self.model)
            self.forecaster.change(config)
            self.intake.change(config.stream)
            not_finite, self.outcomes = self.outcomes.not_finite, self._make_outcomes()
            self.outcomes.not_finite = not_finite
        self.candidates.change(config, self.info["info_id"])

    def _make_publishers(self) -> None:
        for name, (kind, topic, profile) in PUBLISHERS.items():
            if name != "context" or self.config.latents.publish_context:
                self._publishers[name] = self._endpoints.publisher(kind, topic, profile())

    def publish_info(self) -> None:
        """Say what is constant; only while the lifecycle publishers are enabled."""
        self._publishers["info"].publish(info_message(self.info))

    def publish(self, window: Window, forecast: WindowForecast, compute_ms: float) -> Outcome | None:
        """Send what the model says about a window; in the worker's thread.

        Returns:
            What was sent, for :meth:`draw`; None where that is nothing.
        """
        outcome = self.outcomes.of(window, forecast, compute_ms)
        if outcome is None:
            return None
        message = latents_message(outcome.predicted)
        self._publishers["predicted"].publish(message)  # first: planners wait for it
        values, name = outcome.values(), self._node.get_fully_qualified_name()
        self._publishers["window"].publish(window_message(values, message, name))
        if outcome.context is not None:
            self._publishers["context"].publish(latents_message(outcome.context))
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
                self._publishers["no_change"].publish(Float32(data=found.no_change))
                self._publishers["error"].publish(Float32(data=found.error))
                self.planner.prediction_error(found.error)
        # A number about the past: whatever is wrong with it, forecasts go on. A broken device fails at the next window.
        except Exception as error:  # noqa: BLE001
            if self._node.context.ok():  # else a signal has closed the middleware in the meantime
                self.warn("prediction_error", "failed", f"window {outcome.window.number}: {error}")
            self.planner.prediction_error(math.nan)

    def close(self) -> None:
        """End the publishers."""
        self.planner.destroy()
        for publisher in self._publishers.values():
            self._endpoints.destroy(publisher)
        self._publishers = {}
