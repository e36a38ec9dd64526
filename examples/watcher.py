"""Looks on while the simulated Panda is driven by the planner: what happened at which frame, and the services of both.

It commands nothing unless it is told to. It knows topics, services and how the wire is laid out, nothing of models or
motions.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from numpy.typing import NDArray
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float32, String
from std_srvs.srv import SetBool, Trigger

from vjepa_ros import latents
from vjepa_ros.units import set_stamp, stamp_to_ns

SIM, PREDICTOR = "panda_sim", "vjepa_predictor"
FRAME_NS = 100_000_000  # between two frames of the simulated camera
STEP_NS = 2 * FRAME_NS
TIMEOUT_S = 300.0


class NothingCame(RuntimeError):
    """What was waited for did not come."""


class Watcher(Node):
    """Keeps what both nodes say, and calls their services.

    Args:
        is_well: says what has become of the two processes; empty while they run.

    Attributes:
        now_ns, stands_still: the newest time on /clock, and whether it was said again.
        pictures: (h, w, 3) uint8 of each frame since the last reset, by its stamp.
        distances: m to the goal, one for each frame since the first goal after the last reset.
        plans: the newest ``planner_status`` with a plan of each window, by its stamp.
        forecasts: (H', W', D) of each window, by its stamp.
        windows: their ``window_info``, in the order in which they came.
        errors: each ``prediction_error``, in the order in which they came.
        goal, goal_place: (h, w, 3) the goal that was drawn last, and (3,) in m where its tip is; None before one came.
        status: the newest ``planner_status``.
        info: ``latent_info``.
        on_plan: called with each status that has a plan.
    """

    def __init__(self, is_well: Callable[[], str]) -> None:
        super().__init__("watcher")
        self._is_well = is_well
        self._spinner = SingleThreadedExecutor()
        self._spinner.add_node(self)
        self.now_ns, self.stands_still = 0, False
        self.pictures: dict[int, NDArray[np.uint8]] = {}
        self.distances: list[float] = []
        self.plans: dict[int, dict[str, Any]] = {}
        self.forecasts: dict[int, NDArray[np.float32]] = {}
        self.windows: list[dict[str, Any]] = []
        self.errors: list[float] = []
        self.goal: NDArray[np.uint8] | None = None
        self.goal_place: NDArray[np.float64] | None = None
        self.status: dict[str, Any] = {}
        self.info: dict[str, Any] = {}
        self.on_plan: Callable[[dict[str, Any]], None] = lambda status: None
        self._ended_ns = -1  # when the episode before this one ended
        self._goal_since_ns = 0  # when the first goal was drawn
        self._known_goals: set[int | None] = set()  # all of them: the plan for one may come after the next was taken in
        self._joints: JointState | None = None
        self._commanded: JointState | None = None
        self._latents: list[Image] = []
        self._subscribe()
        self._commands = self.create_publisher(JointState, "joint_commands", QoSProfile(depth=1000))
        self._asking = {
            name: self.create_client(kind, name)
            for kind, name in (
                *((Trigger, f"{SIM}/{what}") for what in ("reset", "draw_goal", "push")),
                (SetParameters, f"{SIM}/set_parameters"),
                (ChangeState, f"{PREDICTOR}/change_state"),
                (SetBool, f"{PREDICTOR}/execute"),
            )
        }

    def _subscribe(self) -> None:
        deep = QoSProfile(depth=1000)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        for kind, topic, take, profile in (
            (Clock, "/clock", self._on_clock, deep),
            (Image, "image", self._on_image, deep),
            (JointState, "joint_states", self._on_joints, QoSProfile(depth=1)),
            (JointState, "joint_commands", self._on_command, deep),
            (Float32, f"{SIM}/goal_distance", self._on_distance, deep),
            (Image, f"{PREDICTOR}/goal_image", self._on_goal, latched),
            (DiagnosticArray, f"{PREDICTOR}/planner_status", self._on_status, deep),
            (DiagnosticArray, f"{PREDICTOR}/window_info", self._on_window, deep),
            (Image, f"{PREDICTOR}/predicted_latents", self._on_latents, deep),
            (Float32, f"{PREDICTOR}/prediction_error", self._on_error, deep),
            (String, f"{PREDICTOR}/latent_info", self._on_info, latched),
        ):
            self.create_subscription(kind, topic, take, profile)

    # -- what comes

    def _on_clock(self, message: Clock) -> None:
        before_ns, self.now_ns = self.now_ns, stamp_to_ns(message.clock)
        self.stands_still = before_ns == self.now_ns

    def _on_image(self, message: Image) -> None:
        if self._is_of_episode(message):
            self.pictures[stamp_to_ns(message.header.stamp)] = pixels(message)

    def _on_joints(self, message: JointState) -> None:
        if self._is_of_episode(message):
            self._joints = message

    def _on_command(self, message: JointState) -> None:
        if self._is_of_episode(message):
            self._commanded = message

    def _is_of_episode(self, message: Image | JointState) -> bool:
        return stamp_to_ns(message.header.stamp) > self._ended_ns

    def _on_distance(self, message: Float32) -> None:
        self.distances.append(message.data)

    def _on_goal(self, message: Image) -> None:
        self.goal = pixels(message)

    def _on_status(self, message: DiagnosticArray) -> None:
        self.status = latents.read_window_info(message)
        self._known_goals.add(self.status.get("goal_stamp"))
        if self.status["state"] == "planned" and self.status["window_stamp"] not in self.plans:
            self.plans[self.status["window_stamp"]] = self.status
            self.on_plan(self.status)

    def _on_window(self, message: DiagnosticArray) -> None:
        self.windows.append(latents.read_window_info(message))

    def _on_error(self, message: Float32) -> None:
        self.errors.append(message.data)

    def _on_info(self, message: String) -> None:
        self.info = latents.read_info(message)
        self._read_latents()

    def _on_latents(self, message: Image) -> None:
        self._latents.append(message)
        self._read_latents()

    def _read_latents(self) -> None:
        if self.info:
            for message in self._latents:
                found = latents.read(message, self.info)
                self.forecasts[found.stamp_ns] = np.array(found.array[-1])
            self._latents.clear()

    # -- waiting and asking

    def need(self, is_there: Callable[[], Any], what: str, timeout_s: float = TIMEOUT_S) -> None:
        """Spin until something is there.

        Raises:
            NothingCame: if nothing goes on for so long, or one of the processes has ended.
        """
        since_s, seen = time.monotonic(), self._progress
        while not is_there():
            if trouble := self._is_well():
                raise NothingCame(trouble)
            if self._progress != seen:
                since_s, seen = time.monotonic(), self._progress
            if time.monotonic() > since_s + timeout_s:
                raise NothingCame(f"{what}, and nothing else for {timeout_s:.0f} s; the last status: {self.status}")
            self._spinner.spin_once(timeout_sec=0.05)

    @property
    def _progress(self) -> tuple[int, int, int]:
        """Changes where anything goes on."""
        return self.now_ns, len(self.pictures), len(self.windows)

    def settle(self, seconds: float) -> None:
        """Spin for a while."""
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            self._spinner.spin_once(timeout_sec=0.02)

    def ask(self, client: Any, request: Any) -> Any:
        """The answer of a service."""
        self.need(client.service_is_ready, f"the service {client.srv_name} did not appear")
        future = client.call_async(request)
        self.need(future.done, f"the service {client.srv_name} did not answer")
        return future.result()

    def trigger(self, name: str) -> str:
        """What ``reset``, ``draw_goal`` or ``push`` of the simulated robot say that they have done."""
        answer = self.ask(self._asking[f"{SIM}/{name}"], Trigger.Request())
        if not answer.success:
            raise NothingCame(f"{SIM}/{name}: {answer.message}")
        return str(answer.message)

    # -- what there is to do

    def connect(self) -> None:
        """Configure and activate the predictor, and wait until everybody hears everybody."""
        for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
            request = ChangeState.Request(transition=Transition(id=transition))
            if not self.ask(self._asking[f"{PREDICTOR}/change_state"], request).success:
                raise NothingCame("the predictor could not be configured and activated")
        # On joint_commands the two nodes and this one.
        for topic, listeners in (("image", 2), ("joint_states", 2), ("joint_commands", 3)):
            self.need(partial(self._is_heard, topic, listeners), f"not all listen to {topic}")
        for topic in ("planner_status", "predicted_latents", "window_info"):
            self.need(partial(self.count_publishers, f"{PREDICTOR}/{topic}"), f"nobody sends {topic}")
        self.need(lambda: self.info and self.now_ns, "nothing came")
        self.settle(0.5)

    def _is_heard(self, topic: str, listeners: int) -> bool:
        return bool(self.count_subscribers(topic) >= listeners)

    def begin(self, **parameters: Any) -> None:
        """Begin an episode of the simulated robot, and have it stay until there is a window.

        Args:
            parameters: of ``panda_sim``, that it begins with.
        """
        if parameters:
            wanted = [Parameter(name, value=value).to_parameter_msg() for name, value in parameters.items()]
            results = self.ask(self._asking[f"{SIM}/set_parameters"], SetParameters.Request(parameters=wanted)).results
            if not all(result.successful for result in results):
                raise NothingCame(f"{SIM} does not take {parameters}: {[result.reason for result in results]}")
        # Before the reset: what the episode begins with may come sooner than the answer. Its time begins after all
        # that has come so far, and what is older counts for nothing.
        for kept in (self.pictures, self.plans, self.forecasts):
            kept.clear()
        self._ended_ns, self._goal_since_ns, self._commanded, self._joints = self.now_ns, 0, None, None
        self.trigger("reset")
        self.need(lambda: len(self.pictures) >= 2, "no frames")
        self.need(lambda: self._joints is not None, "no joints")
        first_ns, frames = min(self.pictures), int(self.info["num_frames"])
        # As in the recordings: where it stands, from one frame before the first, then one command for each step.
        for frame in range(-1, frames, STEP_NS // FRAME_NS):
            self.stay(first_ns + frame * FRAME_NS)
        last_ns = first_ns + (frames - 1) * FRAME_NS
        self.need(lambda: last_ns in self.forecasts, "no window")
        self.need(lambda: self.now_ns == last_ns + STEP_NS, "its time does not go on")

    def stay(self, at_ns: int) -> None:
        """Command that it stays where it was sent last, or where it is."""
        self.command(at_ns, self.joints)

    @property
    def joints(self) -> NDArray[np.float64]:
        """(7,) where the arm was sent last, or, before that, where it is; in rad."""
        known = self._commanded or self._joints
        assert known is not None
        by_name = dict(zip(known.name, known.position, strict=True))
        return np.array([by_name[name] for name in self.info["joint_names"]])

    def command(self, at_ns: int, joints: NDArray[np.float64]) -> None:
        """Send the arm to (7,) joints in rad, from a time on."""
        message = JointState(name=self.info["joint_names"], position=joints.tolist())
        set_stamp(message.header.stamp, at_ns)
        self._commands.publish(message)

    def draw_goal(self) -> float:
        """Have a goal drawn, while the time stands still; m from the tip to it, once the planner knows it."""
        at_ns, self.goal = self.now_ns, None
        if not self._goal_since_ns:
            self.distances.clear()
        said = self.trigger("draw_goal")
        self._goal_since_ns = self._goal_since_ns or at_ns
        self.need(lambda: at_ns in self._known_goals, "the planner does not know the goal")
        self.need(lambda: self.goal is not None, "no goal image came")
        found = re.search(r"([0-9.]+) m from the tip, at \[(.*)\] m", said)
        assert found is not None, said
        self.goal_place = np.array([float(number) for number in found[2].split(", ")])
        return float(found[1])

    def execute(self) -> None:
        """Switch execution on."""
        answer = self.ask(self._asking[f"{PREDICTOR}/execute"], SetBool.Request(data=True))
        if not answer.success:
            raise NothingCame(f"execution could not be switched on: {answer.message}")
        self.need(lambda: self.status["executing"], "execution is not on")

    def distance_m(self, at_ns: int) -> float | None:
        """From the tip to the goal at a frame; None before it has come."""
        index = (at_ns - self._goal_since_ns) // FRAME_NS - 1
        return self.distances[index] if self._goal_since_ns and 0 <= index < len(self.distances) else None


def pixels(message: Image) -> NDArray[np.uint8]:
    """(h, w, 3) of an rgb8 image."""
    return np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)
