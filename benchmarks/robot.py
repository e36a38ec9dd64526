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
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Float64MultiArray
from support.harness import parameter_arguments
from support.messages import JOINTS, joint_message, rgb8, stamp_ns, stamped
from support.robot import RobotNode

from vjepa_ros import latents
from vjepa_ros.ros import qos

TIMEOUT_S = 60.0
COMMANDS_PER_FRAME, COMMAND_PERIOD_S = 10, 0.002
PAUSE_S = 0.02
WINDOW_FRAMES, HOP = 16, 2


class BenchRobot(RobotNode):
    """Sends frames and joints, one window at a time, and notes the arrival of what comes of them, in ns."""

    timeout_s = TIMEOUT_S
    poll_s = 0.005

    def __init__(self, namespace: str) -> None:
        super().__init__("bench_robot", QoSProfile(depth=5), namespace)
        self._change_state = self.create_client(ChangeState, "vjepa_predictor/change_state")
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
        self.arrived_ns[stamp_ns(message)] = now_ns
        self.latent_bytes = len(message.data)

    def _on_window(self, message: DiagnosticArray) -> None:
        self.compute_ms[stamp_ns(message)] = latents.read_window_info(message)["compute_ms"]

    def _on_bare(self, message: Image) -> None:
        self.bare_ns.append(time.time_ns() - stamp_ns(message))

    def bring_up(self) -> None:
        """Configure and activate the node, as soon as it can be asked to."""
        self.need(self._change_state.service_is_ready, "the node did not start")
        for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
            request = ChangeState.Request(transition=Transition(id=transition))
            if not self.ask(self._change_state, request).success:
                raise RuntimeError("the node could not be configured and activated")

    def connect(self) -> None:
        """Wait until everybody knows everybody."""
        self.need_listeners(self.images, self.commands, self.states, self._requests)
        self.need(lambda: self.count_publishers("vjepa_predictor/predicted_latents") == 1, "no latents")
        self.need(lambda: self.count_publishers("bare") == 1, "no bare publisher")
        self.settle(0.3)  # the other side must have found this one as well

    def drive(self, windows: int, width: int, height: int) -> dict[int, int]:
        """Send the frames of this many windows; each is waited for, and followed by a bare message of the same size.

        Returns:
            The stamp and the time of sending of each frame that ended a window.
        """
        image = rgb8(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))
        ended: dict[int, int] = {}
        for number in range(WINDOW_FRAMES + HOP * (windows - 1)):
            now_ns = time.time_ns()
            for before in reversed(range(COMMANDS_PER_FRAME)):
                # The last one is stamped as the frame and comes before it: no window has to wait for its commands.
                self._send_joints(now_ns - before * 1_000)
                self.settle(COMMAND_PERIOD_S)
            self.settle(PAUSE_S)
            stamped(image, now_ns)
            sent_ns = time.time_ns()
            self.images.publish(image)
            if number >= WINDOW_FRAMES - 1 and (number - WINDOW_FRAMES + 1) % HOP == 0:
                ended[now_ns] = sent_ns
                self.need(lambda: now_ns in self.arrived_ns and now_ns in self.compute_ms, "no latents")  # noqa: B023
                self._ask_for_bare()
            else:
                self.settle(PAUSE_S)
        return ended

    def cpu_per_command_us(self, pid: int, count: int) -> float:
        """CPU time that a process takes for each of so many commands that are sent to it, 2 ms apart."""
        self.need_listeners(self.commands)
        self.settle(1.0)
        before_s = cpu_s(pid)
        for _ in range(count):
            self.commands.publish(joint_message(time.time_ns(), JOINTS, [0.1] * len(JOINTS)))
            time.sleep(COMMAND_PERIOD_S)
        self.settle(0.3)
        return (cpu_s(pid) - before_s) / count * 1e6

    def _ask_for_bare(self) -> None:
        count = len(self.bare_ns)
        self._requests.publish(Float64MultiArray(data=[float(self.latent_bytes)]))
        self.need(lambda: len(self.bare_ns) > count, "no bare message")

    def _send_joints(self, stamp_ns: int) -> None:
        for publisher in (self.commands, self.states):
            publisher.publish(joint_message(stamp_ns, JOINTS, [0.1] * len(JOINTS)))


def cpu_s(pid: int) -> float:
    """CPU time of a process so far."""
    _, fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rsplit(")", 1)
    return sum(map(int, fields.split()[11:13])) / os.sysconf("SC_CLK_TCK")


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
        publisher.publish(stamped(message, time.time_ns()))

    node.create_subscription(Float64MultiArray, "bare_request", answer, QoSProfile(depth=10))
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        while os.getppid() != 1:  # as long as the robot lives
            executor.spin_once(timeout_sec=0.5)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()  # nothing of the middleware's shared memory stays behind
        rclpy.try_shutdown()


def robot(options: dict[str, Any]) -> dict[str, Any]:
    """Start the node, bring it up, drive it, let it rest, end it.

    Args:
        options: ``module`` to run, its ``parameters``, the number of ``windows`` (0: only bring it up), the image's
            ``width`` and ``height``, the number of ``commands`` whose CPU time is measured, and the ``executor`` of a
            bare subscription, which is brought up by nobody (empty: a node).
    """
    namespace = f"/bench_{os.getpid()}"
    rclpy.init()
    node = BenchRobot(namespace)
    # Every frame is taken, however long a window takes that is waited for.
    values: dict[str, Any] = {"joint_names": JOINTS, "frame_rate": 0.0, "window.max_gap_s": 60.0, "hop": HOP}
    values |= options["parameters"]
    # A lost frame would only be a window that is waited for in vain.
    values[f"qos_overrides.{namespace}/image.subscription.reliability"] = "reliable"
    values[f"qos_overrides.{namespace}/image.subscription.depth"] = 100
    arguments = ["-r", f"__ns:={namespace}", *parameter_arguments(values)]
    command = [sys.executable, "-m", options["module"], *options["executor"].split(), "--ros-args", *arguments]
    started_ns = time.time_ns()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    publisher = None
    ended: dict[int, int] = {}
    command_us = 0.0
    try:
        if not options["executor"]:
            node.bring_up()
        active_ns = time.time_ns()
        if options["windows"]:
            publisher = subprocess.Popen([sys.executable, "-m", __spec__.name, "--bare", namespace])
            node.connect()
            ended = node.drive(options["windows"], options["width"], options["height"])
        if options["commands"]:
            command_us = node.cpu_per_command_us(process.pid, options["commands"])
        node.settle(1.0)  # at rest
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
        node.close()  # nothing of the middleware's shared memory stays behind
        rclpy.try_shutdown()
    return {
        "start_ns": active_ns - started_ns,
        "rest_kb": int(status.split("RssAnon:")[1].split()[0]),
        "command_us": command_us,
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
