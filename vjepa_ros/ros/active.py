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
from vjepa_ros.forecast.forecaster import WindowForecast
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
        self._intake = configured.intake
        self._frames_jumped_ns: int | None = None  # what /clock said when the frames last jumped back
        self._subscriptions: list[Any] = []
        self._camera: Any = None  # one of them; None where images are not wanted
        self.enabled = True
        self._ended = False
        self.rates, self.stages = Rates(), Stages()
        self._waiting: deque[Window] = deque()  # those that the model has no room for yet
        self._gate = Gate(node.default_callback_group)
        self._room: Any = None  # wakes the executor
        self._say_reset = Resets(node.get_logger(), configured.warn)
        self._clock_jumps: Any = None
        config = configured.config
        self.worker: Worker[Window, WindowForecast] = Worker(
            configured.forecaster,
            self._deliver,
            self._on_failure,
            lossless=config.worker.lossless,
            size=config.worker.queue_size,
            max_failures=config.worker.max_failures,
            max_questions=config.candidates.queue_size,
            on_room=self._on_room,
        )

    def start(self) -> None:
        """Start the worker and subscribe; :meth:`stop` undoes it, however far it came."""
        config = self._configured.config
        self.worker.start_epoch(self._intake.stream.epoch)
        self._room = self._node.create_guard_condition(self._hand_over)
        self.worker.start()
        others = self._configured.planner.open(self.worker)
        for row in subscribed(config.stream, config.camera.transport, others):
            own = row.topic not in others or row.topic in config.stream.inputs
            takes = [self._intake.take[row.topic]] if own else []
            takes += [others[row.topic]] if row.topic in others else []
            take = _one_after_another(takes)
            if not row.is_camera:  # a description is no part of a window, and waits for none
                gate = None if row.is_latched else self._gate
                self._subscribe(row.kind, row.topic, row.profile, take, gate)
        self._subscribe_camera()
        self._configured.candidates.open(self.worker, self._subscribe)
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
        """Forget everything; the number of the epoch that begins."""
        self._intake.stream.reset()
        self._start_epoch()
        return self._intake.stream.epoch

    def enable(self, wanted: bool) -> None:
        """Subscribe to images, or no longer: the model stays, and whatever else is read.

        Nothing that is under way is published any more once images are not wanted.
        """
        if wanted == self.enabled:
            return
        self.enabled = wanted
        if wanted:
            self._subscribe_camera()
            return
        self._subscriptions.remove(self._camera)
        self._endpoints.destroy(self._camera)
        self._camera = None
        self.reset()

    def change(self, config: NodeConfig) -> None:
        """Go by another configuration, which differs in live parameters alone."""
        before = self._configured.config
        if (before.stream, before.latents) != (config.stream, config.latents):
            self.reset()  # what is under way was meant for the configuration before
        self._configured.change(config)
        self.worker.resize(lossless=config.worker.lossless, size=config.worker.queue_size)
        self._hand_over()

    def _subscribe_camera(self) -> None:
        config = self._configured.config
        row = next(row for row in subscribed(config.stream, config.camera.transport) if row.is_camera)
        self._subscribe(row.kind, row.topic, row.profile, self._timed(self._intake.take[row.topic]), self._gate)
        self._camera = self._subscriptions[-1]

    def _subscribe(self, kind: type, topic: str, profile: Any, take: Take, group: Any = None) -> None:
        self._subscriptions.append(
            self._endpoints.subscription(
                kind, topic, profile, lambda name, message: self._on_message(take, name, message), group
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

    def _on_message(self, take: Take, topic: str, message: Any) -> None:
        if self._ended:
            return  # the executor had the message already when the node was deactivated
        stream = self._intake.stream
        epoch, now_ns = stream.epoch, self._node.get_clock().now().nanoseconds
        stamp_ns = message_stamp_ns(message)
        self.rates.add(topic, self.now_s(), None if stamp_ns is None else now_ns - stamp_ns)
        windows: list[Window] = []
        try:
            windows = self.take_in(take, topic, message, now_ns)
        except Exception:
            self._intake.counters.rejected[topic, REASON] += 1
            raise
        finally:
            self._follow(epoch, now_ns)
        self._waiting.extend(windows)
        self._hand_over()

    def _hand_over(self) -> None:
        """Hand over the windows that there is room for. While one waits in a lossless queue nothing is read of what the
        windows are made of, but the executor goes on: services and timers wait for no model."""
        while self._waiting and self.worker.has_room:
            window = self._waiting.popleft()
            self.worker.submit(window.epoch, window, self._is_ending)
        self._gate.is_open = not self._waiting

    def _follow(self, epoch: int, now_ns: int) -> None:
        """Let the worker know of an epoch that a message began, whatever else came of the message."""
        stream = self._intake.stream
        if stream.epoch != epoch:
            if stream.epoch_cause is EpochCause.STAMPS:
                self._frames_jumped_ns = now_ns
            self._start_epoch()

    def take_in(self, take: Take, topic: str, message: Any, now_ns: int) -> list[Window]:
        """The windows that a message completes."""
        return take(topic, message, now_ns)

    def _on_clock_jump(self, jump: TimeJump) -> None:
        delta_ns = jump.delta.nanoseconds  # negative
        self.rates.clear()
        before_ns = self._node.get_clock().now().nanoseconds - delta_ns
        frames_jumped_ns, self._frames_jumped_ns = self._frames_jumped_ns, None  # it explains one jump, in a loop too
        if frames_jumped_ns is not None and 0 <= before_ns - frames_jumped_ns < _SAME_JUMP_NS:
            return  # the frames were a little faster than /clock: it is the same jump
        if self._intake.stream.has_overtaken(delta_ns, before_ns):
            return  # nothing is there, or only what came before the /clock that it belongs to, as at a player's start
        self._intake.watch.jumped("/clock", before_ns, before_ns + delta_ns)
        self._intake.stream.time_jumped_back(delta_ns, before_ns)
        self._start_epoch()

    def _start_epoch(self) -> None:
        stream = self._intake.stream
        self._configured.planner.time_jumped(f"epoch {stream.epoch} has begun: {stream.epoch_cause.value}")
        self.worker.start_epoch(stream.epoch, thrown_away=len(self._waiting))
        self._waiting.clear()
        self._hand_over()
        self._say_reset(self._intake)

    # -- in the worker's thread

    def _deliver(self, window: Window, forecast: WindowForecast) -> None:
        if not self._is_ending():  # else a signal has ended everything while the model was at this window
            began_s = time.perf_counter()
            outcome = self._configured.publish(window, forecast, self.worker.compute_ms)
            self.stages.add("publish", (time.perf_counter() - began_s) * 1e3)
            self.stages.add("wait", self.worker.waited_ms)
            for stage, took_ms in forecast.stages_ms.items():
                self.stages.add(stage, took_ms)
            self._configured.planner.window(window)
            self._configured.draw(outcome)

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


def _one_after_another(takes: Sequence[Take]) -> Take:
    """What takes a message for each of several; the windows are the first one's."""

    def take(topic: str, message: Any, received_ns: int) -> list[Window]:
        windows, *_ = [each(topic, message, received_ns) for each in takes]
        return windows

    return takes[0] if len(takes) == 1 else take
