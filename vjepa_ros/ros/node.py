"""The lifecycle node ``vjepa_predictor``: its parameters, its transitions and its report about itself.

configure validates, loads and warms up; activate subscribes and starts the worker; deactivate stops it and clears the
buffers; cleanup frees the model. Callbacks decode, resize and store; the worker's thread alone touches the model.
"""

from __future__ import annotations

import json
import math
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool, Trigger

from vjepa_ros import devices
from vjepa_ros.config import ros_file
from vjepa_ros.config.node import resolve
from vjepa_ros.config.table import BY_NAME, check
from vjepa_ros.errors import ConfigError, EngineError
from vjepa_ros.ros import bonding, overrides, own_services, parameters, qos
from vjepa_ros.ros.active import Active
from vjepa_ros.ros.configured import Configured
from vjepa_ros.ros.diagnostics import Health, input_findings
from vjepa_ros.ros.endpoints import Endpoints
from vjepa_ros.ros.inputs import renamed_in_vain, require_messages
from vjepa_ros.ros.lifecycle import ManagedNode
from vjepa_ros.ros.loader import Loader
from vjepa_ros.ros.messages import diagnostics_message
from vjepa_ros.ros.saying import Lasting, Warnings
from vjepa_ros.ros.snapshot import Snapshot

_STOP_TIMEOUT_S = 30.0  # a big model on a CPU may need this long for the window it is at
_DIAGNOSTICS_PERIOD_S = 1.0
# With details, where they happen.
_WARNED_ABOUT = ("rejected", "not_finite", "questions_refused", "goals_refused", "out_of_order")


class PredictorNode(ManagedNode):
    """Camera frames and joint commands in, predicted latents out.

    What it holds is what is configured and what is active, each there or None.
    """

    def __init__(self, name: str = "vjepa_predictor", **options: Any) -> None:
        super().__init__(name, **options)
        self._bad_parameters = parameters.declare(self)
        self.add_on_set_parameters_callback(self.last_line.guarded("set_parameters", self._on_set_parameters, _not_set))
        self._configured: Configured | None = None
        self._active: Active | None = None
        self._loader = Loader(self)
        self._bonding = bonding.Bonding(self, self.last_line)
        self._warn = Warnings(self.get_logger())
        own_services.guard(self, self.last_line, self._warn, self._prepare)
        self._health = Health(self.get_fully_qualified_name())
        self._lasting = Lasting(self.get_logger())
        self._losses = Lasting(self.get_logger(), again_s=math.inf)
        self._endpoints = Endpoints(self, self.last_line)
        self._diagnostics = self.create_publisher(
            DiagnosticArray, overrides.DIAGNOSTICS_TOPIC, qos.DIAGNOSTICS(), qos_overriding_options=qos.overridable()
        )
        self._reset_service = self.create_service(Trigger, "~/reset", self._on_reset)
        self._enable_service = self.create_service(SetBool, "~/enable", self._on_enable)
        self._cancel_service = self.create_service(Trigger, "~/cancel_loading", self._on_cancel)
        for service in (self._reset_service, self._enable_service, self._cancel_service):
            self.last_line.guard_service(service, _not_done)
        # The period is real time: a paused simulation must not hide what the node says about itself.
        self._timer = self.create_timer(
            _DIAGNOSTICS_PERIOD_S,
            self.last_line.guarded("/diagnostics", self._publish_diagnostics, lambda: None),
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )
        for sentence in overrides.remarks(self):
            self.get_logger().warning(sentence)

    # -- lifecycle

    def configure(self) -> None:
        """Validate, load, warm up."""
        config, model = self._loader.taken()
        if config is None:
            config = resolve(parameters.read(self, self._bad_parameters))
        self._endpoints.times.clear()
        self._configured = configured = Configured(self, config, self._endpoints, self._warn, model)
        model, log = configured.model, self.get_logger()
        log.info(f"configured: {json.dumps(dict(config.parameters))}")
        log.info(f"latents: {json.dumps(configured.info)}")
        log.info(f"model: {model.kernels or 'layers that are not packed (engine.fast is false)'}, {model.device}")
        if model.backend:
            log.info(f"whole windows and one-step predictions: {model.backend}")
        for notice in configured.notices:  # after the long lines, which would bury them
            log.warning(notice)
        if any(in_vain := renamed_in_vain(self, config.camera)):
            log.warning(": ".join(in_vain))

    async def _prepare(self) -> str:
        """Load the model while the executor goes on; why that cannot be, or nothing: configure takes it then."""
        if self.state_label != "unconfigured":
            return ""
        try:
            config = resolve(parameters.read(self, self._bad_parameters))
            require_messages(config.stream, config.camera.transport, bonding.needed(config.bond))
        except ConfigError:
            return ""  # configure says it
        return await self._loader.load(config)

    def activate(self) -> None:
        """Subscribe and start the worker."""
        assert self._configured is not None
        self._active = self.make_active(self._configured)
        self._active.start()

    def make_active(self, configured: Configured) -> Active:
        """What activate starts."""
        return Active(self, configured, self._endpoints)

    def activated(self) -> None:
        """Say what is constant."""
        assert self._configured is not None
        self._configured.publish_info()
        self._bonding.open(self._configured.config.bond)

    def deactivate(self, timeout_s: float = _STOP_TIMEOUT_S) -> None:
        """Stop the worker and clear the buffers."""
        self._bonding.leave()
        active, self._active = self._active, None
        stopped = active is None or active.stop(timeout_s)
        if self._configured is not None:
            for camera in self._configured.cameras:
                camera.intake.stream.reset()
            devices.release_memory()  # what windows took is free, and kept for the next ones
        if not stopped:
            raise EngineError(
                f"the model is still at its window, which was not waited for longer (at most {timeout_s:g} s)"
            )

    def cleanup(self) -> None:
        """Free the model."""
        if self._configured is not None:
            self._configured.close()
        self._configured = None
        devices.release_memory()

    def close(self, timeout_s: float = _STOP_TIMEOUT_S) -> None:
        """Undo activate and configure, however far they came; the model has this long to end its window."""
        self._loader.cancel()
        try:
            self.deactivate(timeout_s)
        except EngineError as error:
            self.get_logger().error(str(error))
        self.cleanup()
        self.state_label = "unconfigured"

    # -- what the node is asked

    def set_parameters(self, parameter_list: list[Parameter]) -> list[SetParametersResult]:
        """As rclpy's, with lists in the type that they are declared with."""
        return list(super().set_parameters(list(map(parameters.as_declared, parameter_list))))

    def set_parameters_atomically(self, parameter_list: list[Parameter]) -> SetParametersResult:
        """As rclpy's, with lists in the type that they are declared with."""
        return super().set_parameters_atomically(list(map(parameters.as_declared, parameter_list)))

    def _on_reset(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self._active is None:
            response.success, response.message = False, f"the node is {self.state_label}: there is nothing to reset"
        else:
            response.success, response.message = True, f"epoch {self._active.reset()}"
        return response

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        if self._active is None:
            response.success, response.message = False, f"the node is {self.state_label}: images come when it is active"
        else:
            self._active.enable(request.data)
            what = "images are subscribed to" if request.data else "images are not subscribed to; the model is kept"
            response.success, response.message = True, what
        return response

    def _on_cancel(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._loader.cancel()
        response.message = "loading is given up" if response.success else "nothing is being loaded"
        return response

    def _on_set_parameters(self, changed: list[Parameter]) -> SetParametersResult:
        ours = [parameter for parameter in changed if parameters.is_ours(parameter.name)]
        try:
            for parameter in ours:
                self._require_changeable(parameter.name)
                check(parameter.name, parameter.value)
            if ours and self._configured is not None:
                self._change({parameter.name: parameter.value for parameter in ours})
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        for parameter in ours:
            self._bad_parameters.pop(parameter.name, None)
        return SetParametersResult(successful=True)

    def _require_changeable(self, name: str) -> None:
        """Refuse a parameter that takes effect on configure, where that is over or under way.

        Raises:
            ConfigError: naming it.
        """
        if self._loader.text:
            raise ConfigError(name, "the model is being loaded by it: wait, or call ~/cancel_loading")
        if self._configured is not None and not BY_NAME[name].live:
            raise ConfigError(name, "takes effect on configure; deactivate and clean up first")

    def _change(self, given: dict[str, Any]) -> None:
        """Go by other values of live parameters at once.

        Raises:
            ConfigError: where they make no sense together with the others; nothing has changed then.
        """
        assert self._configured is not None
        typed = {name: ros_file.typed(name, value) for name, value in given.items()}
        config = resolve({**parameters.read(self, {}), **typed})
        for name, value in self._configured.config.parameters.items():
            if not BY_NAME[name].live and config.parameters[name] != value:
                raise ConfigError(
                    name, "a file that it comes from has changed since configure: clean up, configure again"
                )
        before = self._configured.info
        if self._active is None:
            self._configured.change(config)
            return
        self._active.change(config)
        if self._configured.info != before:
            self._configured.publish_info()

    # -- what it says about itself

    def _publish_diagnostics(self) -> None:
        state = self.state_label
        if self._loader.text:
            state = "configuring"
        elif self._active is not None and not self._active.enabled:
            state = "disabled"
        snapshot = Snapshot.of(
            state, self._configured, self._active, self._endpoints, self.last_error, self._loader.text
        )
        statuses, problems = self._health.report(snapshot)
        self._diagnostics.publish(diagnostics_message(self.get_clock().now().to_msg(), statuses))
        self._lasting([*snapshot.senders, *input_findings(snapshot.inputs)])
        self._losses(snapshot.losses)
        of_senders = {f"{found.reason} {found.topic}" for found in snapshot.senders}
        for key, text in problems.items():
            if key not in of_senders and key.rpartition(": ")[2] not in _WARNED_ABOUT:
                self._warn("health", key, text)


def _not_set(_changed: list[Parameter]) -> SetParametersResult:
    return SetParametersResult(successful=False, reason="an error in the node: see its log")


def _not_done(_request: Any, response: Any) -> Any:
    response.success, response.message = False, "an error in the node: see its log"
    return response
