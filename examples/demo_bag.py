"""The whole way on a recorded robot: a player, the predictor node and a planner, each in a process of its own.

The player publishes a recorded Franka Panda in real time, the node predicts, and this program subscribes as a planner
would: it prints a line per window, a table, a picture (demo_bag.png) and, last, one line of JSON. It ends with a
non-zero status and a reason if a window is missing or differs from what the rules of time (docs/time.md) say:
vjepa_replay makes the windows of the same recording without a node, and not one number may be another.

    python -m examples.demo_bag [--rate 1.0] [--frame-rate 0.0] [--picture demo_bag.png]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
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
BAG = ROOT / "examples" / "data" / "panda_pick"
CAMERA, COMMANDS, STATES = "/camera/image_raw/compressed", "/joint_commands", "/joint_states"
PARAMS = ROOT / "config" / "predictor.yaml"
COMPARED = ("frame_stamps", "step_stamps", "actions", "states")
PREDICTOR = "/vjepa_predictor"
START_TIMEOUT_S = 60.0
QUIET_S = 10.0  # without a window for this long, no more are expected
PICTURE_WINDOWS = 6


def settings(frame_rate: float) -> dict[str, Any]:
    """The parameters besides those of the file, for the node and for vjepa_replay alike."""
    return {"preset": "tiny_random", "queue": "all", "frame_rate": frame_rate}


def start_predictor(frame_rate: float) -> subprocess.Popen[bytes]:
    """The node in its own process; reliable and lossless, because a replay wants every window."""
    parameters = {
        **settings(frame_rate),
        "image_transport": "compressed",
        "time.max_skew_s": 1e9,  # it is known that the recording is not of now
        "actions.max_wait_s": 60.0,  # on a busy machine messages come late; every one of them will
        f"qos_overrides.{CAMERA}.subscription.reliability": "reliable",
        f"qos_overrides.{CAMERA}.subscription.depth": 1000,
        f"qos_overrides.{STATES}.subscription.reliability": "reliable",
    }
    command = [sys.executable, "-m", "vjepa_ros.ros.main", "--ros-args", "--params-file", str(PARAMS)]
    command += ["-r", f"image/compressed:={CAMERA}"]
    for name, value in parameters.items():
        command += ["-p", f"{name}:={value}"]
    return subprocess.Popen(command, cwd=ROOT)


def expected_windows(frame_rate: float) -> list[dict[str, Any]]:
    """The windows of the recording by the rules of time: made by vjepa_replay, without a node and without a clock.

    Returns:
        For each its ``frame_stamps`` and ``step_stamps`` in ns, and the ``actions`` and ``states`` of its steps.
    """
    with tempfile.TemporaryDirectory() as folder:
        dump = Path(folder) / "windows.jsonl"
        command = [sys.executable, "-m", "vjepa_ros.commands.replay", str(BAG), "--params", str(PARAMS)]
        command += ["-o", str(Path(folder) / "report"), "--windows-only", "--dump", str(dump)]
        command += ["--set", *(f"{name}={value}" for name, value in settings(frame_rate).items())]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"what to expect could not be found out: {done.stderr}")
        return [json.loads(line) for line in dump.read_text(encoding="utf-8").splitlines()]


class Run:
    """Spins the planner while the predictor node lives.

    Args:
        planner: subscribed to the node.
        predictor: the node's process.
    """

    def __init__(self, planner: Planner, predictor: subprocess.Popen[bytes]) -> None:
        self.planner = planner
        self._predictor = predictor
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(planner)

    def until(self, is_done: Callable[[], bool], timeout_s: float) -> bool:
        """Spin until something is done; False if it is not in time. Ends the program if the node has ended."""
        end_s = time.monotonic() + timeout_s
        while not is_done():
            if (status := self._predictor.poll()) is not None:
                sys.exit(f"the predictor node ended with status {status}; what it wrote above says why")
            if time.monotonic() > end_s:
                return False
            self._executor.spin_once(timeout_sec=0.1)
        return True

    def change_state(self, transition: int) -> None:
        """Take the predictor through one lifecycle transition."""
        client = self.planner.create_client(ChangeState, f"{PREDICTOR}/change_state")
        if not self.until(client.service_is_ready, START_TIMEOUT_S):
            sys.exit(f"the predictor node did not start within {START_TIMEOUT_S:.0f} s")
        future = client.call_async(ChangeState.Request(transition=Transition(id=transition)))
        if not self.until(future.done, START_TIMEOUT_S) or not future.result().success:
            sys.exit("the predictor node could not be configured and activated; its log says why")

    def listen(self, received: list[Received], player: subprocess.Popen[bytes], expected: int) -> None:
        """Spin until every window has come and the node has reported on itself, or nothing comes any more."""
        last_s, seen = time.monotonic(), 0

        def is_over() -> bool:
            nonlocal last_s, seen
            is_playing = player.poll() is None
            if len(received) > seen or is_playing:
                last_s, seen = time.monotonic(), len(received)
            return not is_playing and (len(received) >= expected or time.monotonic() - last_s > QUIET_S)

        self.until(is_over, float("inf"))
        self.planner.health.clear()
        self.until(lambda: {"stream", "model"} <= self.planner.health.keys(), 5.0)


def difference(received: list[Received], expected: list[dict[str, Any]]) -> str:
    """How the windows differ from the expected ones; empty if they do not."""
    if len(received) != len(expected):
        return f"{len(received)} windows came, {len(expected)} were expected"
    for number, (got, want) in enumerate(zip(received, expected, strict=True)):
        for key in COMPARED:
            if not np.array_equal(got.window[key], want[key]):
                return f"window {number} differs from the replay's in {key}"
        if got.latents.stamp_ns != want["frame_stamps"][-1]:
            return f"window {number} is not stamped like its newest frame"
    return ""


def model_name(info: dict[str, Any]) -> str:
    """The model and whether it is trained."""
    return f"{info['model']}, " + ("trained" if info["trained"] else "UNTRAINED (random weights)")


def print_window(console: Console, received: Received) -> None:
    """One line per window."""
    shape = " x ".join(map(str, received.latents.array.shape))
    stamp_s = received.latents.stamp_ns / 1e9
    number = received.window["window"]
    console.print(
        f"window {number:4d}   stamp {stamp_s:.3f} s   latents {shape}   latency {received.latency_ms:6.1f} ms"
    )


def report(console: Console, planner: Planner, windows: list[Received], rate: float) -> dict[str, Any]:
    """Print the table; give the figures of the last line."""
    latencies_ms = [received.latency_ms for received in windows]
    compute_ms = [received.window["compute_ms"] for received in windows]
    stream, model = planner.health.get("stream", {}), planner.health.get("model", {})
    dropped = sum(int(stream.get(key, -1)) for key in ("frames_out_of_order", "windows_skipped"))
    dropped += sum(int(model.get(key, -1)) for key in ("superseded", "outdated"))
    info = planner.info
    figures = {
        "windows": len(windows),
        "grid": info["grid"],
        "forecast_steps": info["steps"],
        "dim": info["dim"],
        "latency_ms_p50": round(float(np.median(latencies_ms)), 1),
        "late": int(stream.get("late", -1)),
        "dropped": dropped,
        "rejected": int(stream.get("rejected", -1)),
        "trained": info["trained"],
    }
    table = Table(title="vjepa_ros demo of a recorded robot", title_justify="left")
    table.add_column("what")
    table.add_column("figure", justify="right")
    rows = {
        "windows": figures["windows"],
        "model": model_name(info),
        "speed of the replay": f"{rate:g} x real time",
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
    if rate > 1:
        console.print(
            "Faster than real time, windows queue up for the model and none is dropped: these latencies hold\n"
            "that wait. What a robot would see is measured at --rate 1."
        )
    return figures


def write_picture(path: Path, info: dict[str, Any], windows: list[Received]) -> None:
    """A few windows: newest frame above, forecast below."""
    first_ns = windows[0].window["frame_stamps"][0]
    forecasts = np.stack([received.latents.array[-1] for received in windows])  # (windows, H', W', D)
    # Each position has a look of its own that hardly changes and would take all the colours.
    changes = forecasts - forecasts.mean(axis=0)
    tiles = []
    for index in np.linspace(0, len(windows) - 1, PICTURE_WINDOWS).astype(int):
        received = windows[index]
        frame_stamps = received.window["frame_stamps"]
        period_s = float(np.median(np.diff(frame_stamps))) / 1e9
        newest_s = (frame_stamps[-1] - first_ns) / 1e9
        # frames are counted from the window's start; its newest is the one before num_frames
        begin_s, end_s = (newest_s + (n - info["num_frames"] + 1) * period_s for n in info["forecast_frames"][-1])
        labels = f"frame at {newest_s:.2f} s", f"forecast of {begin_s:.2f} to {end_s:.2f} s"
        tiles.append(Tile(received.jpeg, changes[index], *labels))
    notice = "" if info["trained"] else "  -  UNTRAINED: the colours mean nothing yet"
    title = f"vjepa_ros {info['model']}: frames, and forecasts less each position's mean over the recording (PCA)"
    draw(path, title + notice, tiles)


def run(arguments: argparse.Namespace, predictor: subprocess.Popen[bytes]) -> str:
    """Everything between start and end of the node; gives what went wrong, if anything did."""
    console = Console(width=100, highlight=False)
    console.print(
        "A recorded Franka Panda goes through the predictor node, as a robot would. Three processes:\n"
        f"  player     publishes {BAG.relative_to(ROOT)} at {arguments.rate:g} x real time\n"
        f"  predictor  the node {PREDICTOR}: camera and joint commands in, predicted latents out\n"
        "  planner    this program: subscribes to the latents and prints a line per window"
    )
    expected = expected_windows(arguments.frame_rate)
    windows: list[Received] = []

    def on_window(received: Received) -> None:
        windows.append(received)
        print_window(console, received)

    planner = Planner(PREDICTOR, CAMERA, on_window)
    spin = Run(planner, predictor)
    spin.change_state(Transition.TRANSITION_CONFIGURE)
    spin.change_state(Transition.TRANSITION_ACTIVATE)
    if not spin.until(lambda: bool(planner.info), START_TIMEOUT_S):
        return "the predictor node is active, but its latent_info did not come"
    console.print(f"model: {model_name(planner.info)}")
    listeners = [f"{CAMERA}=2", f"{COMMANDS}=1", f"{STATES}=1"]
    command = [sys.executable, "-m", "examples.play_bag", str(BAG), "--rate", str(arguments.rate)]
    player = subprocess.Popen([*command, "--wait-for", *listeners], cwd=ROOT)
    try:
        spin.listen(windows, player, len(expected))
    finally:
        player.terminate()
        player.wait(timeout=20)
    if not windows:
        return f"no window came, {len(expected)} were expected (the player's status: {player.returncode})"
    windows.sort(key=lambda received: received.latents.stamp_ns)  # in the order of arrival they need not be
    figures = report(console, planner, windows, arguments.rate)
    write_picture(arguments.picture, planner.info, windows)
    console.print(f"picture: {arguments.picture}")
    print(json.dumps(figures), flush=True)
    return difference(windows, expected)


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=1.0, help="speed of the replay, times real time")
    parser.add_argument("--frame-rate", type=float, default=0.0, help="sampling rate in Hz; 0 takes every frame")
    parser.add_argument("--picture", type=Path, default=Path("demo_bag.png"))
    arguments = parser.parse_args()
    predictor = start_predictor(arguments.frame_rate)
    rclpy.init()
    try:
        problem = run(arguments, predictor)
    finally:
        rclpy.shutdown()
        predictor.terminate()
        predictor.wait(timeout=20)
    if problem:
        sys.exit(problem)


if __name__ == "__main__":
    main()
