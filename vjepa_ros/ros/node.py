"""The lifecycle node ``vjepa_predictor``: wiring between topics, streams, worker and publishers.

configure validates, loads and warms up; activate subscribes and starts the worker; deactivate stops it and clears the
buffers; cleanup frees the model. Callbacks decode, resize and store; the worker's thread alone touches the model.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from std_msgs.msg import Float32, Float32MultiArray, String
from std_srvs.srv import Trigger

from vjepa_ros import devices
from vjepa_ros.config.node import NodeConfig, resolve
from vjepa_ros.config.table import check, effective
from vjepa_ros.errors import ConfigError, EngineError
from vjepa_ros.forecast import info
from vjepa_ros.forecast.forecaster import Imagination, Imagined, load_model
from vjepa_ros.forecast.prediction_error import PredictionErrors
from vjepa_ros.images import bridge
from vjepa_ros.images.preprocess import Preprocess
from vjepa_ros.ros import parameters, qos
from vjepa_ros.ros.candidates import Questions
from vjepa_ros.ros.connections import Connections
from vjepa_ros.ros.diagnostics import Health, Warnings
from vjepa_ros.ros.inputs import subscribed
from vjepa_ros.ros.lifecycle import ManagedNode
from vjepa_ros.ros.messages import diagnostics_message, info_message, latents_message, window_message
from vjepa_ros.ros.timing import CallbackTimes
from vjepa_ros.stream.intake import Intake
from vjepa_ros.stream.window import Window
from vjepa_ros.units import to_ns
from vjepa_ros.worker import Worker

_STOP_TIMEOUT_S = 30.0  # a big model on a CPU may need this long for the window it is at
_DIAGNOSTICS_PERIOD_S = 1.0
_SAME_JUMP_NS = to_ns(1.0)  # frames and /clock that jump within this time have jumped together
_WARNED_ABOUT = ("rejected", "not_finite", "questions_refused", "goals_refused")  # with details, where they happen


class PredictorNode(ManagedNode):
    """Camera frames and joint commands in, predicted latents out."""

    def __init__(self, name: str = "vjepa_predictor", **options: Any) -> None:
        super().__init__(name, **options)
        self._bad_parameters = parameters.declare(self)
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self._config: NodeConfig | None = None
        self._info: dict[str, Any] = {}
        self._intake: Intake | None = None
        self._imagination: Imagination | None = None
        self._questions: Questions | None = None
        self._worker: Worker[Window, Imagined] | None = None
        self._errors: PredictionErrors | None = None
        self._inputs: list[Any] = []
        self._clock_jumps: Any = None
        self._frames_jumped_ns: int | None = None  # what /clock said when the frames last jumped back
        self._outputs: dict[str, Any] = {}
        self._sources = ("", "")
        self._not_finite = 0
        self._warn = Warnings(self.get_logger())
        self._health = Health(self.get_fully_qualified_name())
        self._connections = Connections(self)
        self._times = CallbackTimes()
        self._diagnostics = self.create_publisher(
            DiagnosticArray, "/diagnostics", qos.DIAGNOSTICS(), qos_overriding_options=qos.overridable()
        )
        self._reset_service = self.create_service(Trigger, "~/reset", self._on_reset)
        # The period is real time: a paused simulation must not hide what the node says about itself.
        self._timer = self.create_timer(
            _DIAGNOSTICS_PERIOD_S, self._publish_diagnostics, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    # -- lifecycle

    def configure(self) -> None:
        """Validate, load, warm up."""
        values = parameters.read(self, self._bad_parameters)
        config = resolve(values)
        devices.use_threads(config.threads)
        model = load_model(config)
        self._config = config
        self._times = CallbackTimes()
        self._info = info.latent_info(config, model)
        self._imagination = Imagination(model, config)
        self._errors = PredictionErrors(config.stream)
        preprocess = Preprocess(config.model.preprocessing, config.model.image_size, config.view)
        self._intake = Intake(config.stream, preprocess, self._warn, config.offsets_s, config.max_skew_s, bridge.decode)
        self._outputs = {
            "predicted": self._create_publisher(Image, "~/predicted_latents", qos.LATENTS()),
            "info": self._create_publisher(String, "~/latent_info", qos.LATCHED()),
            "window": self._create_publisher(DiagnosticArray, "~/window_info", qos.WINDOW_INFO()),
            "error": self._create_publisher(Float32, "~/prediction_error", qos.ERRORS()),
            "no_change": self._create_publisher(Float32, "~/no_change_error", qos.ERRORS()),
            "energies": self._create_publisher(Float32MultiArray, "~/candidate_energies", qos.QUESTIONS()),
            "answers": self._create_publisher(DiagnosticArray, "~/candidate_info", qos.QUESTIONS()),
        }
        if config.publish_context:
            self._outputs["context"] = self._create_publisher(Image, "~/context_latents", qos.LATENTS())
        self._questions = Questions(
            self, config, model, self._imagination, self._intake, self._outputs, self._info["info_id"], self._warn
        )
        self.get_logger().info(f"configured: {json.dumps(effective(values))}")
        self.get_logger().info(f"latents: {json.dumps(self._info)}")
        self.get_logger().info(f"model: {model.kernels or 'plain layers (engine.fast is false)'}, {model.device}")
        for warning in config.convention_warnings:  # after the long lines, which would bury it
            self.get_logger().warning(f"override_convention: {warning}")
        if not model.trained:
            self.get_logger().warning(model.notice)

    def activate(self) -> None:
        """Subscribe and start the worker."""
        assert self._config is not None and self._intake is not None and self._imagination is not None
        assert self._questions is not None
        self._worker = Worker(
            self._imagination,
            self._publish,
            self._on_failure,
            lossless=self._config.lossless,
            size=self._config.queue_size,
            max_failures=self._config.max_failures,
            max_asks=self._config.questions.queue_size,
        )
        self._worker.start_epoch(self._intake.stream.epoch)
        self._worker.start()
        intake = self._intake
        stream, take = self._config.stream, intake.take
        for row in subscribed(stream, self._config.image_transport):
            self._subscribe(row.kind, row.topic, row.profile, take[row.topic])
        named = {name: self.resolve_topic_name(name) for name in stream.inputs} | {"none": "none"}
        self._sources = (named[stream.action_topic], named[stream.state_topic])
        self._questions.open(self._worker, self._subscribe)
        threshold = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=False)
        self._clock_jumps = self.get_clock().create_jump_callback(threshold, post_callback=self._on_clock_jump)

    def activated(self) -> None:
        """Say what is constant."""
        self._outputs["info"].publish(info_message(self._info))

    def deactivate(self, timeout_s: float = _STOP_TIMEOUT_S) -> None:
        """Stop the worker and clear the buffers."""
        for subscription in self._inputs:
            self._connections.forget(subscription.topic_name)
            self.destroy_subscription(subscription)
        self._inputs = []
        if self._clock_jumps is not None:
            self._clock_jumps.unregister()
            self._clock_jumps = None
        stopped = self._worker is None or self._worker.stop(timeout_s, self._is_ending)
        self._worker = None
        if self._questions is not None:
            self._questions.close()
        if self._intake is not None:
            self._intake.stream.reset()
        if not stopped:
            raise EngineError(
                f"the model is still at its window, which was not waited for longer (at most {timeout_s:g} s)"
            )

    def cleanup(self) -> None:
        """Free the model."""
        for publisher in self._outputs.values():
            self._connections.forget(publisher.topic_name)
            self.destroy_lifecycle_publisher(publisher)
        self._outputs = {}
        self._config = self._intake = self._imagination = self._errors = self._questions = None
        self._info = {}
        devices.release_memory()

    def close(self, timeout_s: float = _STOP_TIMEOUT_S) -> None:
        """Undo activate and configure, however far they came; wait so long for the window that the model is at."""
        try:
            self.deactivate(timeout_s)
        except EngineError as error:
            self.get_logger().error(str(error))
        self.cleanup()
        self.state_label = "unconfigured"

    # -- in

    def _subscribe(self, kind: type, topic: str, profile: Any, take: Callable[[str, Any, int], list[Window]]) -> None:
        resolved = self.resolve_topic_name(topic)

        def callback(message: Any) -> None:
            with self._times.measured(resolved):
                self._on_message(take, resolved, message)

        events = self._connections.subscription(resolved)
        self._inputs.append(
            self.create_subscription(
                kind, topic, callback, profile, event_callbacks=events, qos_overriding_options=qos.overridable()
            )
        )

    def _is_ending(self) -> bool:
        return not self.context.ok()

    def _on_message(self, take: Callable[[str, Any, int], list[Window]], topic: str, message: Any) -> None:
        if self._intake is None or self._worker is None:
            return  # the executor had the message already when the node was deactivated
        epoch = self._intake.stream.epoch
        now_ns = self.get_clock().now().nanoseconds
        windows = take(topic, message, now_ns)
        if self._intake.stream.epoch != epoch and take == self._intake.robot_description:
            self._start_epoch("another robot description")
        elif self._intake.stream.epoch != epoch:
            self._frames_jumped_ns = now_ns
            self._start_epoch("time jumped back in the stamps")
        for window in windows:
            self._worker.submit(window.epoch, window, self._is_ending)

    def _on_clock_jump(self, jump: TimeJump) -> None:
        if self._intake is None:
            return
        delta_ns = jump.delta.nanoseconds  # negative
        before_ns = self.get_clock().now().nanoseconds - delta_ns
        frames_jumped_ns, self._frames_jumped_ns = self._frames_jumped_ns, None  # it explains one jump, in a loop too
        if frames_jumped_ns is not None and 0 <= before_ns - frames_jumped_ns < _SAME_JUMP_NS:
            return  # the frames were a little faster than /clock: it is the same jump
        self._intake.stream.time_jumped_back(delta_ns, before_ns)
        self._start_epoch("/clock jumped back")

    def _on_reset(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self._intake is None or self._worker is None:
            response.success, response.message = False, f"the node is {self.state_label}: there is nothing to reset"
            return response
        self._intake.stream.reset()
        self._start_epoch("asked to")
        response.success, response.message = True, f"epoch {self._intake.stream.epoch}"
        return response

    def _start_epoch(self, why: str) -> None:
        assert self._intake is not None and self._worker is not None
        self._worker.start_epoch(self._intake.stream.epoch)
        self.get_logger().info(f"reset ({why}): epoch {self._intake.stream.epoch}")

    def _on_set_parameters(self, changed: list[Parameter]) -> SetParametersResult:
        for parameter in changed:
            if not parameters.is_ours(parameter.name):
                continue
            if self._config is not None:
                reason = f"{parameter.name}: takes effect on configure; deactivate and clean up first"
                return SetParametersResult(successful=False, reason=reason)
            try:
                check(parameter.name, parameter.value)
            except ConfigError as error:
                return SetParametersResult(successful=False, reason=str(error))
        for parameter in changed:
            self._bad_parameters.pop(parameter.name, None)
        return SetParametersResult(successful=True)

    # -- out; _publish and _on_failure run in the worker's thread

    def _create_publisher(self, kind: type, topic: str, profile: Any) -> Any:
        events = self._connections.publisher(self.resolve_topic_name(topic))
        return self.create_lifecycle_publisher(
            kind, topic, profile, event_callbacks=events, qos_overriding_options=qos.overridable()
        )

    def _publish(self, window: Window, imagined: Imagined) -> None:
        assert self._intake is not None and self._worker is not None
        if not self.context.ok():
            return  # a signal has ended everything while the model was at this window
        if not imagined.finite:
            self._not_finite += 1
            self._warn("model", "not_finite", f"window {window.number} gave values that are not finite: not published")
            return
        message = latents_message(imagined.predicted, window)
        self._outputs["predicted"].publish(message)  # first: planners wait for it
        values = info.window_info(self._info["info_id"], window, self._worker.compute_ms, self._sources)
        self._outputs["window"].publish(window_message(values, message, self.get_fully_qualified_name()))
        if imagined.context is not None:
            self._outputs["context"].publish(latents_message(imagined.context, window))
        self._publish_error(window, imagined)

    def _publish_error(self, window: Window, imagined: Imagined) -> None:
        """How far an earlier forecast was from what this window observes; after its own forecasts are out."""
        assert self._config is not None and self._errors is not None
        try:
            forecasts = imagined.predicted[-self._config.stream.horizon :]
            found = self._errors.add(window, forecasts, imagined.observed())
            if found is not None:
                self._outputs["no_change"].publish(Float32(data=found.no_change))
                self._outputs["error"].publish(Float32(data=found.error))
        # A number about the past: whatever is wrong with it, forecasts go on. A broken device fails at the next window.
        except Exception as error:  # noqa: BLE001
            self._warn("prediction_error", "failed", f"window {window.number}: {error}")

    def _on_failure(self, error: Exception) -> None:
        self.get_logger().error(f"the model has failed and is given up: {error}; clean up and configure to try again")

    def _publish_diagnostics(self) -> None:
        counters = self._intake.counters if self._intake is not None else None
        epoch = self._intake.stream.epoch if self._intake is not None else 0
        waits_for = self._intake.waits_for if self._intake is not None else ""
        statuses = self._health.statuses(self.state_label, counters, epoch, waits_for, self._worker, self._not_finite)
        if self._errors is not None:
            statuses.append(self._health.prediction(self.state_label, self._errors.summary))
        if self._questions is not None:
            statuses.append(self._health.questions(self.state_label, self._questions))
        statuses.append(self._health.topics(self.state_label, self._connections, self._times))
        self._diagnostics.publish(diagnostics_message(self.get_clock().now().to_msg(), statuses))
        for key, text in self._health.problems.items():
            if key not in _WARNED_ABOUT:
                self._warn("health", key, text)
