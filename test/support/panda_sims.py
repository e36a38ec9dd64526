"""The node ``panda_sim`` as a process, and somebody who looks at it, commands it and calls its services."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rcl_interfaces.srv import DescribeParameters, SetParameters
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Float32, String
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from support.harness import parameter_arguments
from support.messages import JOINTS, S, joint_message, stamped
from support.robot import TIMEOUT_S, WaitingNode
from vjepa_ros.units import stamp_to_ns


class PandaSim:
    """The process, with its log.

    Args:
        log: file for what it prints.
        parameters: by name.
        arguments: further ROS arguments.
    """

    def __init__(self, log: Path, parameters: dict[str, Any] | None = None, arguments: tuple[str, ...] = ()) -> None:
        command = [
            sys.executable,
            "-m",
            "vjepa_ros.ros.panda_sim",
            "--ros-args",
            *parameter_arguments(parameters or {}),
        ]
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


class Operator(WaitingNode):
    """Keeps what the simulated robot publishes, and commands it.

    Args:
        namespace: of the simulated robot.
        commands: type of the commands.
        files: whether it looks at ``image/compressed``.

    Attributes:
        pictures, files, states, times, distances, goals, descriptions: the messages that came.
        commands: the publisher.
    """

    def __init__(self, namespace: str = "", commands: type = JointState, files: bool = False) -> None:
        super().__init__("operator", namespace)
        deep = QoSProfile(depth=1000)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.pictures: list[Image] = []
        self.files: list[CompressedImage] = []
        self.states: list[JointState] = []
        self.times: list[Clock] = []
        self.distances: list[Float32] = []
        self.goals: list[Image] = []
        self.descriptions: list[String] = []
        self.commands = self.create_publisher(commands, "joint_commands", deep)
        self.create_subscription(Image, "image", self.pictures.append, deep)
        if files:
            self.create_subscription(CompressedImage, "image/compressed", self.files.append, deep)
        self.create_subscription(JointState, "joint_states", self.states.append, deep)
        self.create_subscription(Clock, "/clock", self.times.append, deep)
        self.create_subscription(Float32, "panda_sim/goal_distance", self.distances.append, deep)
        self.create_subscription(Image, "panda_sim/goal_image", self.goals.append, latched)
        self.create_subscription(String, "robot_description", self.descriptions.append, latched)
        self._asking = {
            name: self.create_client(Trigger, f"panda_sim/{name}") for name in ("reset", "push", "draw_goal")
        }
        self._setting = self.create_client(SetParameters, "panda_sim/set_parameters")
        self._describing = self.create_client(DescribeParameters, "panda_sim/describe_parameters")

    def connect(self, listeners: int = 1) -> None:
        """Wait until both sides know each other, and as many as that hear the commands."""
        clients = (*self._asking.values(), self._setting, self._describing)
        self.need(lambda: all(client.service_is_ready() for client in clients), "no services")
        self.need(lambda: self.commands.get_subscription_count() == listeners, f"not {listeners} hear the commands")
        self.need(lambda: bool((self.times or self.states) and self.descriptions), "nothing came")
        self.settle(0.2)

    @property
    def time_ns(self) -> int:
        """The newest time on /clock; 0 before the first."""
        return stamp_to_ns(self.times[-1].clock) if self.times else 0

    def call(self, name: str) -> str:
        """What one of its services says of what it has done."""
        answer = self.ask(self._asking[name], Trigger.Request())
        assert answer.success, answer.message
        return str(answer.message)

    def set(self, **values: Any) -> list[tuple[bool, str]]:
        """Set parameters; double underscores stand for dots."""
        wanted = [Parameter(name.replace("__", "."), value=value).to_parameter_msg() for name, value in values.items()]
        results = self.ask(self._setting, SetParameters.Request(parameters=wanted)).results
        return [(result.successful, result.reason) for result in results]

    def describe(self, names: Sequence[str]) -> list[Any]:
        """Parameter descriptors."""
        return list(self.ask(self._describing, DescribeParameters.Request(names=names)).descriptors)

    def send(self, at_ns: int, names: Sequence[str], positions: Sequence[float]) -> None:
        """A JointState to obey."""
        self.commands.publish(joint_message(at_ns, names, positions))

    def clear(self) -> None:
        """Forget what came."""
        for kept in (self.pictures, self.files, self.states, self.times, self.distances, self.goals):
            kept.clear()


def pixels_of(message: Image) -> np.ndarray:
    """(h, w, 3) of an rgb8 image."""
    assert (message.encoding, message.step, message.is_bigendian) == ("rgb8", 3 * message.width, 0)
    return np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)


def place_in(said: str) -> np.ndarray:
    """The place that an answer names, in m."""
    return np.array([float(number) for number in re.findall(r"\[(.*)\] m", said)[0].split(", ")])


def trajectory_message(at_ns: int, *points: tuple[float, np.ndarray]) -> JointTrajectory:
    """A trajectory of the arm's joints, by (seconds, joints) of each point."""
    message = stamped(JointTrajectory(joint_names=list(JOINTS)), at_ns)
    for seconds, joints in points:
        point = JointTrajectoryPoint(positions=joints.tolist())
        point.time_from_start.sec, point.time_from_start.nanosec = divmod(round(seconds * S), S)
        message.points.append(point)
    return message
