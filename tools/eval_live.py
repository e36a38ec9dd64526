"""Whether the loop over the middleware reaches what planning in one process does: the same goals, both ways.

    tools/run.sh tools/eval_live.py --goals 20 --seed 7

prints a line for each goal and, last, JSON; it fails where more than one fewer is reached through the nodes, or where
what they have begun with is not the same.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from examples.closed_loop import REACHED_M, Reach, each_anew, late_of, processes  # sets what rclpy reads at its import

# isort: split
import numpy as np
import rclpy

import vjepa_ros
from tools.tiny.reaching import PlanningPolicy, reach
from tools.tiny.world import Stage
from vjepa_ros.devices import use_threads
from vjepa_ros.simulation.plan import World

FEWER = 1
SAME_M = 1e-3  # answers have three digits


def figures(live: Sequence[Reach], own: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Both ways side by side.

    Args:
        live: what came of each goal through the nodes.
        own: (distance at the start, at the end) in m, in this process.
    """
    return {
        "goals": len(live),
        "live_4cm": sum(found.is_reached for found in live),
        "own_4cm": sum(end_m <= REACHED_M for _, end_m in own),
        "live_median_cm": round(100 * float(np.median([found.end_m for found in live])), 2),
        "own_median_cm": round(100 * float(np.median([end_m for _, end_m in own])), 2),
        "same_starts": all(abs(a.start_m - b[0]) <= SAME_M for a, b in zip(live, own, strict=True)),
    }


def is_equal(found: dict[str, Any]) -> bool:
    """Whether they come to the same."""
    return bool(found["same_starts"] and found["live_4cm"] >= found["own_4cm"] - FEWER)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--goals", type=int, default=20, help="each in an episode of its own")
    parser.add_argument("--seed", type=int, default=7, help="of episodes and goals")
    parser.add_argument("--variation", default="varied", help="of the scenes: fixed, varied or wide")
    parser.add_argument("--rate", type=float, default=10.0, help="simulated seconds per second at most")
    given = parser.parse_args(arguments)
    use_threads(1)
    rclpy.init()
    try:
        sim = {"seed": given.seed, "variation": given.variation, "clock.rate": given.rate}
        with processes(sim, {}) as watcher:
            live = list(each_anew(watcher, given.goals))
            late = late_of(watcher, live)
    finally:
        rclpy.try_shutdown()
    wm, world = vjepa_ros.load("tiny"), World(given.seed, size=256, variation=given.variation)
    own = [reach(Stage(wm, world, number), PlanningPolicy(wm)) for number in range(given.goals)]
    for number, (a, b) in enumerate(zip(live, own, strict=True)):
        ways = [f"{start_m * 100:5.1f} -> {end_m * 100:5.1f} cm" for start_m, end_m in ((a.start_m, a.end_m), b)]
        print(f"goal {number:3d}   live {ways[0]}   in one process {ways[1]}")
    found = {**figures(live, own), "late": late}
    print(json.dumps(found))
    return 0 if is_equal(found) else 1


if __name__ == "__main__":
    sys.exit(main())
