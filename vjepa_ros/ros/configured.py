"""What ``configure`` makes and ``cleanup`` frees: the model, the cameras with their streams, and the publishers.

It knows no lifecycle, no subscriptions and no threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rclpy.lifecycle import LifecycleNode

from vjepa_ros import devices
from vjepa_ros.config.node import NodeConfig
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import ConfigError, EngineError
from vjepa_ros.forecast import info
from vjepa_ros.forecast.forecaster import load_model, notices
from vjepa_ros.ros import bonding
from vjepa_ros.ros.camera import Camera
from vjepa_ros.ros.candidates import CandidateTopics
from vjepa_ros.ros.endpoints import Endpoints
from vjepa_ros.ros.inputs import require_messages
from vjepa_ros.ros.no_planner import NoPlanner
from vjepa_ros.ros.publishers import PUBLISHERS, Publishers
from vjepa_ros.ros.saying import Warnings

if TYPE_CHECKING:
    from vjepa_ros.ros.planner import PlannerTopics


def load(config: NodeConfig, tell: Callable[[int, int], None] | None = None) -> WorldModel:
    """The model, warm, also for plans; in whichever thread.

    Args:
        config: what the parameters say.
        tell: called now and then with (bytes read, bytes to read); what it raises ends the loading.

    Raises:
        ConfigError: as :func:`load_model`.
    """
    model = load_model(config, tell)
    if config.planner.enabled:
        from vjepa_ros.planning.asked import record_plans  # here, because most nodes do without a planner

        try:
            record_plans(model, config)
        except EngineError as error:
            raise ConfigError("device", str(error)) from error
    return model


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
        cameras: one, or those that ``cameras`` names. Questions, goals and plans are about the first.
        candidates: takes questions in and answers them.
        planner: plans from every window of that, where it is enabled.

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
        self.warn = warn
        self.config = config
        require_messages(
            config.stream, config.camera.transport, bonding.needed(config.bond)
        )  # before a model is loaded
        self.model = load(config) if model is None else model
        self.info = info.latent_info(config, self.model)
        self.device_name = devices.name_of(self.model.device)
        self.notices = notices(config, self.model)
        self.cameras: list[Camera] = []
        self._publishers: Publishers | None = None
        self.planner: PlannerTopics | NoPlanner = NoPlanner()
        try:
            for name in config.camera.each:
                self.cameras.append(Camera(name, node, config, self.model, self.info, endpoints, warn))
            intake, forecaster = self.cameras[0].intake, self.cameras[0].forecaster
            names = [word for word, row in PUBLISHERS.items() if not row.each_camera]
            self._publishers = Publishers(endpoints, names)
            if config.planner.enabled:
                from vjepa_ros.ros.planner import PlannerTopics  # here, for the same reason

                self.planner = PlannerTopics(node, config, self.model, forecaster, intake, endpoints, warn)
        except BaseException:
            self.close()
            raise
        self.cameras[0].on_error = self.planner.prediction_error
        self.candidates = CandidateTopics(
            node, config, self.model, forecaster, intake, self._publishers, self.info["info_id"], warn
        )
        self.candidates.on_goal = self.planner.new_goal

    def change(self, config: NodeConfig) -> None:
        """Go by another configuration, which differs in live parameters alone; the model stays as it is.

        Where the node is active and streams or latents differ, a new epoch has begun and no result is being delivered;
        where neither does, nothing that the worker uses is touched.
        """
        before, self.config = self.config, config
        if (before.stream, before.latents) != (config.stream, config.latents):
            self.info = info.latent_info(config, self.model)
            for camera in self.cameras:
                camera.change(config, self.info)
        self.candidates.change(config, self.info["info_id"])

    def publish_info(self) -> None:
        """Say what is constant; only while the lifecycle publishers are enabled."""
        for camera in self.cameras:
            camera.publish_info(self.info)

    def close(self) -> None:
        """End the publishers."""
        self.planner.destroy()
        for camera in self.cameras:
            camera.close()
        if self._publishers is not None:
            self._publishers.close()
