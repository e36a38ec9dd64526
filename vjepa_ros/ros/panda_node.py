"""The node ``panda_sim``: the simulated Panda on topics and services, as a robot has them. Wiring only.

How it moves and what it looks like is :mod:`vjepa_ros.simulation`'s. It needs neither torch nor the predictor.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import numpy as np
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock as RosClock
from rclpy.clock import ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Float32, String
from std_srvs.srv import Trigger

from vjepa_ros.config.table import check
from vjepa_ros.errors import ConfigError
from vjepa_ros.ros import messages, own_services, parameters, qos
from vjepa_ros.ros.last_line import LastLine
from vjepa_ros.ros.panda_commands import Commands
from vjepa_ros.ros.panda_time import Driven, OfClock
from vjepa_ros.ros.saying import Warnings
from vjepa_ros.simulation import panda
from vjepa_ros.simulation.drawing import compressed
from vjepa_ros.simulation.episodes import GAP_NS, START_NS
from vjepa_ros.simulation.live import JOINTS_NS, LiveArm
from vjepa_ros.simulation.robot import BY_NAME, CHANGEABLE, TABLE, RobotConfig, resolve
from vjepa_ros.units import S_TO_NS, set_stamp

CAMERA = "camera"
"""The frame of the pictures."""
_SHORTEST_S = 2e-4  # between two looks at the time
_MOST_AT_ONCE = 20  # measurements that are made up for before others have their turn
_MOST_DRIVEN = 2  # as for a clock that is driven: commands are to be heard in time
_BEHIND_NS = S_TO_NS  # what is missed beyond this is not made up for
_SLOWER_NS = S_TO_NS // 10  # as for a clock that is driven
_CLOCK_AGAIN_S = 0.1  # a time that stands still is said again, for who comes to listen
_NAMES = (*panda.JOINTS, *panda.FINGERS)
_FINGERS_M = np.full(len(panda.FINGERS), panda.OPEN_M)


class PandaNode(Node):
    """Joint commands in, pictures and measured joints out.

    Args:
        name: of the node.
        options: as of rclpy's.

    Attributes:
        last_line: takes what callbacks let through.

    Raises:
        ConfigError: for a parameter that makes no sense.
    """

    def __init__(self, name: str = "panda_sim", **options: Any) -> None:
        super().__init__(name, **options)
        self.last_line = LastLine(self)
        self._bad_parameters = parameters.declare(self, TABLE)
        self._config = self._resolved()
        self.add_on_set_parameters_callback(self.last_line.guarded("set_parameters", self._on_set_parameters, _not_set))
        self._warn = Warnings(self.get_logger())
        own_services.guard(self, self.last_line, self._warn)
        self._pace: Driven | OfClock = (
            Driven(self._config.rate) if self._config.drives_clock else OfClock(self.get_clock())
        )
        self._live = LiveArm(self._config.world, self._config.episode, START_NS)
        self._has_begun = self._pace.is_driven
        self._looked_ns = 0  # the time at the last look at it
        self._waits_since_s: float | None = None
        self._clock_said_s = 0.0
        self._publish_to()
        self._commands = Commands(self, self._config.command_type, self.last_line, self._warn, lambda: self._live)
        for name_, answer in (("~/reset", self._reset), ("~/push", self._push), ("~/draw_goal", self._draw_goal)):
            self.last_line.guard_service(self.create_service(Trigger, name_, answer), _failed)
        period_s = max(JOINTS_NS / S_TO_NS / self._config.rate, _SHORTEST_S)
        look = self._drive if self._pace.is_driven else self._follow
        self._timer = self.create_timer(
            period_s, self.last_line.guarded("the clock", look, lambda: None),
            clock=RosClock(clock_type=ClockType.STEADY_TIME),
        )  # fmt: skip
        self.get_logger().info(self._where())

    def close(self, timeout_s: float = 0.0) -> None:
        """Stop its time."""
        self._timer.cancel()

    def _resolved(self) -> RobotConfig:
        return resolve(parameters.read(self, self._bad_parameters, TABLE))

    def _publish_to(self) -> None:
        def publisher(kind: type, topic: str, profile: Any) -> Any:
            return self.create_publisher(kind, topic, profile, qos_overriding_options=qos.overridable())

        self._times = publisher(Clock, own_services.CLOCK_TOPIC, qos.CLOCK()) if self._pace.is_driven else None
        self._images = publisher(Image, "image", qos.PICTURES())
        self._files = publisher(CompressedImage, "image/compressed", qos.PICTURES())
        self._states = publisher(JointState, "joint_states", qos.MEASURED())
        self._description = publisher(String, "robot_description", qos.LATCHED())
        self._goals = publisher(Image, "~/goal_image", qos.LATCHED())
        self._distances = publisher(Float32, "~/goal_distance", qos.ERRORS())
        self._description.publish(String(data=panda.description()))

    # -- time

    def _follow(self) -> None:
        """Come to the time that it is; what was missed is made up for, unless it is long ago."""
        assert isinstance(self._pace, OfClock)
        now_ns, live = self._pace.now_ns(), self._live
        if now_ns <= 0:
            return  # /clock has not come yet
        if not self._has_begun or now_ns < self._looked_ns - _BEHIND_NS:
            if self._has_begun:
                self._warn("the clock", "time_jumped_back", "the arm goes on from there, where it is")
            self._has_begun = True
            live.begin(now_ns - self._pace.margin_ns)
        self._looked_ns = now_ns
        for _ in range(_MOST_AT_ONCE):
            if live.next_ns > now_ns:
                return
            self._go_on()
        if now_ns - live.next_ns > _BEHIND_NS:
            missed_s = (now_ns - live.next_ns) / S_TO_NS
            self._warn("the clock", "too_slow", f"{missed_s:.1f} s are left out, which this machine had no time for")
            live.begin(now_ns - self._pace.margin_ns)

    def _drive(self) -> None:
        """Let at most a few measurements' time pass, at the pace that it has."""
        assert isinstance(self._pace, Driven)
        now_ns, live = self._pace.now_ns(), self._live
        for _ in range(_MOST_DRIVEN):
            if live.next_ns > now_ns:
                return
            if self._stands_still():
                self._pace.go_on_from(live.now_ns)
                return
            self._go_on()
        if now_ns - live.next_ns > _SLOWER_NS:
            self._pace.go_on_from(live.now_ns)

    def _stands_still(self) -> bool:
        """Whether the driven time waits for a command."""
        now_s = time.monotonic()
        if not self._config.wait_s or not self._live.is_frame or self._live.is_answered:
            self._waits_since_s = None
            return False
        if self._waits_since_s is None:
            self._waits_since_s = now_s
        if now_s - self._waits_since_s >= self._config.wait_s:
            self._waits_since_s = None
            return False
        if now_s - self._clock_said_s >= _CLOCK_AGAIN_S:
            self._say_time()
        return True

    def _say_time(self) -> None:
        if self._times is not None:
            message = Clock()
            set_stamp(message.clock, self._live.now_ns)
            self._times.publish(message)
            self._clock_said_s = time.monotonic()

    def _go_on(self) -> None:
        """Let time pass to the next measurement, and publish what there is to be seen."""
        live = self._live
        live.advance()
        self._say_time()
        joints = np.concatenate([live.joints, _FINGERS_M])
        self._states.publish(messages.joints_message(_NAMES, joints, live.now_ns))
        if not live.is_frame:
            return
        if live.distance_m is not None:
            self._distances.publish(Float32(data=live.distance_m))
        raw, files = (publisher.get_subscription_count() > 0 for publisher in (self._images, self._files))
        if not (raw or files):
            return  # a picture takes 7 ms
        picture = live.picture()
        if raw:
            self._images.publish(messages.picture_message(picture, live.now_ns, CAMERA))
        if files:
            form = self._config.form
            file = compressed(picture, form, self._config.quality)
            self._files.publish(messages.file_message(file, form, live.now_ns, CAMERA))

    # -- what it is asked

    def _reset(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._config = config = self._resolved()
        start_ns = self._live.now_ns + GAP_NS
        self._live = LiveArm(config.world, config.episode, start_ns)
        self._waits_since_s = None
        if isinstance(self._pace, Driven):
            self._pace.go_on_from(start_ns)
        response.success, response.message = True, self._where()
        return response

    def _push(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        before = self._live.tip
        after = self._live.push(self._resolved().push_m)
        moved_m = float(np.linalg.norm(after - before))
        response.success, response.message = True, f"the tip was moved by {moved_m:.3f} m, to {_place(after)}"
        return response

    def _draw_goal(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if not self._has_begun:
            response.success, response.message = False, "there is no time yet: nothing has come on /clock"
            return response
        live = self._live
        picture = live.draw_goal(self._resolved().goal_m)
        assert live.goal is not None
        # Between a reset and its episode the arm's time lies ahead of what time it is.
        self._goals.publish(messages.picture_message(picture, min(live.now_ns, self._pace.now_ns()), CAMERA))
        response.success = True
        response.message = f"the goal is {live.distance_m:.3f} m from the tip, at {_place(live.goal)}"
        return response

    def _where(self) -> str:
        world = self._config.world
        return (
            f"episode {self._live.number} of seed {world.seed}, {world.variation}: the tip at {_place(self._live.tip)}"
        )

    def _on_set_parameters(self, changed: list[Parameter]) -> SetParametersResult:
        for parameter in changed:
            if parameter.name not in BY_NAME:
                continue
            if parameter.name not in CHANGEABLE:
                return SetParametersResult(successful=False, reason=f"{parameter.name}: is read once, at the start")
            try:
                check(parameter.name, parameter.value, BY_NAME)
            except ConfigError as error:
                return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)


def _place(tip: Iterable[float]) -> str:
    return "[" + ", ".join(f"{value:.3f}" for value in tip) + "] m"


def _not_set(_changed: list[Parameter]) -> SetParametersResult:
    return SetParametersResult(successful=False, reason="an error in the node: see its log")


def _failed(_request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
    response.success, response.message = False, "an error in the node: see its log"
    return response
