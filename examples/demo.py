"""A robot that reaches goal images by planning in latent space: simulator, predictor and this program, a process each.

A Franka Panda (`panda_sim`, docs/simulation.md) is shown the picture of a place at least 30 cm away, three times in a
row. The predictor's planner (docs/planners.md) sends it there: it sees the camera and the goal image, and never where
that is. This program looks on: it prints a line per plan, writes demo.gif and demo.png and, last, one line of JSON (of
which ``steps`` says after how many the tip was within 4 cm for the first time). It ends with a non-zero status where
one of the three is not within 4 cm after 20 steps.

    python -m examples.demo [--seed 5] [--rate 1.0] [--gif demo.gif] [--picture demo.png]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from examples.closed_loop import (  # sets what rclpy reads at its import
    PARAMS,
    REACHED_M,
    STEPS,
    Reach,
    late_of,
    processes,
    reach,
)
from examples.demo_picture import Goal, Moment, write_gif, write_png

# isort: split
import numpy as np
import rclpy
from rich.console import Console

from examples.watcher import PREDICTOR, STEP_NS, NothingCame, Watcher
from vjepa_ros.config import ros_file
from vjepa_ros.config.node import resolve
from vjepa_ros.forecast.forecaster import load_model
from vjepa_ros.simulation.episodes import beginning
from vjepa_ros.simulation.plan import World
from vjepa_ros.simulation.scenes import Scene

GOALS = 3


def print_plan(console: Console, watcher: Watcher, goal: int, begin_ns: int, status: dict[str, Any]) -> None:
    """One line per plan."""
    step, distance_m = (status["window_stamp"] - begin_ns) // STEP_NS, watcher.distance_m(status["window_stamp"])
    done = max(0, step - 1)  # the first command is in force a step later
    # At the first step what has come is the distance to the goal before.
    far = "       -" if distance_m is None or step == 0 else f"{distance_m * 100:5.1f} cm"
    console.print(
        f"goal {goal + 1}   step {done:2d}   distance {far}   energy {status['energy']:.3f}, planned "
        f"{status['planned_energy']:.3f}   plan {status['took_s'] * 1e3:4.0f} ms"
    )


def moments(watcher: Watcher, number: int, found: Reach) -> list[Moment]:
    """What was to be seen of one goal, at each of its steps."""
    seen = []
    for step, at_ns in enumerate(range(found.begin_ns, found.end_ns + 1, STEP_NS)):
        distance_m, plan = watcher.distance_m(at_ns), watcher.plans.get(at_ns)
        seen.append(
            Moment(
                number, step, watcher.pictures[at_ns], watcher.forecasts.get(at_ns),
                found.start_m if step == 0 or distance_m is None else distance_m,
                None if plan is None else float(plan["energy"]),
            )
        )  # fmt: skip
    return seen


def run(console: Console, watcher: Watcher, scene: Scene, count: int = GOALS) -> tuple[list[Reach], list[Goal]]:
    """Goals, one after another.

    Args:
        scene: what the camera looks at, to mark in its pictures where the goals are.
    """
    info = watcher.info
    console.print(f"model: {info['model']}, " + ("trained" if info["trained"] else f"UNTRAINED: {info['notice']}"))
    watcher.begin()
    reaches: list[Reach] = []
    goals: list[Goal] = []
    for number in range(count):
        begin_ns = watcher.now_ns
        watcher.on_plan = partial(print_plan, console, watcher, number, begin_ns)
        found = reach(watcher)
        verdict = "reached" if found.is_reached else "MISSED"
        console.print(f"goal {number + 1} {verdict}: {found.start_m * 100:.1f} cm -> {found.end_m * 100:.1f} cm")
        assert watcher.goal is not None and watcher.goal_place is not None
        reaches.append(found)
        mark = scene.pixel_of(watcher.goal_place, watcher.goal.shape[1])
        goals.append(Goal(watcher.goal, moments(watcher, number, found), found.is_reached, mark))
    return reaches, goals


def with_latents(goals: Sequence[Goal], files: Sequence[Path]) -> list[Goal]:
    """The goals as the model sees them: what its forecasts are to come near to. The node publishes none of that."""
    values: dict[str, Any] = {}
    for file in files:
        values.update(ros_file.read(file, f"/{PREDICTOR}")[0])
    model = load_model(resolve(values))
    _, rows, columns = model.grid.shape
    latents = [model.encode_goal(goal.picture).float().cpu().numpy().reshape(rows, columns, -1) for goal in goals]
    return [replace(goal, latents=array) for goal, array in zip(goals, latents, strict=True)]


def figures(reaches: Sequence[Reach], watcher: Watcher) -> dict[str, Any]:
    """What the last line says."""
    return {
        "reached": all(found.is_reached for found in reaches),
        "distance_cm": [round(found.end_m * 100, 1) for found in reaches],
        "start_cm": [round(found.start_m * 100, 1) for found in reaches],
        "steps": [found.first for found in reaches],
        "windows": len(watcher.windows),
        "plan_ms_p50": round(float(np.median([ms for found in reaches for ms in found.took_ms])), 1),
        "late": late_of(watcher, reaches),
        "trained": watcher.info["trained"],
    }


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=5, help="of the scene, where the arm begins, and the goals")
    parser.add_argument("--variation", default="varied", help="of the scene: fixed, varied or wide")
    parser.add_argument("--goals", type=int, default=GOALS, help="how many")
    parser.add_argument("--steps", type=int, default=STEPS, help="that there are to each")
    parser.add_argument("--rate", type=float, default=1.0, help="simulated seconds per second at most")
    parser.add_argument("--gif", type=Path, default=Path("demo.gif"))
    parser.add_argument("--picture", type=Path, default=Path("demo.png"))
    parser.add_argument("--params", type=Path, nargs="*", default=[], help="further parameter files of the predictor")
    arguments = parser.parse_args()
    console = Console(width=110, highlight=False)
    console.print(
        "A Franka Panda is shown a picture of where to go, and goes there. Three processes:\n"
        "  panda_sim        the robot: a camera, joints, and an arm that obeys\n"
        "  vjepa_predictor  the node, its planner on: camera, joints and a goal image in, joint commands out\n"
        "  watcher          this program: asks for goals, and looks on"
    )
    sim = {"seed": arguments.seed, "variation": arguments.variation, "clock.rate": arguments.rate}
    rclpy.init()
    try:
        steps = {"planner.execute_steps": arguments.steps}
        with processes(sim, steps, (PARAMS, *arguments.params)) as watcher:
            scene, _ = beginning(World(arguments.seed, variation=arguments.variation), 0)
            reaches, goals = run(console, watcher, scene, arguments.goals)
            found, info = figures(reaches, watcher), watcher.info
    except NothingCame as error:
        sys.exit(f"the loop has stopped: {error}")
    finally:
        rclpy.try_shutdown()
    goals = with_latents(goals, (PARAMS, *arguments.params))
    model = Path(info["model"]).stem + ("" if info["trained"] else " (UNTRAINED)")
    write_gif(arguments.gif, model, goals)
    write_png(arguments.picture, model, goals)
    console.print(f"pictures: {arguments.gif}, {arguments.picture}")
    print(json.dumps(found), flush=True)
    if not found["reached"]:
        sys.exit(f"a goal was missed: not every distance at the end is within {REACHED_M * 100:.0f} cm")


if __name__ == "__main__":
    main()
