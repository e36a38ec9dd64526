"""What there is around the model: the node's overhead, CPU time, start and memory, measured between processes.

It starts the processes (:mod:`benchmarks.robot` and the node that the robot starts) and works out their notes.
No ROS here. All processes read one machine's clock.
"""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

import vjepa_ros
from benchmarks.memory import MB, peak_of, status_mb
from vjepa_ros.config.presets import config_folder, model_config
from vjepa_ros.errors import EngineError
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.planning.solvers import Options

PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")  # Fast DDS 2 and 3
WIDTH, HEIGHT = 640, 480  # px
COMMANDS = 1500  # 2 ms apart
TIMEOUT_S = 900.0  # a big model has to be drawn and loaded

ALLOWED_OVERHEAD_MS, FRAME_CPU_MS, COMMAND_CPU_US, START_RATIO, MEMORY_RATIO = 5.0, 2.0, 50.0, 1.5, 1.2
PLAN_S = 0.5  # on 2 cores
PARTS = 8  # of the imports, by name

LARGE: dict[str, Any] = {"preset": "vitl", "encoder_depth": 1, "predictor_depth": 1, "latents.steps": "all"}
"""Latents of 6.4 MB from a model that is quick for its size."""

BARE_IMPORTS = "import torch, rclpy; print('there', flush=True)"
BARE_PROCESS = """
import torch, rclpy
rclpy.init()
node = rclpy.create_node("bare")
print("there", flush=True)
input()
node.destroy_node()
rclpy.shutdown()
"""


@dataclass(frozen=True)
class Extent:
    """How much is measured.

    Attributes:
        windows: per run of the node.
        starts: how often node and bare imports are started.
        layers: of the big model whose memory is measured; None for all, 0 to leave it and the large latents out.
    """

    windows: int
    starts: int
    layers: int | None


def measure_node(names: set[str], extent: Extent) -> Iterator[dict[str, Any]]:
    """The figures of ``node``, ``commands``, ``start``, ``memory``, ``imports`` and ``plan``, those that are asked for.

    Yields:
        Each with ``name``, ``what``, ``value`` and ``unit``, ``goal`` (None: for information) and, in ``from``, the
        figures that the value was made of.

    Raises:
        EngineError: where a process did not do what it should.
    """
    tiny = {"preset": "tiny_random"}
    notes = _robot(tiny, extent.windows) if names & {"node", "memory"} else {}
    if "node" in names:
        yield from node_figures("tiny_random", notes)
        if extent.layers != 0:
            yield from node_figures("6.4 MB of latents", _robot(LARGE, extent.windows))
    if "commands" in names:
        yield commands_figure(extent.starts, COMMANDS if extent.layers != 0 else 100)
    if "start" in names:
        yield start_figure(extent.starts)
    if "memory" in names:
        yield memory_figure("tiny_random", tiny, notes["rest_kb"])
        if extent.layers != 0:
            depth = {} if extent.layers is None else dict.fromkeys(("encoder_depth", "predictor_depth"), extent.layers)
            vitl = {"preset": "vitl", **depth}
            yield memory_figure("vitl", vitl, _robot(vitl, 2)["rest_kb"])
    if "imports" in names:
        yield imports_figure(_output("benchmarks.imports"))
    if "plan" in names:
        yield plan_figure(extent.windows)


def node_figures(what: str, notes: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Overhead and CPU time out of the notes of a robot and its node."""
    overheads_ms, latencies_ms, waits_ms = [], [], []
    node = notes["node"]
    for stamp, sent_ns in notes["sent_ns"].items():
        frame_ns, resolved_ns, arrived_ns = (
            node["frames_ns"][stamp],
            node["resolved_ns"][stamp],
            notes["arrived_ns"][stamp],
        )
        waited_ms = max(0, resolved_ns - frame_ns) / 1e6
        compute_ms = notes["compute_ms"][stamp]
        waits_ms.append(waited_ms)
        overheads_ms.append((arrived_ns - frame_ns) / 1e6 - waited_ms - compute_ms)
        latencies_ms.append((arrived_ns - sent_ns) / 1e6)
    bare_ms = statistics.median(notes["bare_ns"]) / 1e6
    yield figure(
        "node-overhead", f"node overhead, {what}", statistics.median(overheads_ms), "ms",
        ALLOWED_OVERHEAD_MS + 2 * bare_ms, bare_publish_ms=bare_ms, worst_ms=max(overheads_ms),
        wait_ms=statistics.median(waits_ms), model_ms=statistics.median(notes["compute_ms"].values()),
        frame_sent_to_latents_ms=statistics.median(latencies_ms), windows=len(overheads_ms),
        message_bytes=notes["latent_bytes"],
    )  # fmt: skip
    cpu_ns = node["cpu_ns"]
    for topic, name, per, unit, goal in (
        ("image", "node-frame-cpu", 1e6, "ms", FRAME_CPU_MS),
        ("joint_commands", "node-command-cpu", 1e3, "us", COMMAND_CPU_US),
    ):
        what_of = f"CPU per {WIDTH}x{HEIGHT} frame" if topic == "image" else "CPU per command"
        values = [value / per for value in cpu_ns[topic]]
        yield figure(
            name, f"{what_of}, {what}", statistics.median(values), unit, goal, mean=statistics.fmean(values),
            worst=max(values), messages=len(values),
        )  # fmt: skip


def start_figure(starts: int) -> dict[str, Any]:
    """Start to active of the preset tiny_random over the bare imports, in turns, after once for the file system."""
    node_s: list[float] = []
    bare_s: list[float] = []
    for _ in range(starts + 1):
        bare_s.append(_bare_imports_s())
        node_s.append(_robot({"preset": "tiny_random"}, 0, "vjepa_ros.ros.main")["start_ns"] / 1e9)
    node, bare = statistics.median(node_s[1:]), statistics.median(bare_s[1:])
    return figure(
        "start", "start to active, tiny_random, over import torch, rclpy", node / bare, "x", START_RATIO,
        node_s=node, bare_s=bare, starts=starts,
    )  # fmt: skip


def commands_figure(rounds: int, count: int) -> dict[str, Any]:
    """CPU time of the whole process of an active node per command, beside that of a bare subscription, in turns.

    The bare one is spun by rclpy's executor of one thread and, where there is one, by its events executor.
    """
    bare = ("single", *(["events"] if importlib.util.find_spec("rclpy.experimental") else []))
    us: dict[str, list[float]] = {executor: [] for executor in ("", *bare)}
    for _ in range(rounds):
        for executor, found in us.items():
            module = "benchmarks.bare_commands" if executor else "vjepa_ros.ros.main"
            notes = _robot({"preset": "tiny_random"}, 0, module, commands=count, executor=executor)
            found.append(notes["command_us"])
    medians = {executor: statistics.median(found) for executor, found in us.items()}
    return figure(
        "command-process-cpu", "CPU of the whole process per command, tiny_random", medians[""], "us", None,
        **{f"bare_{executor}_us": medians[executor] for executor in bare}, commands=count, rounds=rounds,
    )  # fmt: skip


def memory_figure(what: str, parameters: Mapping[str, Any], rest_kb: int) -> dict[str, Any]:
    """Memory of an active node that has published and rests, above a bare process, over weights and activations."""
    rest_mb, bare_mb = rest_kb * 1024 / MB, _bare_process_mb()
    sizes = {name: value for name, value in parameters.items() if name != "preset"}
    config = model_config(parameters["preset"], **sizes)
    with torch.device("meta"):
        modules = (Encoder(config), Predictor(config))
    weights_mb = sum(parameter.nbytes for module in modules for parameter in module.parameters()) / MB
    model = vjepa_ros.load(parameters["preset"], **sizes)
    model.warm_up()
    _, activations_mb = peak_of(model.warm_up, torch.device("cpu"))
    return figure(
        "memory", f"memory at rest, {what}, over weights and activations",
        (rest_mb - bare_mb) / (weights_mb + activations_mb), "x", MEMORY_RATIO,
        rest_mb=rest_mb, bare_mb=bare_mb, weights_mb=weights_mb, activations_mb=activations_mb,
    )  # fmt: skip


def imports_figure(notes: Mapping[str, Any]) -> dict[str, Any]:
    """What an active node has imported besides torch and rclpy: the whole, and the parts that take the most memory."""
    own = sorted(notes["own"].items(), key=lambda item: -item[1][0])
    made_of = {f"{part}_{unit}": cost for part, costs in own[:PARTS]
               for unit, cost in zip(("mb", "cpu_ms"), costs, strict=True)}  # fmt: skip
    return figure(
        "imports", "imports besides torch and rclpy, tiny_random", sum(mb for _, (mb, _) in own), "MB", None,
        cpu_ms=sum(cpu_ms for _, (_, cpu_ms) in own), modules=notes["modules"], **made_of,
    )  # fmt: skip


def plan_figure(plans: int) -> dict[str, Any]:
    """How long ``vjepa_ros.plan`` takes with the preset tiny_random, solver and all, after one to warm up.

    A plan of 5 steps by the cross-entropy method: 64 candidates, 4 iterations.
    """
    model = vjepa_ros.load("tiny_random")
    random, config = np.random.default_rng(0), model.config
    frames = random.integers(0, 256, (config.num_frames + 1, 120, 160, 3), np.uint8)
    context, steps = model.encode(model.preprocess(frames[1:])), model.grid.steps
    past = random.normal(size=(1, steps - 1, config.action_dim))
    seen = model.observe(context, past, random.normal(size=(1, steps, config.state_dim)))
    goal, options = model.encode_goal(frames[0]), Options(samples=64, elites=8, iterations=4)
    took_s: list[float] = []
    for seed in range(plans + 1):
        began_s = time.perf_counter()
        vjepa_ros.plan(model, seen, goal, horizon=5, std=0.05, options=options, seed=seed)
        took_s.append(time.perf_counter() - began_s)
    median_s = statistics.median(took_s[1:])
    return figure(
        "plan", "plan of 5 steps, 64 candidates, 4 iterations, tiny_random", median_s, "s", PLAN_S,
        worst_s=max(took_s[1:]), candidates_per_s=64 * 4 / median_s, threads=torch.get_num_threads(), plans=plans,
    )  # fmt: skip


def figure(name: str, what: str, value: float, unit: str, goal: float | None, **made_of: float) -> dict[str, Any]:
    """One figure as JSON has it."""
    return {"name": name, "what": what, "value": value, "unit": unit, "goal": goal, "from": made_of}


# -- processes


def environment() -> dict[str, str]:
    """The environment of processes that talk to each other on this machine only, with room for large messages.

    Bytecode is kept, as it is of an installed package.
    """
    profile = dict.fromkeys(PROFILE_VARIABLES, str(config_folder() / "fastdds.xml"))
    environment = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", **profile, **os.environ}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment


def _robot(
    parameters: dict[str, Any], windows: int, module: str = "benchmarks.measured_node", *, commands: int = 0,
    executor: str = "",
) -> dict[str, Any]:  # fmt: skip
    """What a robot has noted that started this node and waited for this many windows; its options by their names."""
    options = {
        "module": module, "parameters": {"device": "cpu", **parameters}, "windows": windows,
        "width": WIDTH, "height": HEIGHT, "commands": commands, "executor": executor,
    }  # fmt: skip
    return _output("benchmarks.robot", json.dumps(options))


def _output(module: str, *arguments: str) -> dict[str, Any]:
    """What a module of the benchmark has noted, run in a process of its own."""
    command = [sys.executable, "-m", module, *arguments]
    try:
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise EngineError(f"the node did not do its work within {TIMEOUT_S:g} s") from error
    if done.returncode != 0:
        raise EngineError(f"the node could not be measured: {done.stderr[-2000:]}")
    notes: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return notes


def _bare_imports_s() -> float:
    """From the start of a process until torch and rclpy are imported, in s."""
    started_s = time.monotonic()
    process = subprocess.Popen([sys.executable, "-c", BARE_IMPORTS], stdout=subprocess.PIPE, env=environment())
    assert process.stdout is not None
    there = process.stdout.readline()
    seconds = time.monotonic() - started_s
    process.communicate()
    if not there:
        raise EngineError("torch or rclpy cannot be imported")
    return seconds


def _bare_process_mb() -> float:
    """Memory of its own of a process with torch, rclpy and a node."""
    process = subprocess.Popen(
        [sys.executable, "-c", BARE_PROCESS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()
    )
    assert process.stdout is not None
    if not process.stdout.readline():
        raise EngineError("torch or rclpy cannot be imported")
    resident_mb = status_mb("RssAnon", process.pid)
    process.communicate(b"\n")
    return resident_mb
