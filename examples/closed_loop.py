"""The closed loop over the middleware: the simulated Panda, and the predictor whose planner moves it to a goal image.

Each of the two is a process of its own, and so is whoever looks on. Time is the simulated robot's and waits for each
command (docs/simulation.md), so that the same seed gives the same run however slow the machine is. As a program it
counts goals that end within 4 cm, and fails where they are fewer than they are to be. Its last line is JSON.

    python -m examples.closed_loop [--goals 20] [--least 0] [--seed 7] [--variation varied]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Before rclpy is imported: nobody else's robot is to hear this, nor this anybody else's robot.
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ.setdefault("ROS_DOMAIN_ID", str(os.getpid() % 100 + 1))

import numpy as np
import rclpy

from examples.watcher import PREDICTOR, SIM, STEP_NS, NothingCame, Watcher

ROOT = Path(__file__).resolve().parent.parent
PARAMS = ROOT / "config" / "panda_sim_planner.yaml"
STEPS = 20
REACHED_M = 0.04
_END_S = 20.0


@dataclass(frozen=True)
class Reach:
    """One goal.

    Attributes:
        begin_ns, end_ns: the frames at which it was drawn, and at which the last step's command has had its time.
        start_m, end_m: how far the tip was from it then.
        first: steps after which the tip was within 4 cm of it for the first time; None where it never was.
        took_ms: how long each plan took.
        end_reason: why execution ended.
        late: plans that came too late for their steps. Those that a reset overtakes are no part of it.
    """

    begin_ns: int
    end_ns: int
    start_m: float
    end_m: float
    first: int | None
    took_ms: tuple[float, ...]
    end_reason: str
    late: int

    @property
    def is_reached(self) -> bool:
        """Whether it ended near it, after as many steps as there were to be."""
        return self.end_reason == "steps_done" and self.end_m <= REACHED_M


@contextmanager
def processes(sim: dict[str, Any], predictor: dict[str, Any], files: Sequence[Path] = (PARAMS,)) -> Iterator[Watcher]:
    """The simulated robot and the predictor, each a process of its own, and who looks on.

    Args:
        sim: parameters of ``panda_sim``, besides those that make its time wait.
        predictor: parameters of the predictor, besides those of the files.
        files: of parameters; what the later ones say counts.

    Raises:
        NothingCame: with the end of what they have written, where either ends or says nothing.
    """
    sim = {"clock.drive": True, "clock.wait_s": 600.0, **sim}
    predictor = {"use_sim_time": True, "planner.execute_steps": STEPS, **predictor}
    given = ([*_file_arguments(()), *_arguments(sim)], [*_file_arguments(files), *_arguments(predictor)])
    remapped = (["-r", f"~/goal_image:=/{PREDICTOR}/goal_image"], ["-r", "~/command:=joint_commands"])
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        logs = [Path(folder) / f"{name}.txt" for name in (SIM, PREDICTOR)]
        running: list[subprocess.Popen[bytes]] = []
        stack.callback(_end, running)  # whatever happens from here on, none of them stays behind
        for module, log, own, names in zip(("panda_sim", "main"), logs, given, remapped, strict=True):
            command = [sys.executable, "-m", f"vjepa_ros.ros.{module}", "--ros-args", *own, *names]
            with log.open("wb") as out:
                running.append(subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT))

        def ended() -> str:
            for process, name in zip(running, (SIM, PREDICTOR), strict=True):
                if (status := process.poll()) is not None:
                    return f"{name} ended with status {status}"
            return ""

        watcher = Watcher(ended)
        stack.callback(watcher.destroy_node)
        try:
            watcher.connect()
            yield watcher
        except NothingCame as error:
            said = "".join(f"\n--- the end of what {log.stem} has written\n{_end_of(log)}" for log in logs)
            raise NothingCame(f"{error}{said}") from None


def _end(running: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ask processes to end, and see that they have."""
    for process in running:
        process.send_signal(signal.SIGTERM)
    for process in running:
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def reach(watcher: Watcher) -> Reach:
    """Draw a goal and have the planner go there, from where the robot stands still, until execution ends.

    Args:
        watcher: that has begun an episode.
    """
    begin_ns = watcher.now_ns
    start_m = watcher.draw_goal()
    watcher.execute()
    watcher.stay(begin_ns)  # the window that ends here waits for what is in force from here on
    watcher.need(lambda: watcher.status["end_reason"] and not watcher.status["executing"], "execution does not end")
    ended = watcher.status
    # The first command is in force one step after the goal came, each for one step.
    end_ns = begin_ns + (ended["commands_sent"] + 1) * STEP_NS
    watcher.need(lambda: watcher.now_ns == end_ns, "its time does not go on")
    watcher.need(lambda: watcher.distance_m(end_ns) is not None and end_ns in watcher.pictures, "no last frame")
    after = [watcher.distance_m(at_ns) for at_ns in range(begin_ns + 2 * STEP_NS, end_ns + 1, STEP_NS)]
    near = [step for step, m in enumerate(after, start=1) if m is not None and m <= REACHED_M]
    plans = [status for at, status in sorted(watcher.plans.items()) if begin_ns <= at < end_ns]
    took, late = [status["took_s"] * 1e3 for status in plans], sum(status["late"] for status in plans)
    end_m = watcher.distance_m(end_ns)
    assert end_m is not None
    first = near[0] if near else None
    return Reach(begin_ns, end_ns, start_m, end_m, first, tuple(took), ended["end_reason"], late)


def each_anew(watcher: Watcher, goals: int) -> Iterator[Reach]:
    """A goal in each of so many episodes, the first of the seed."""
    for episode in range(goals):
        watcher.begin(episode=episode)
        yield reach(watcher)


def late_of(watcher: Watcher, reaches: Sequence[Reach]) -> int:
    """Messages that came too late for their windows, and plans that came too late for their steps."""
    return int(max(window["late"] for window in watcher.windows) + sum(found.late for found in reaches))


def _arguments(parameters: dict[str, Any]) -> list[str]:
    """As ROS takes them on the command line."""
    return [word for name, value in parameters.items() for word in ("-p", f"{name}:={json.dumps(value)}")]


def _file_arguments(files: Sequence[Path]) -> list[str]:
    return [word for file in files for word in ("--params-file", str(file))]


def _end_of(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def main() -> None:
    """Count goals."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--goals", type=int, default=20, help="each in an episode of its own")
    parser.add_argument("--least", type=int, default=0, help="how many are to be reached")
    parser.add_argument("--seed", type=int, default=7, help="of episodes and goals")
    parser.add_argument("--variation", default="varied", help="of the scenes: fixed, varied or wide")
    parser.add_argument("--rate", type=float, default=10.0, help="simulated seconds per second at most")
    parser.add_argument("--params", type=Path, nargs="*", default=[], help="further parameter files of the predictor")
    arguments = parser.parse_args()
    sim = {"seed": arguments.seed, "variation": arguments.variation, "clock.rate": arguments.rate}
    reaches: list[Reach] = []
    rclpy.init()
    try:
        with processes(sim, {}, (PARAMS, *arguments.params)) as watcher:
            for episode, found in enumerate(each_anew(watcher, arguments.goals)):
                reaches.append(found)
                said = "" if found.end_reason == "steps_done" else f"   {found.end_reason}"
                print(
                    f"goal {episode:3d}   {found.start_m * 100:5.1f} -> {found.end_m * 100:5.1f} cm{said}", flush=True
                )
            late = late_of(watcher, reaches)
    except NothingCame as error:
        sys.exit(f"the loop has stopped: {error}")
    finally:
        rclpy.try_shutdown()
    figures = {
        "goals": len(reaches),
        "reached_4cm": sum(found.is_reached for found in reaches),
        "median_cm": round(float(np.median([found.end_m for found in reaches])) * 100, 2),
        "start_cm": round(min(found.start_m for found in reaches) * 100, 1),
        "plan_ms_p50": round(float(np.median([ms for found in reaches for ms in found.took_ms])), 1),
        "late": late,
    }
    print(json.dumps(figures), flush=True)
    if figures["reached_4cm"] < arguments.least:
        sys.exit(f"{figures['reached_4cm']} goals were reached, at least {arguments.least} are to be")


if __name__ == "__main__":
    main()
