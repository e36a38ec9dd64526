"""The real node in its own process, and a robot and planner to talk to it over the real middleware."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import DescribeParameters, SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import String
from std_srvs.srv import Trigger

from vjepa_ros import latents

TIMEOUT_S = 30.0
JOINTS = [f"panda_joint{number}" for number in range(1, 8)]
MS = 1_000_000
T0_NS = 1_700_000_000_000_000_000
RELIABLE = {
    f"qos_overrides.{topic}.subscription.{policy}": value
    for topic in ("/image", "/image/compressed", "/joint_states", "/robot/image", "/robot/joint_states")
    for policy, value in (("reliability", "reliable"), ("depth", 1000))
}


DEEP = {
    f"qos_overrides./vjepa_predictor/{topic}.publisher.depth": 1000
    for topic in (
        "predicted_latents",
        "context_latents",
        "window_info",
        "prediction_error",
        "no_change_error",
        "candidate_energies",
        "candidate_info",
    )  # fmt: skip
}


class Predictor:
    """The predictor node as a process, with its log.

    Args:
        log: file for what it prints.
        parameters: by name, besides the seven joints, CPU and reliable inputs.
        arguments: further ROS arguments.
        program: what Python runs.
    """

    def __init__(
        self,
        log: Path,
        parameters: dict[str, Any] | None = None,
        arguments: tuple[str, ...] = (),
        program: Sequence[str] = ("-m", "vjepa_ros.ros.main"),
    ) -> None:
        values: dict[str, Any] = {"joint_names": JOINTS, "device": "cpu", "queue": "all", "threads": 1, **RELIABLE}
        values |= {"actions.max_wait_s": 10.0, **DEEP}  # neither a slow robot nor a slow planner is under test
        values.update(parameters or {})
        values = {name: value for name, value in values.items() if value is not None}
        command = [sys.executable, *program, "--ros-args"]
        for name, value in values.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            command += ["-p", f"{name}:={text}"]
        self._log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen([*command, *arguments], stdout=out, stderr=subprocess.STDOUT)

    @property
    def log(self) -> str:
        """Everything printed so far."""
        return self._log.read_text(errors="replace")

    def stop(self, signal_: int = signal.SIGINT) -> int:
        """Interrupt the process; its exit status."""
        self.process.send_signal(signal_)
        try:
            return self.process.wait(TIMEOUT_S)
        finally:
            self.process.kill()


class Robot(Node):
    """Publishes frames and joints, calls the predictor's services, keeps what it publishes."""

    def __init__(self, predictor: str = "/vjepa_predictor", prefix: str = "") -> None:
        super().__init__("robot")
        self.predictor = predictor
        self._clients_by_name: dict[str, Any] = {}
        self.executor_ = SingleThreadedExecutor()
        self.executor_.add_node(self)
        deep = QoSProfile(depth=1000)
        self.images = self.create_publisher(Image, f"{prefix}/image", deep)
        self.jpegs = self.create_publisher(CompressedImage, f"{prefix}/image/compressed", deep)
        self.commands = self.create_publisher(JointState, f"{prefix}/joint_commands", deep)
        self.states = self.create_publisher(JointState, f"{prefix}/joint_states", deep)
        self.predicted: list[Image] = []
        self.contexts: list[Image] = []
        self.windows: list[dict[str, Any]] = []
        self.window_messages: list[DiagnosticArray] = []
        self.info: dict[str, Any] = {}
        self.diagnostics: dict[str, dict[str, str]] = {}
        self.levels: dict[str, bytes] = {}
        self.messages: dict[str, str] = {}
        self.diagnosed_ns = 0  # when that was, by the predictor's clock
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.create_subscription(Image, f"{predictor}/predicted_latents", self.predicted.append, deep)
        self.create_subscription(Image, f"{predictor}/context_latents", self.contexts.append, deep)
        self.create_subscription(DiagnosticArray, f"{predictor}/window_info", self._on_window, deep)
        self.create_subscription(String, f"{predictor}/latent_info", self._on_info, latched)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def _on_window(self, message: DiagnosticArray) -> None:
        self.window_messages.append(message)
        self.windows.append(latents.read_window_info(message))

    def _on_info(self, message: String) -> None:
        self.info = latents.read_info(message)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self.diagnosed_ns = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        for status in message.status:
            self.diagnostics[status.name] = {pair.key: pair.value for pair in status.values}
            self.levels[status.name] = status.level
            self.messages[status.name] = status.message

    # -- waiting

    def spin(self, until: Callable[[], bool], timeout_s: float = TIMEOUT_S) -> bool:
        """Spin until something holds; whether it did in time."""
        end_s = time.monotonic() + timeout_s
        while not until():
            if time.monotonic() > end_s:
                return False
            self.executor_.spin_once(timeout_sec=0.02)
        return True

    def settle(self, seconds: float = 0.5) -> None:
        """Spin for a while, so that what should not come has the time to come."""
        self.spin(lambda: False, seconds)

    def connect(self) -> None:
        """Wait until the predictor listens and both sides know each other."""
        publishers = [self.commands, self.states]
        assert self.spin(lambda: all(p.get_subscription_count() == 1 for p in publishers)), "joints are not subscribed"
        frames = (self.images, self.jpegs)
        assert self.spin(lambda: sum(p.get_subscription_count() for p in frames) == 1), "no frame is subscribed"
        assert self.spin(lambda: self.count_publishers(f"{self.predictor}/predicted_latents") == 1)
        self.settle(0.2)

    # -- services

    def call(self, kind: type, name: str, request: Any) -> Any:
        """Call one of the predictor's services."""
        if name not in self._clients_by_name:
            client = self._clients_by_name[name] = self.create_client(kind, f"{self.predictor}/{name}")
            assert client.wait_for_service(TIMEOUT_S), f"{name} did not appear"
            self.settle(0.1)  # an answer sent before the node knows the client is lost
        future = self._clients_by_name[name].call_async(request)
        assert self.spin(future.done), f"{name} did not answer"
        return future.result()

    def change_state(self, transition: int) -> bool:
        """Request a lifecycle transition."""
        return bool(
            self.call(ChangeState, "change_state", ChangeState.Request(transition=Transition(id=transition))).success
        )

    def state(self) -> str:
        """The node's lifecycle state."""
        return str(self.call(GetState, "get_state", GetState.Request()).current_state.label)

    def set_parameters(self, **values: Any) -> list[tuple[bool, str]]:
        """Set parameters; double underscores stand for dots."""
        messages = [
            Parameter(name.replace("__", "."), value=value).to_parameter_msg() for name, value in values.items()
        ]
        results = self.call(SetParameters, "set_parameters", SetParameters.Request(parameters=messages)).results
        return [(result.successful, result.reason) for result in results]

    def describe(self, *names: str) -> list[Any]:
        """Parameter descriptors."""
        return list(
            self.call(DescribeParameters, "describe_parameters", DescribeParameters.Request(names=names)).descriptors
        )

    def reset(self) -> tuple[bool, str]:
        """Call ~/reset."""
        response = self.call(Trigger, "reset", Trigger.Request())
        return response.success, response.message

    def start(self, **values: Any) -> None:
        """From whatever state, configure with these parameters and activate."""
        self.stop()
        if values:
            assert all(ok for ok, _ in self.set_parameters(**values))
        assert self.change_state(Transition.TRANSITION_CONFIGURE)
        assert self.change_state(Transition.TRANSITION_ACTIVATE)
        self.connect()
        for received in (self.predicted, self.contexts, self.windows, self.window_messages):
            received.clear()

    def stop(self) -> None:
        """To unconfigured."""
        if self.state() == "active":
            assert self.change_state(Transition.TRANSITION_DEACTIVATE)
        if self.state() == "inactive":
            assert self.change_state(Transition.TRANSITION_CLEANUP)

    # -- what a robot sends

    def send_joints(self, stamp_ns: int, number: float) -> None:
        """A command and a state whose joints are number + 0.01 i and -number - 0.01 i."""
        values = [number + 0.01 * index for index in range(7)]
        self.commands.publish(joint_message(stamp_ns, JOINTS, values))
        self.states.publish(
            joint_message(stamp_ns, ["gripper", *reversed(JOINTS)], [9.0, *(-v for v in reversed(values))])
        )

    def send_frames(self, first: int, count: int, t0_ns: int = T0_NS, period_ns: int = 50 * MS) -> None:
        """Frames ``first`` to ``first + count - 1`` with a command and a state at each."""
        for index in range(first, first + count):
            stamp_ns = t0_ns + index * period_ns
            self.send_joints(stamp_ns, float(index))
            self.images.publish(image_message(stamp_ns, index))
            self.executor_.spin_once(timeout_sec=0.0)


def stamped(message: Any, stamp_ns: int, frame_id: str = "camera") -> Any:
    """The message with its header filled."""
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 10**9)
    message.header.frame_id = frame_id
    return message


def joint_message(stamp_ns: int, names: list[str], values: list[float]) -> JointState:
    """A joint state or command."""
    return stamped(JointState(name=names, position=[float(value) for value in values]), stamp_ns, "base")


def pixels(index: int, height: int = 48, width: int = 64) -> np.ndarray:
    """An RGB picture that differs from frame to frame, (height, width, 3) uint8."""
    y, x = np.mgrid[:height, :width]
    return np.stack([(x * 4 + index * 7) % 256, (y * 5) % 256, (x + y + index) % 256], -1).astype(np.uint8)


def image_message(stamp_ns: int, index: int) -> Image:
    """An rgb8 image."""
    picture = pixels(index)
    message = stamped(Image(height=picture.shape[0], width=picture.shape[1], encoding="rgb8"), stamp_ns)
    message.step = picture.shape[1] * 3
    message.data.frombytes(picture.tobytes())
    return message
