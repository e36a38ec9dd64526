"""Load: a robot in another process sends for minutes, and what arrives, how fast and in how much memory is reported.

    tools/run.sh -m benchmarks.soak --seconds 600                                   # 30 Hz 640x480, 500 Hz commands
    tools/run.sh -m benchmarks.soak --seconds 60 --size 1280x720 --hz 60 --command-hz 1000
    tools/run.sh -m benchmarks.soak --seconds 60 --costly                           # every second image a hostile one
    tools/run.sh -m benchmarks.soak --large 600                                     # 6.4 MB messages at 10 Hz

The figures stand as JSON in the last line. With ``--check`` the exit status says whether they are what they should be.
It measures the machine that it runs on, and whatever else runs there.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from support.harness import Predictor, Robot
from support.messages import stamp_ns
from support.robot import RobotNode

from benchmarks.load import NODE, require_listeners, send
from vjepa_ros import latents
from vjepa_ros.ros import qos

THIS = (sys.executable, "-m", "benchmarks.soak")
PROFILE = Path(__file__).resolve().parents[1] / "config" / "fastdds.xml"
PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")  # Fast DDS 2 and 3
STREAM, MODEL, TOPICS = (f"{NODE}: {part}" for part in ("stream", "model", "topics"))
LARGE_SHAPE = (1, 32, 49, 1024)  # 6.4 MB of float32
LARGE_HZ = 10.0
MIN_COMMANDS, MIN_IMAGES, MAX_P99_MS, MAX_GROWTH_MB = 0.99, 0.97, 25.0, 20.0
MAX_WORST_MS = 100.0  # of any callback, where files come that hold up decoders
MIN_SENT = 0.99  # of seconds times rate: what was not sent is not seen to be lost
MIN_COMPUTED_HZ = 1.0  # below that, load was not measured beside a model at work


def require_success(sender: Any) -> None:
    """End here where the sender could not do its part; it has said why."""
    if sender.returncode != 0:
        sys.exit(f"the sender ended with {sender.returncode}")


def soak(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run node and robot; the figures."""
    os.environ.update(dict.fromkeys(PROFILE_VARIABLES, str(PROFILE)))
    reliability = "reliable" if arguments.reliable else "best_effort"
    parameters: dict[str, Any] = {"queue": "latest", "threads": 1, "states.source": "commands"}
    for topic in ("/image", "/image/compressed"):  # a test's node has deep queues, which keep whatever waits there
        parameters[f"qos_overrides.{topic}.subscription.reliability"] = reliability
        parameters[f"qos_overrides.{topic}.subscription.depth"] = 30 if arguments.reliable else 5
    if arguments.costly:
        parameters |= {"image_transport": "compressed"}
    width, height = map(int, arguments.size.split("x"))
    rclpy.init()
    with tempfile.TemporaryDirectory() as folder:
        predictor = Predictor(Path(folder) / "log.txt", parameters)
        robot = Robot()
        try:
            robot.destroy_publisher(robot.images)  # only to be seen to be there
            robot.destroy_publisher(robot.jpegs)
            assert robot.change_state(1) and robot.change_state(3), predictor.log  # configure, activate
            shape = [str(value) for value in (arguments.seconds, width, height, arguments.hz, arguments.command_hz)]
            sender = subprocess.Popen(
                [
                    *THIS,
                    "--send",
                    *shape,
                    *(str(int(f)) for f in (arguments.reliable, arguments.costly, arguments.paced)),
                ],
                stdout=subprocess.PIPE,
            )
            figures = _watch(predictor, robot, sender, arguments)
            assert predictor.stop() == 0, predictor.log
        finally:
            predictor.process.kill()
            robot.close()
            rclpy.shutdown()
    return figures


def _watch(predictor: Predictor, robot: Robot, sender: Any, arguments: argparse.Namespace) -> dict[str, Any]:
    memory_mb: list[tuple[float, float]] = []
    worst_ms: dict[str, float] = {}
    longest_ms: dict[str, float] = {}
    started_s = time.monotonic()
    while sender.poll() is None:
        robot.settle(1.0)
        memory_mb.append((time.monotonic() - started_s, resident_mb(predictor.process.pid)))
        for key, value in robot.diagnostics.get(TOPICS, {}).items():
            kind = key.split()[0]
            if kind in ("callback_p99_ms", "callback_max_ms") and memory_mb[-1][0] > 10.0:
                topic = key.split()[1]
                known = worst_ms if kind == "callback_p99_ms" else longest_ms
                known[topic] = max(known.get(topic, 0.0), float(value))
        robot.predicted.clear()
        robot.windows.clear()
        robot.window_messages.clear()
    require_success(sender)
    robot.diagnostics.clear()
    assert robot.spin(lambda: {STREAM, MODEL, TOPICS} <= robot.diagnostics.keys())
    robot.settle(2.5)  # the last report comes after the last message
    sent = json.loads(sender.stdout.read())
    if arguments.paced:  # all of it must come, however slow the machine is
        robot.spin(lambda: _is_done(robot, sent))
    stream, model = robot.diagnostics[STREAM], robot.diagnostics[MODEL]
    slower = max(1.0, memory_mb[-1][0] / arguments.seconds) if arguments.paced else 1.0
    settled = [megabytes for at_s, megabytes in memory_mb if at_s >= arguments.settle * slower]
    return {
        "seconds": arguments.seconds,
        "hz": arguments.hz,
        "command_hz": arguments.command_hz,
        "images_sent": sent["images"],
        "images_share": round(int(stream["frames"]) / max(1, sent["images"]), 5),
        "commands_sent": sent["commands"],
        "commands_share": round(int(stream["commands"]) / max(1, sent["commands"]), 5),
        "callback_p99_ms": {topic: round(ms, 2) for topic, ms in worst_ms.items()},
        "callback_max_ms": {topic: round(ms, 2) for topic, ms in longest_ms.items()},
        "rejected": int(stream["rejected"]),
        "windows": int(stream["windows"]),
        "computed": int(model["done"]),
        "superseded": int(model["superseded"]),
        "compute_ms": float(model["compute_ms"]),
        "memory_mb": round(memory_mb[-1][1], 1),
        "memory_growth_mb": round(statistics.median(settled[-5:]) - statistics.median(settled[:5]), 2),
        "load_average": os.getloadavg()[0],
    }


def _is_done(robot: Robot, sent: dict[str, int]) -> bool:
    """Whether all that was sent was taken in, and nothing waits for the model."""
    stream, model = robot.diagnostics[STREAM], robot.diagnostics[MODEL]
    taken = int(stream["frames"]) >= sent["images"] and int(stream["commands"]) >= sent["commands"]
    return taken and int(stream["windows"]) == int(model["done"]) + int(model["superseded"])


def resident_mb(pid: int) -> float:
    """Memory of a process that is its own, in MB: shared memory of the middleware counts when it is first touched."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(status.split("RssAnon:")[1].split()[0]) / 1e3


def send_large(count: int) -> None:
    """Latent messages of 6.4 MB, as the node publishes them."""
    rclpy.init()
    robot = RobotNode("large", QoSProfile(depth=5))
    publisher = robot.create_publisher(Image, "large_latents", qos.LATENTS())
    require_listeners(robot, publisher)
    values = np.random.default_rng(0).standard_normal(LARGE_SHAPE, np.float32)
    for number in range(count):
        sent_s = time.monotonic()
        values[0, 0, 0, 0] = values[-1, -1, -1, -1] = number
        publisher.publish(latents.write(Image(), latents.Latents(values, number + 1, "camera")))
        time.sleep(max(0.0, sent_s + 1 / LARGE_HZ - time.monotonic()))  # never two at once, however late one was
    print(json.dumps({"segment_mb": segment_mb()}), flush=True)
    time.sleep(2.0)
    robot.close()
    rclpy.shutdown()


def segment_mb() -> float:
    """The largest piece of the middleware's shared memory that this process has mapped, in MB."""
    sizes = [0]
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        if "/dev/shm/fast" in line:
            first, _, end = line.split()[0].partition("-")
            sizes.append(int(end, 16) - int(first, 16))
    return round(max(sizes) / 1e6, 1)


def large(count: int, with_profile: bool) -> dict[str, Any]:
    """Receive large messages from another process; how many came whole."""
    if with_profile:
        os.environ.update(dict.fromkeys(PROFILE_VARIABLES, str(PROFILE)))
    rclpy.init()
    node = rclpy.create_node("planner")
    numbers: list[int] = []

    def take(message: Image) -> None:
        values = np.frombuffer(message.data, np.float32)
        if values[0] == values[-1] == stamp_ns(message) - 1:
            numbers.append(int(values[0]))

    node.create_subscription(Image, "large_latents", take, QoSProfile(depth=10))
    sender = subprocess.Popen([*THIS, "--send-large", str(count)], stdout=subprocess.PIPE)
    while sender.poll() is None:
        rclpy.spin_once(node, timeout_sec=0.1)
    require_success(sender)
    assert sender.stdout is not None
    own_mb = segment_mb()
    node.destroy_node()
    rclpy.shutdown()
    return {
        "sent": count,
        "lost": count - len(set(numbers)),
        "megabytes": round(math.prod(LARGE_SHAPE) * 4 / 1e6, 2),
        "segment_mb": own_mb,
        "sender": json.loads(sender.stdout.read()),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--settle", type=float, default=60.0, help="memory counts from here on, in seconds")
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--hz", type=float, default=30.0)
    parser.add_argument("--command-hz", type=float, default=500.0)
    parser.add_argument(
        "--costly", action="store_true", help="JPEG files, and between them such as end or hold up decoders"
    )
    parser.add_argument("--reliable", action="store_true", help="images too, instead of best effort as by default")
    parser.add_argument("--paced", action="store_true", help="wait for the node, so that nothing may be lost")
    parser.add_argument("--large", type=int, help="send this many latent messages of 6.4 MB instead")
    parser.add_argument(
        "--without-profile", action="store_true", help="of Fast DDS, with --large: to see the difference"
    )
    parser.add_argument("--check", action="store_true", help="fail where a figure is not what it should be")
    parser.add_argument("--send", nargs=8, help=argparse.SUPPRESS)
    parser.add_argument("--send-large", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.paced and arguments.costly:
        parser.error("--paced waits for frames, and costly ones may be refused")
    if arguments.send:
        seconds, width, height, hz, command_hz, *flags = arguments.send
        reliable, costly, paced = (bool(int(flag)) for flag in flags)
        send(float(seconds), int(width), int(height), float(hz), float(command_hz), reliable, costly, paced)
        return 0
    if arguments.send_large:
        send_large(arguments.send_large)
        return 0
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    figures = large(arguments.large, not arguments.without_profile) if arguments.large else soak(arguments)
    print(json.dumps(figures), flush=True)
    return 1 if arguments.check and failures(figures) else 0


def failures(figures: dict[str, Any]) -> list[str]:
    """The figures that are not as they should be, by name; printed."""
    if "lost" in figures:
        limits = [("lost", figures["lost"] == 0)]
    else:
        seconds, slowest_ms = figures["seconds"], figures["callback_p99_ms"]
        limits = [
            ("images_sent", figures["images_sent"] >= MIN_SENT * seconds * figures["hz"]),
            ("commands_sent", figures["commands_sent"] >= MIN_SENT * seconds * figures["command_hz"]),
            ("commands_share", figures["commands_share"] >= MIN_COMMANDS),
            ("images_share", figures["images_share"] >= MIN_IMAGES),
            ("computed", figures["computed"] >= MIN_COMPUTED_HZ * seconds),
            ("callback_p99_ms", len(slowest_ms) == 2 and max(slowest_ms.values()) <= MAX_P99_MS),
            ("callback_max_ms", not figures["rejected"] or max(figures["callback_max_ms"].values()) <= MAX_WORST_MS),
            ("memory_growth_mb", figures["memory_growth_mb"] < MAX_GROWTH_MB),
        ]
    failed = [name for name, holds in limits if not holds]
    for name in failed:
        print(f"{name}: {figures[name]} is not as it should be", file=sys.stderr)
    return failed


if __name__ == "__main__":
    sys.exit(main())
