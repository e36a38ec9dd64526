"""The whole way on a recorded robot: a player, the predictor node and a planner, each in a process of its own.

The player publishes a recorded Franka Panda in real time, the node predicts, and this program subscribes as a planner
would: it prints a line per window, a table, a picture (demo.png) and, last, one line of JSON. It ends with a non-zero
status and a reason if a window is missing or differs from what the rules of time (test/oracle.py) say.

    python -m examples.demo [--rate 1.0] [--frame-rate 0.0] [--picture demo.png]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

# Before rclpy is imported: nobody else's robot is to hear the demo, nor the demo anybody else's robot.
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ.setdefault("ROS_DOMAIN_ID", str(os.getpid() % 100 + 1))

import numpy as np
import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import SingleThreadedExecutor
from rich.console import Console
from rich.table import Table

from examples.picture import Tile, draw
from examples.planner import Planner, Received

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "test"))

import oracle  # noqa: E402
import recorded  # noqa: E402

PREDICTOR = "/vjepa_predictor"
START_TIMEOUT_S = 60.0
QUIET_S = 10.0  # without a window for this long, no more are expected
PICTURE_WINDOWS = 6


def start_predictor(frame_rate: float) -> subprocess.Popen[bytes]:
    """The node in its own process; reliable and lossless, because a replay wants every window."""
    parameters = {
        "image_transport": "compressed",
        "queue": "all",
        "frame_rate": frame_rate,
        f"qos_overrides.{recorded.CAMERA}.subscription.reliability": "reliable",
        f"qos_overrides.{recorded.CAMERA}.subscription.depth": 1000,
        f"qos_overrides.{recorded.STATES}.subscription.reliability": "reliable",
    }
    command = [sys.executable, "-m", "vjepa_ros.ros.main", "--ros-args"]
    command += ["--params-file", str(ROOT / "config" / "predictor.yaml")]
    command += ["-r", f"image/compressed:={recorded.CAMERA}"]
    for name, value in parameters.items():
        command += ["-p", f"{name}:={value}"]
    return subprocess.Popen(command, cwd=ROOT)


def change_state(planner: Planner, executor: SingleThreadedExecutor, transition: int) -> None:
    """Take the predictor through one lifecycle transition."""
    client = planner.create_client(ChangeState, f"{PREDICTOR}/change_state")
    if not client.wait_for_service(START_TIMEOUT_S):
        sys.exit("the predictor node did not start")
    future = client.call_async(ChangeState.Request(transition=Transition(id=transition)))
    executor.spin_until_future_complete(future, START_TIMEOUT_S)
    if not future.done() or not future.result().success:
        sys.exit("the predictor node could not be configured and activated; its log says why")


def listen(planner: Planner, executor: SingleThreadedExecutor, player: subprocess.Popen[bytes], expected: int) -> None:
    """Spin until every window has come and the node has reported on itself, or nothing comes any more."""
    last_s, seen = time.monotonic(), 0
    while len(planner.received) < expected or player.poll() is None:
        executor.spin_once(timeout_sec=0.1)
        if len(planner.received) > seen or player.poll() is None:
            last_s, seen = time.monotonic(), len(planner.received)
        if time.monotonic() - last_s > QUIET_S:
            break
    planner.health.clear()
    end_s = time.monotonic() + 5.0
    while "late" not in planner.health and time.monotonic() < end_s:
        executor.spin_once(timeout_sec=0.1)


def difference(received: list[Received], expected: list[dict[str, Any]]) -> str:
    """How the windows differ from the expected ones; empty if they do not."""
    if len(received) != len(expected):
        return f"{len(received)} windows came, {len(expected)} were expected"
    for number, (got, want) in enumerate(zip(received, expected, strict=True)):
        for key in ("frame_stamps", "step_stamps", "actions", "states"):
            if not np.array_equal(got.window[key], want[key]):
                return f"window {number} differs from the oracle in {key}"
        if got.latents.stamp_ns != want["frame_stamps"][-1]:
            return f"window {number} is not stamped like its newest frame"
    return ""


def print_window(console: Console, received: Received) -> None:
    """One line per window."""
    shape = " x ".join(map(str, received.latents.array.shape))
    stamp_s = received.latents.stamp_ns / 1e9
    number = received.window["window"]
    console.print(
        f"window {number:4d}   stamp {stamp_s:.3f} s   latents {shape}   latency {received.latency_ms:6.1f} ms"
    )


def report(console: Console, planner: Planner) -> dict[str, Any]:
    """Print the table; give the figures of the last line."""
    latencies_ms = [received.latency_ms for received in planner.received] or [float("nan")]
    compute_ms = [received.window["compute_ms"] for received in planner.received] or [float("nan")]
    health = {key: int(value) for key, value in planner.health.items() if value.isdigit()}
    dropped = sum(health.get(key, -1) for key in ("frames_out_of_order", "windows_skipped", "superseded", "outdated"))
    info = planner.info
    figures = {
        "windows": len(planner.received),
        "grid": info["grid"],
        "forecast_steps": info["steps"],
        "dim": info["dim"],
        "latency_ms_p50": round(float(np.median(latencies_ms)), 1),
        "late": health.get("late", -1),
        "dropped": dropped,
        "rejected": health.get("rejected", -1),
        "trained": info["trained"],
    }
    table = Table(title="vjepa_ros demo", title_justify="left")
    table.add_column("what")
    table.add_column("figure", justify="right")
    rows = {
        "windows": figures["windows"],
        "model": f"{info['model']}, " + ("trained" if info["trained"] else "UNTRAINED (random weights)"),
        "grid of a window (steps, rows, columns)": " x ".join(map(str, info["grid"])),
        "forecast steps, channels": f"{figures['forecast_steps']}, {figures['dim']}",
        "newest frame to latents, p50 / p95 / max": " / ".join(
            f"{np.percentile(latencies_ms, q):.1f}" for q in (50, 95, 100)
        )
        + " ms",
        "of which the model, p50": f"{np.median(compute_ms):.1f} ms",
        "late, dropped, rejected": f"{figures['late']}, {figures['dropped']}, {figures['rejected']}",
    }
    for what, figure in rows.items():
        table.add_row(what, str(figure))
    console.print(table)
    return figures


def write_picture(path: Path, planner: Planner) -> None:
    """A few windows: newest frame above, forecast below."""
    info = planner.info
    first_ns = min(planner.jpegs)
    tiles = []
    for index in np.linspace(0, len(planner.received) - 1, PICTURE_WINDOWS).astype(int):
        received = planner.received[index]
        frame_stamps = received.window["frame_stamps"]
        period_s = float(np.median(np.diff(frame_stamps))) / 1e9
        newest_s = (frame_stamps[-1] - first_ns) / 1e9
        # frames are counted from the window's start; its newest is the one before num_frames
        begin_s, end_s = (newest_s + (n - info["num_frames"] + 1) * period_s for n in info["forecast_frames"][-1])
        jpeg = planner.jpegs[received.latents.stamp_ns]
        labels = f"frame at {newest_s:.2f} s", f"forecast of {begin_s:.2f} to {end_s:.2f} s"
        tiles.append(Tile(jpeg, received.latents.array[-1], *labels))
    notice = "" if info["trained"] else "  -  UNTRAINED: random weights, the colours mean nothing yet"
    draw(path, f"vjepa_ros {info['model']}: camera frames, predicted latents (PCA){notice}", tiles)


def run(arguments: argparse.Namespace, predictor: subprocess.Popen[bytes]) -> str:
    """Everything between start and end of the node; gives what went wrong, if anything did."""
    console = Console(width=100, highlight=False)
    expected = oracle.windows(*recorded.oracle_lists(), **recorded.oracle_arguments(arguments.frame_rate))
    rclpy.init()
    planner = Planner(PREDICTOR, recorded.CAMERA, lambda received: print_window(console, received))
    executor = SingleThreadedExecutor()
    executor.add_node(planner)
    change_state(planner, executor, Transition.TRANSITION_CONFIGURE)
    change_state(planner, executor, Transition.TRANSITION_ACTIVATE)
    listeners = [f"{recorded.CAMERA}=2", f"{recorded.COMMANDS}=1", f"{recorded.STATES}=1"]
    command = [sys.executable, "-m", "examples.play_bag", str(recorded.BAG), "--rate", str(arguments.rate)]
    player = subprocess.Popen([*command, "--wait-for", *listeners], cwd=ROOT)
    try:
        listen(planner, executor, player, len(expected))
    finally:
        player.terminate()
    if not planner.received:
        return f"no window came, {len(expected)} were expected (player {player.wait()}, node {predictor.poll()})"
    figures = report(console, planner)
    write_picture(arguments.picture, planner)
    console.print(f"picture: {arguments.picture}")
    rclpy.shutdown()
    print(json.dumps(figures), flush=True)
    return difference(planner.received, expected)


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=1.0, help="speed of the replay, times real time")
    parser.add_argument("--frame-rate", type=float, default=0.0, help="sampling rate in Hz; 0 takes every frame")
    parser.add_argument("--picture", type=Path, default=Path("demo.png"))
    arguments = parser.parse_args()
    predictor = start_predictor(arguments.frame_rate)
    try:
        problem = run(arguments, predictor)
    finally:
        predictor.terminate()
        predictor.wait(timeout=20)
    if problem:
        sys.exit(problem)


if __name__ == "__main__":
    main()
