"""The benchmark's robot: starts the node as a process, brings it to active, feeds it, and notes when latents arrive.

    python -m benchmarks.robot '{"module": "benchmarks.measured_node", "parameters": {...}, ...}'

What it has noted it prints as one line of JSON. With ``--bare`` it is the bare publisher instead, which has no model
and answers every request with a message of the asked size.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float64MultiArray

from vjepa_ros import latents
from vjepa_ros.ros import qos

TIMEOUT_S = 60.0
JOINTS = [f"joint_{number}" for number in range(7)]
COMMANDS_PER_FRAME, COMMAND_PERIOD_S = 10, 0.002
PAUSE_S = 0.02
WINDOW_FRAMES, HOP = 16, 2


class BenchRobot(Node):
    """Sends frames and joints, one window at a time, and notes the arrival of what comes of them, in ns."""

    def __init__(self, namespace: str) -> None:
        super().__init__("bench_robot", namespace=namespace)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)
        self._change_state = self.create_client(ChangeState, "vjepa_predictor/change_state")
        self._images = self.create_publisher(Image, "image", QoSProfile(depth=5))
        self._commands = self.create_publisher(JointState, "joint_commands", QoSProfile(depth=1000))
        self._states = self.create_publisher(JointState, "joint_states", QoSProfile(depth=1000))
        self._requests = self.create_publisher(Float64MultiArray, "bare_request", QoSProfile(depth=10))
        self.arrived_ns: dict[int, int] = {}
        self.compute_ms: dict[int, float] = {}
        self.bare_ns: list[int] = []
        self.latent_bytes = 0
        prefix = "vjepa_predictor"
        self.create_subscription(Image, f"{prefix}/predicted_latents", self._on_latents, qos.LATENTS())
        self.create_subscription(DiagnosticArray, f"{prefix}/window_info", self._on_window, qos.WINDOW_INFO())
        self.create_subscription(Image, "bare", self._on_bare, qos.LATENTS())

    def _on_latents(self, message: Image) -> None:
        now_ns = time.time_ns()
        self.arrived_ns[_stamp_ns(message)] = now_ns
        self.latent_bytes = len(message.data)

    def _on_window(self, message: DiagnosticArray) -> None:
        self.compute_ms[_stamp_ns(message)] = latents.read_window_info(message)["compute_ms"]

    def _on_bare(self, message: Image) -> None:
        self.bare_ns.append(time.time_ns() - _stamp_ns(message))

    def spin(self, until: Callable[[], bool], timeout_s: float = TIMEOUT_S) -> bool:
        """Spin until something holds; whether it did in time."""
        end_s = time.monotonic() + timeout_s
        while not until():
            if time.monotonic() > end_s:
                return False
            self._executor.spin_once(timeout_sec=0.005)
        return True

    def bring_up(self) -> None:
        """Configure and activate the node, as soon as it can be asked to."""
        self._need(self._change_state.service_is_ready, "the node did not start")
        for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
            request = ChangeState.Request(transition=Transition(id=transition))
            future = self._change_state.call_async(request)
            self._need(future.done, "the node did not answer")
            if not future.result().success:
                raise RuntimeError("the node could not be configured and activated")

    def connect(self) -> None:
        """Wait until everybody knows everybody."""
        inputs = (self._images, self._commands, self._states)
        self._need(lambda: all(publisher.get_subscription_count() == 1 for publisher in inputs), "no inputs")
        self._need(lambda: self.count_publishers("vjepa_predictor/predicted_latents") == 1, "no latents")
        self._need(lambda: self._requests.get_subscription_count() == 1, "no bare publisher")
        self._need(lambda: self.count_publishers("bare") == 1, "no bare publisher")
        self.spin(lambda: False, 0.3)  # the other side must have found this one as well

    def drive(self, windows: int, width: int, height: int) -> dict[int, int]:
        """Send so many windows' frames; each window is waited for, and followed by a bare message of the same size.

        Returns:
            The stamp and the time of sending of each frame that ended a window.
        """
        image = Image(height=height, width=width, encoding="rgb8", step=width * 3)
        image.data.frombytes(np.random.default_rng(0).integers(0, 256, height * width * 3, np.uint8).tobytes())
        ended: dict[int, int] = {}
        for number in range(WINDOW_FRAMES + HOP * (windows - 1)):
            stamp_ns = time.time_ns()
            for before in reversed(range(COMMANDS_PER_FRAME)):
                # The last one is stamped as the frame and comes before it: no window has to wait for its commands.
                self._send_joints(stamp_ns - before * 1_000)
                self.spin(lambda: False, COMMAND_PERIOD_S)
            self.spin(lambda: False, PAUSE_S)
            _stamp(image, stamp_ns)
            sent_ns = time.time_ns()
            self._images.publish(image)
            if number >= WINDOW_FRAMES - 1 and (number - WINDOW_FRAMES + 1) % HOP == 0:
                ended[stamp_ns] = sent_ns
                self._need(lambda: stamp_ns in self.arrived_ns and stamp_ns in self.compute_ms, "no latents")  # noqa: B023
                self._ask_for_bare()
            else:
                self.spin(lambda: False, PAUSE_S)
        return ended

    def _ask_for_bare(self) -> None:
        count = len(self.bare_ns)
        self._requests.publish(Float64MultiArray(data=[float(self.latent_bytes)]))
        self._need(lambda: len(self.bare_ns) > count, "no bare message")

    def _send_joints(self, stamp_ns: int) -> None:
        for publisher in (self._commands, self._states):
            publisher.publish(_stamp(JointState(name=JOINTS, position=[0.1] * len(JOINTS)), stamp_ns))

    def _need(self, condition: Callable[[], bool], otherwise: str) -> None:
        if not self.spin(condition):
            raise RuntimeError(f"{otherwise}, for {TIMEOUT_S:g} s")


def _stamp(message: Any, stamp_ns: int) -> Any:
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 10**9)
    return message


def _stamp_ns(message: Any) -> int:
    return int(message.header.stamp.sec) * 10**9 + int(message.header.stamp.nanosec)


def bare(namespace: str) -> None:
    """Answer each request for a message of some bytes; its stamp is the time right before it was published."""
    rclpy.init()
    node = rclpy.create_node("bench_bare", namespace=namespace)
    publisher = node.create_publisher(Image, "bare", qos.LATENTS())
    message = Image()

    def answer(request: Float64MultiArray) -> None:
        wanted = int(request.data[0])
        if len(message.data) != wanted:
            del message.data[:]
            message.data.frombytes(bytes(wanted))
        publisher.publish(_stamp(message, time.time_ns()))

    node.create_subscription(Float64MultiArray, "bare_request", answer, QoSProfile(depth=10))
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        while os.getppid() != 1:  # as long as the robot lives
            executor.spin_once(timeout_sec=0.5)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        _leave(node)


def _leave(node: Node) -> None:
    """End without leaving the middleware's shared memory behind."""
    node.destroy_node()
    rclpy.try_shutdown()


def robot(options: dict[str, Any]) -> dict[str, Any]:
    """Start the node, bring it up, drive it, let it rest, end it.

    Args:
        options: ``module`` to run, its ``parameters``, the number of ``windows`` (0: only bring it up) and the image's
            ``width`` and ``height``.
    """
    namespace = f"/bench_{os.getpid()}"
    rclpy.init()
    node = BenchRobot(namespace)
    # Every frame is taken, however long a window takes that is waited for.
    values = {"joint_names": f"[{', '.join(JOINTS)}]", "frame_rate": 0.0, "window.max_gap_s": 60.0, "hop": HOP}
    values |= options["parameters"]
    # A lost frame would only be a window that is waited for in vain.
    values[f"qos_overrides.{namespace}/image.subscription.reliability"] = "reliable"
    arguments = [part for name, value in values.items() for part in ("-p", f"{name}:={value}")]
    command = [sys.executable, "-m", options["module"], "--ros-args", "-r", f"__ns:={namespace}", *arguments]
    started_ns = time.time_ns()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    publisher = None
    ended: dict[int, int] = {}
    try:
        node.bring_up()
        active_ns = time.time_ns()
        if options["windows"]:
            publisher = subprocess.Popen([sys.executable, "-m", __spec__.name, "--bare", namespace])
            node.connect()
            ended = node.drive(options["windows"], options["width"], options["height"])
        node.spin(lambda: False, 1.0)  # at rest
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=TIMEOUT_S)
    except Exception:
        process.kill()
        sys.stderr.buffer.write(process.communicate()[1][-4000:])
        raise
    finally:
        if publisher is not None:
            publisher.send_signal(signal.SIGINT)
            publisher.wait(TIMEOUT_S)
        _leave(node)
    return {
        "start_ns": active_ns - started_ns,
        "rest_kb": int(status.split("RssAnon:")[1].split()[0]),
        "sent_ns": ended,
        "arrived_ns": node.arrived_ns,
        "compute_ms": node.compute_ms,
        "bare_ns": node.bare_ns,
        "latent_bytes": node.latent_bytes,
        "node": json.loads(out.splitlines()[-1]) if options["windows"] else None,
    }


def main() -> None:
    """One of the two."""
    if sys.argv[1] == "--bare":
        bare(sys.argv[2])
    else:
        print(json.dumps(robot(json.loads(sys.argv[1]))), flush=True)


if __name__ == "__main__":
    main()
