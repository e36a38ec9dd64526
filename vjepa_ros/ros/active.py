"""What ``activate`` makes and ``deactivate`` ends: the model's thread, the subscriptions, the watch on the clock.

It knows no lifecycle and no publishers.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from rclpy.clock import JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNode

from vjepa_ros.config.node import NodeConfig
from vjepa_ros.forecast.forecaster import WindowForecast, together
from vjepa_ros.ros.configured import Configured
from vjepa_ros.ros.endpoints import Endpoints
from vjepa_ros.ros.gate import Gate
from vjepa_ros.ros.inputs import subscribed
from vjepa_ros.ros.last_line import REASON
from vjepa_ros.ros.messages import message_stamp_ns
from vjepa_ros.ros.rates import Rates
from vjepa_ros.ros.saying import Resets
from vjepa_ros.ros.stages import Stages
from vjepa_ros.stream.intake import Take
from vjepa_ros.stream.window import EpochCause, Window
from vjepa_ros.units import S_TO_NS, to_ns
from vjepa_ros.worker import Worker

_FIRST = 0  # the place of the camera that questions, goals and plans are about
_OfCamera = tuple[int, Take]  # what takes a message, with the place of the camera whose windows may come of it
_SAME_JUMP_NS = to_ns(1.0)  # frames and /clock that jump within this time have jumped together


class Active:
    """Takes messages in, hands windows to the worker, and starts epochs.

    Args:
        node: whose clock, log and context are used.
        configured: what it works with.
        endpoints: makes the subscriptions.

    Attributes:
        worker: the one thread that touches the model.
        rates: when messages came, by topic.
        stages: how long windows take.
        enabled: whether images are subscribed to.
    """

    def __init__(self, node: LifecycleNode, configured: Configured, endpoints: Endpoints) -> None:
        self._node = node
        self._configured = configured
        self._endpoints = endpoints
        self._cameras = configured.cameras
        self._frames_jumped_ns: dict[int, int] = {}  # what /clock said when a camera's frames last jumped back
        self._subscriptions: list[Any] = []
        self._images: list[Any] = []  # those of them that are subscriptions to images
        self.enabled = True
        self._ended = False
        self.rates, self.stages = Rates(), Stages()
        self._waiting: deque[tuple[int, Window]] = deque()  # with their cameras' places; the model has no room for them
        self._gate = Gate(node.default_callback_group)
        self._room: Any = None  # wakes the executor
        self._say_reset = Resets(node.get_logger(), configured.warn)
        self._clock_jumps: Any = None
        config = configured.config
        self.worker: Worker[tuple[int, Window], WindowForecast] = Worker(
            lambda one: self._cameras[one[0]].forecaster(one[1]),
            self._deliver,
            self._on_failure,
            lossless=config.worker.lossless,
            size=config.worker.queue_size,
            max_failures=config.worker.max_failures,
            max_questions=config.candidates.queue_size,
            on_room=self._on_room,
            streams=len(self._cameras),
            together=lambda several: together([(self._cameras[place].forecaster, one) for place, one in several]),
        )

    def start(self) -> None:
        """Start the worker and subscribe; :meth:`stop` undoes it, however far it came."""
        config = self._configured.config
        for place, camera in enumerate(self._cameras):
            self.worker.start_epoch(camera.intake.stream.epoch, stream=place)
        self._room = self._node.create_guard_condition(self._hand_over)
        self.worker.start()
        others = self._configured.planner.open(self.worker)
        for row in subscribed(config.stream, config.camera.transport, others):
            own = row.topic not in others or row.topic in config.stream.inputs
            takes = [(place, each.intake.taker(row.row)) for place, each in enumerate(self._cameras)] if own else []
            takes += [(_FIRST, others[row.topic])] if row.topic in others else []
            if not row.is_camera:  # a description is no part of a window, and waits for none
                gate = None if row.is_latched else self._gate
                self._subscribe(row.kind, row.topic, row.profile, takes, gate)
        self._subscribe_images()
        self._configured.candidates.open(
            self.worker, lambda kind, topic, profile, take: self._subscribe(kind, topic, profile, [(_FIRST, take)])
        )
        threshold = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=False)
        on_jump = self._endpoints.last_line.guarded("a jump of /clock", self._on_clock_jump, lambda _jump: None)
        self._clock_jumps = self._node.get_clock().create_jump_callback(threshold, post_callback=on_jump)

    def stop(self, timeout_s: float) -> bool:
        """End everything; whether the worker ended in time.

        Args:
            timeout_s: how long to wait for the window that the model is at.
        """
        self._ended = True
        self._configured.planner.close()  # first: nothing is sent to a robot while the rest ends
        for subscription in self._subscriptions:
            self._endpoints.destroy(subscription)
        self._subscriptions = []
        if self._clock_jumps is not None:
            self._clock_jumps.unregister()
        self._waiting.clear()
        stopped = self.worker.stop(timeout_s, self._is_ending)
        if self._room is not None:
            self._node.destroy_guard_condition(self._room)
        self._configured.candidates.close()
        return stopped

    def reset(self) -> int:
        """Forget everything; the number of the epoch that begins, of the first camera."""
        for place, camera in enumerate(self._cameras):
            camera.intake.stream.reset()
            self._start_epoch(place)
        return self._cameras[_FIRST].intake.stream.epoch

    def enable(self, wanted: bool) -> None:
        """Subscribe to images, or no longer: the model stays, and whatever else is read.

        Nothing that is under way is published any more once images are not wanted.
        """
        if wanted == self.enabled:
            return
        self.enabled = wanted
        if wanted:
            self._subscribe_images()
            return
        for subscription in self._images:
            self.rates.forget(subscription.topic_name)  # a rate over the pause would be no camera's
            self._subscriptions.remove(subscription)
            self._endpoints.destroy(subscription)
        self._images = []
        self.reset()

    def change(self, config: NodeConfig) -> None:
        """Go by another configuration, which differs in live parameters alone."""
        before = self._configured.config
        if (before.stream, before.latents) != (config.stream, config.latents):
            self.reset()  # what is under way was meant for the configuration before
        self._configured.change(config)
        self.worker.resize(lossless=config.worker.lossless, size=config.worker.queue_size)
        self._hand_over()

    def _subscribe_images(self) -> None:
        config = self._configured.config
        rows = subscribed(config.stream, config.camera.transport, cameras=config.camera.each)
        for place, row in enumerate([row for row in rows if row.is_camera]):
            take = self._timed(self._cameras[place].intake.taker(row.row))
            self._subscribe(row.kind, row.topic, row.profile, [(place, take)], self._gate)
            self._images.append(self._subscriptions[-1])

    def _subscribe(self, kind: type, topic: str, profile: Any, takes: Sequence[_OfCamera], group: Any = None) -> None:
        self._subscriptions.append(
            self._endpoints.subscription(
                kind, topic, profile, lambda name, message: self._on_message(takes, name, message), group
            )
        )

    def _timed(self, take: Take) -> Take:
        """What takes frames, with how long that takes written down."""

        def timed(topic: str, message: Any, received_ns: int) -> list[Window]:
            began_s = time.perf_counter()
            try:
                return take(topic, message, received_ns)
            finally:
                self.stages.add("decode", (time.perf_counter() - began_s) * 1e3)

        return timed

    @property
    def is_holding_up(self) -> bool:
        """Whether inputs wait for a model that has no room for more windows: their silence is the node's own."""
        return not self._gate.is_open

    def now_s(self) -> float:
        """The time that rates go by: simulated where the node's is, so that a slow simulation is no slow camera."""
        clock = self._node.get_clock()
        return clock.now().nanoseconds / S_TO_NS if clock.ros_time_is_active else time.monotonic()

    def _is_ending(self) -> bool:
        return not self._node.context.ok()

    def _on_message(self, takes: Sequence[_OfCamera], topic: str, message: Any) -> None:
        """Take in a message for each camera that it is for: a mistake with one of them is not the others'."""
        if self._ended:
            return  # the executor had the message already when the node was deactivated
        now_ns = self._node.get_clock().now().nanoseconds
        stamp_ns = message_stamp_ns(message)
        self.rates.add(topic, self.now_s(), None if stamp_ns is None else now_ns - stamp_ns)
        mistake: Exception | None = None
        for place, take in takes:
            intake = self._cameras[place].intake
            epoch, windows = intake.stream.epoch, list[Window]()
            try:
                windows = self.take_in(take, topic, message, now_ns)
            except Exception as error:  # noqa: BLE001 - it is raised below
                intake.counters.rejected[topic, REASON] += 1
                mistake = mistake or error
            self._follow(place, epoch, now_ns)
            self._waiting.extend((place, window) for window in windows)
        self._hand_over()
        if mistake is not None:
            raise mistake

    def _hand_over(self) -> None:
        """Hand over the windows that there is room for. While one waits in a lossless queue nothing is read of what the
        windows are made of, but the executor goes on: services and timers wait for no model."""
        while self._waiting and self.worker.has_room:
            place, window = self._waiting.popleft()
            self.worker.submit(window.epoch, (place, window), self._is_ending, stream=place)
        self._gate.is_open = not self._waiting

    def _follow(self, place: int, epoch: int, now_ns: int) -> None:
        """Let the worker know of an epoch that a message began, whatever else came of the message."""
        stream = self._cameras[place].intake.stream
        if stream.epoch != epoch:
            if stream.epoch_cause is EpochCause.STAMPS:
                self._frames_jumped_ns[place] = now_ns
            self._start_epoch(place)

    def take_in(self, take: Take, topic: str, message: Any, now_ns: int) -> list[Window]:
        """The windows that a message completes."""
        return take(topic, message, now_ns)

    def _on_clock_jump(self, jump: TimeJump) -> None:
        delta_ns = jump.delta.nanoseconds  # negative
        self.rates.clear()
        before_ns = self._node.get_clock().now().nanoseconds - delta_ns
        for place, camera in enumerate(self._cameras):
            stream = camera.intake.stream
            frames_jumped_ns = self._frames_jumped_ns.pop(place, None)  # it explains one jump, in a loop too
            if frames_jumped_ns is not None and 0 <= before_ns - frames_jumped_ns < _SAME_JUMP_NS:
                continue  # the frames were a little faster than /clock: it is the same jump
            if stream.has_overtaken(delta_ns, before_ns):
                continue  # nothing is there, or what overtook the /clock that it belongs to, as at a player's start
            camera.intake.watch.jumped("/clock", before_ns, before_ns + delta_ns)
            stream.time_jumped_back(delta_ns, before_ns)
            self._start_epoch(place)

    def _start_epoch(self, place: int) -> None:
        camera = self._cameras[place]
        stream = camera.intake.stream
        if place == _FIRST:
            self._configured.planner.time_jumped(f"epoch {stream.epoch} has begun: {stream.epoch_cause.value}")
        others = [waiting for waiting in self._waiting if waiting[0] != place]
        self.worker.start_epoch(stream.epoch, thrown_away=len(self._waiting) - len(others), stream=place)
        self._waiting = deque(others)
        self._hand_over()
        self._say_reset(camera.intake, camera.name)

    # -- in the worker's thread

    def _deliver(self, of_camera: tuple[int, Window], forecast: WindowForecast) -> None:
        place, window = of_camera
        if not self._is_ending():  # else a signal has ended everything while the model was at this window
            began_s = time.perf_counter()
            camera = self._cameras[place]
            outcome = camera.publish(window, forecast, self.worker.compute_ms)
            self.stages.add("publish", (time.perf_counter() - began_s) * 1e3)
            self.stages.add("wait", self.worker.waited_ms)
            for stage, took_ms in forecast.stages_ms.items():
                self.stages.add(stage, took_ms)
            if place == _FIRST:
                self._configured.planner.window(window)
            camera.draw(outcome)

    def _on_room(self) -> None:
        if self._waiting and not self._ended:
            with suppress(rclpy_implementation.InvalidHandle):  # it was deactivated in this moment
                self._room.trigger()

    def _on_failure(self, error: Exception) -> None:
        if self._is_ending():
            return  # the middleware was closed under the model's last window: that is no failure of the model
        self._configured.planner.failed(error)
        self._node.get_logger().error(
            f"the model has failed and is given up: {error}; clean up and configure to try again"
        )
