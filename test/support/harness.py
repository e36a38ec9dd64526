"""The real node in its own process, and a robot and planner to talk to it over the real middleware."""

from __future__ import annotations

import fcntl
import signal
import subprocess
import sys
import termios
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.srv import DescribeParameters, GetParameters, SetParameters
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import String
from std_srvs.srv import Trigger

from support.messages import JOINTS, MS, T0_NS, image_message, joint_message, stamp_ns
from support.robot import TIMEOUT_S, RobotNode
from vjepa_ros import latents

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


def parameter_arguments(values: Mapping[str, Any]) -> list[str]:
    """ROS arguments that give parameters to a node."""
    texts = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in values.items()}
    return [part for name, text in texts.items() for part in ("-p", f"{name}:={text}")]


def _take_terminal() -> None:
    """Make stdin the controlling terminal of this process, the first of its session."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Predictor:
    """The predictor node as a process, with its log.

    Args:
        log: file for what it prints.
        parameters: by name, besides the seven joints, CPU and reliable inputs.
        arguments: further ROS arguments.
        program: what Python runs.
        terminal: the process's controlling terminal, which then gets what it prints; None: the log gets it.
    """

    def __init__(
        self,
        log: Path,
        parameters: dict[str, Any] | None = None,
        arguments: tuple[str, ...] = (),
        program: Sequence[str] = ("-m", "vjepa_ros.ros.main"),
        terminal: int | None = None,
    ) -> None:
        values: dict[str, Any] = {"joint_names": JOINTS, "device": "cpu", "queue": "all", "threads": 1, **RELIABLE}
        values |= {"actions.max_wait_s": 10.0, **DEEP}  # neither a slow robot nor a slow planner is under test
        values.update(parameters or {})
        values = {name: value for name, value in values.items() if value is not None}
        command = [sys.executable, *program, "--ros-args", *parameter_arguments(values)]
        self._log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [*command, *arguments],
                stdin=terminal,
                stdout=out if terminal is None else terminal,
                stderr=subprocess.STDOUT,
                start_new_session=terminal is not None,
                preexec_fn=None if terminal is None else _take_terminal,
            )

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


class Robot(RobotNode):
    """Publishes frames and joints, calls the predictor's services, keeps what it publishes.

    Args:
        predictor: full name of the predictor.
        namespace: of the robot and its topics.
    """

    commands: Any  # of another type after command_by

    def __init__(self, predictor: str = "/vjepa_predictor", namespace: str = "") -> None:
        deep = QoSProfile(depth=1000)
        super().__init__("robot", deep, namespace)
        self.predictor = predictor
        self._clients_by_name: dict[str, Any] = {}
        self._parameters_before: dict[str, ParameterMessage] = {}
        self.jpegs = self.create_publisher(CompressedImage, "image/compressed", deep)
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
        self._latents: Any = None
        self.listen()
        self.create_subscription(Image, f"{predictor}/context_latents", self.contexts.append, deep)
        self.create_subscription(DiagnosticArray, f"{predictor}/window_info", self._on_window, deep)
        self.create_subscription(String, f"{predictor}/latent_info", self._on_info, latched)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def listen(self) -> None:
        """Subscribe to the predicted latents, as from the start on."""
        topic = f"{self.predictor}/predicted_latents"
        self._latents = self.create_subscription(Image, topic, self.predicted.append, QoSProfile(depth=1000))

    def do_not_listen(self) -> None:
        """Subscribe to the predicted latents no longer, until :meth:`listen` or :meth:`put_back`."""
        self.destroy_subscription(self._latents)
        self._latents = None

    def command_by(self, kind: type) -> None:
        """Publish commands of a type, until :meth:`put_back`; the predictor must not be subscribed."""
        self.destroy_publisher(self.commands)  # the middleware does not allow one participant two types on a topic
        self.commands = self.create_publisher(kind, "joint_commands", QoSProfile(depth=1000))

    def _on_window(self, message: DiagnosticArray) -> None:
        self.window_messages.append(message)
        self.windows.append(latents.read_window_info(message))

    def _on_info(self, message: String) -> None:
        self.info = latents.read_info(message)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self.diagnosed_ns = stamp_ns(message)
        for status in message.status:
            self.diagnostics[status.name] = {pair.key: pair.value for pair in status.values}
            self.levels[status.name] = status.level
            self.messages[status.name] = status.message

    def disconnect(self) -> None:
        """Wait until it is known that the predictor, not active, listens no more: the next one is another listener."""
        senders = (self.commands, self.states, self.images, self.jpegs)
        still = f"still one who listens to {', '.join(publisher.topic_name for publisher in senders)}"
        self.need(lambda: sum(publisher.get_subscription_count() for publisher in senders) == 0, still)

    def reactivate(self) -> None:
        """Deactivate and activate; both sides know each other anew."""
        assert self.change_state(Transition.TRANSITION_DEACTIVATE)
        self.disconnect()
        assert self.change_state(Transition.TRANSITION_ACTIVATE)
        self.connect()

    def connect(self) -> None:
        """Wait until the predictor listens and both sides know each other."""
        self.need_listeners(self.commands, self.states)
        frames = (self.images, self.jpegs)
        self.need(lambda: sum(p.get_subscription_count() for p in frames) == 1, "no frame is subscribed")
        self.need(lambda: self.count_publishers(f"{self.predictor}/predicted_latents") == 1, "no latents")
        self.settle(0.2)

    # -- services

    def call(self, kind: type, name: str, request: Any) -> Any:
        """Call one of the predictor's services."""
        if name not in self._clients_by_name:
            client = self._clients_by_name[name] = self.create_client(kind, f"{self.predictor}/{name}")
            assert client.wait_for_service(TIMEOUT_S), f"{name} did not appear"
            self.settle(0.1)  # an answer sent before the node knows the client is lost
        return self.ask(self._clients_by_name[name], request)

    def change_state(self, transition: int) -> bool:
        """Request a lifecycle transition."""
        return bool(
            self.call(ChangeState, "change_state", ChangeState.Request(transition=Transition(id=transition))).success
        )

    def state(self) -> str:
        """The node's lifecycle state."""
        return str(self.call(GetState, "get_state", GetState.Request()).current_state.label)

    def set_parameters(self, **values: Any) -> list[tuple[bool, str]]:
        """Set parameters until :meth:`put_back`; double underscores stand for dots."""
        messages = [
            Parameter(name.replace("__", "."), value=value).to_parameter_msg() for name, value in values.items()
        ]
        self._remember([message.name for message in messages if message.name not in self._parameters_before])
        return self._set(messages)

    def _remember(self, names: list[str]) -> None:
        """Keep the values that parameters have now."""
        found = self.call(GetParameters, "get_parameters", GetParameters.Request(names=names)).values
        for name, value in zip(names, found, strict=True):
            self._parameters_before[name] = ParameterMessage(name=name, value=value)

    def _set(self, messages: Iterable[ParameterMessage]) -> list[tuple[bool, str]]:
        results = self.call(SetParameters, "set_parameters", SetParameters.Request(parameters=list(messages))).results
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
        self.disconnect()
        if values:
            assert all(ok for ok, _ in self.set_parameters(**values))
        assert self.change_state(Transition.TRANSITION_CONFIGURE)
        assert self.change_state(Transition.TRANSITION_ACTIVATE)
        self.connect()
        self.need(lambda: bool(self.info), "no latent_info")
        for received in (self.predicted, self.contexts, self.windows, self.window_messages):
            received.clear()

    def stop(self) -> None:
        """To unconfigured."""
        if self.state() == "active":
            assert self.change_state(Transition.TRANSITION_DEACTIVATE)
        if self.state() == "inactive":
            assert self.change_state(Transition.TRANSITION_CLEANUP)

    def put_back(self) -> None:
        """As before anything was set: the predictor unconfigured, with its first parameters; the robot as it began."""
        self.stop()
        if self.commands.msg_type is not JointState:
            self.command_by(JointState)
        if self._latents is None:
            self.listen()
        results = self._set(self._parameters_before.values())
        assert all(ok for ok, _ in results), results
        self._parameters_before.clear()
        for received in (self.predicted, self.contexts, self.windows, self.window_messages):
            received.clear()
        for said in (self.info, self.diagnostics, self.levels, self.messages):
            said.clear()

    @contextmanager
    def borrowed(self) -> Iterator[None]:
        """For one test: whatever it did to the predictor, or subscribed and published besides, is undone after it."""
        own = {*self.publishers, *self.subscriptions}
        try:
            yield
        finally:
            self.put_back()
            for publisher in {*self.publishers} - own - {self.commands}:
                self.destroy_publisher(publisher)
            for subscription in {*self.subscriptions} - own - {self._latents}:
                self.destroy_subscription(subscription)

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


@contextmanager
def ending_well(predictor: Predictor, robot: Robot) -> Iterator[None]:
    """A node and a robot of one test: the node ends when asked to, with nothing to regret, and both are gone then."""
    try:
        yield
        assert predictor.stop() == 0, predictor.log
        assert "Traceback" not in predictor.log
    finally:
        predictor.process.kill()
        robot.close()
