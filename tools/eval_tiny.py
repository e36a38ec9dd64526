"""How good ``tiny`` is: goals that the simulated arm reaches by planning with it, and what its forecasts are worth.

    tools/run.sh tools/eval_tiny.py --goals 100 --seed 1000

prints a table, and as the last line the same as JSON (docs/models/tiny.md). Scenes and goals come from the seed; `tiny`
was trained on seeds 1 and 2.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import vjepa_ros
from tools.tiny.forecasts import errors, tip_r2, watched
from tools.tiny.reaching import PlanningPolicy, Policy, Random, Still, push_ratio, reach
from tools.tiny.world import Stage
from vjepa_ros.devices import use_threads
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.geometry import Vector
from vjepa_ros.simulation.episodes import simulate
from vjepa_ros.simulation.plan import World

NEAR_M, NEARISH_M = 0.04, 0.085
PUSH_M, PUSHES, PUSHED_RATIO = 0.15, 20, 1.5
TRAINED_ON = (1, 2)  # seeds, tools/tiny.sh
PROBE_SEED = 77  # added to the seed: what the probe of the tip is fitted on
PARTS = ("reach", "baselines", "hard", "forecasts", "pushes")
MEANINGS = {
    "goals": "goals asked for", "reached_4cm": "ended within 4 cm", "reached_8cm": "ended within 8.5 cm",
    "stay": "within 4 cm: nothing is commanded", "random": "within 4 cm: commands by chance",
    "shuffled": "within 4 cm: the model is told the actions of other candidates",
    "drop15": "within 4 cm: 15 % of the frames are lost", "delay1": "within 4 cm: commands come a step late",
    "median_cm": "distance at the end, median", "start_cm": "distance at the start, the smallest",
    "k1": "error of forecasts over no change, 1 step ahead", "k4": "4 steps ahead", "k8": "8 steps ahead",
    "shuffled4": "error with another episode's actions over the right ones, 4 steps ahead",
    "tip_r2": "R2 of a linear probe of the tip, worst axis", "plan_ms": "a plan, median",
    "pushed": "pushes of 15 cm that the prediction error shows, of 20", "not_pushed": "the same where nobody pushed",
}  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--goals", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1000)
    variation = parser.add_mutually_exclusive_group()
    variation.add_argument("--wide", action="store_true", help="scenes that vary more")
    variation.add_argument("--fixed", action="store_true", help="one scene")
    parser.add_argument("--preset", default="tiny", help="or the path of a preset file")
    parser.add_argument("--checkpoint", default="", help="of another model of this kind")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what is looked at")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    given = parser.parse_args(arguments)
    if given.seed in TRAINED_ON:
        parser.error(
            f"--seed {given.seed}: tiny was trained on it, name another than {' and '.join(map(str, TRAINED_ON))}"
        )
    if given.goals < 1:
        parser.error(f"--goals {given.goals}: at least 1")
    use_threads(given.threads)
    wm = vjepa_ros.load(given.preset, checkpoint=given.checkpoint)
    found: dict[str, Any] = {}
    for name, value in evaluate(wm, given.goals, world_of(given), given.parts):
        found[name] = value
        print(f"{name:12} {value!s:>8}   {MEANINGS[name]}", flush=True)
    print(json.dumps(found))
    return 0


def world_of(given: argparse.Namespace) -> World:
    """The scenes that were asked for."""
    variation = "wide" if given.wide else "fixed" if given.fixed else "varied"
    return World(seed=given.seed, size=256, variation=variation)


def evaluate(
    wm: WorldModel, goals: int, world: World, parts: Sequence[str], pushes: int = PUSHES
) -> Iterator[tuple[str, Any]]:
    """The figures, each by name as soon as it is known.

    Args:
        wm: the model.
        goals: how many.
        world: where they are.
        parts: which figures, of :data:`PARTS`.
        pushes: how many, and how often nobody pushes.
    """

    def ends(policy: Policy, lost: float = 0.0) -> Vector:
        return np.array([reach(Stage(wm, world, number, lost), policy) for number in range(goals)]).reshape(-1, 2)

    def near(ends_m: Vector, near_m: float = NEAR_M) -> int:
        return int((ends_m[:, 1] < near_m).sum())

    yield "goals", goals
    if "reach" in parts:
        policy = PlanningPolicy(wm)
        reached = ends(policy)
        yield "reached_4cm", near(reached)
        yield "reached_8cm", near(reached, NEARISH_M)
        yield "median_cm", round(100 * float(np.median(reached[:, 1])), 2)
        yield "start_cm", round(100 * float(reached[:, 0].min()), 1)
        yield "plan_ms", round(1000 * float(np.median(policy.took_s)), 1)
    if "forecasts" in parts:
        episodes = range(max(goals, 2))  # one has others' actions
        seen = watched(wm, list(simulate(World(world.seed, size=256, variation=world.variation), episodes)))
        for name, value in errors(wm, seen).items():
            yield name, round(value, 3)
        probe = World(world.seed + PROBE_SEED, frames=8, size=256, variation=world.variation)
        yield "tip_r2", round(tip_r2(watched(wm, list(simulate(probe, range(8 * goals)))), seen)[0], 4)
    if "baselines" in parts:
        yield "stay", near(ends(Still()))
        yield "random", near(ends(Random()))
        yield "shuffled", near(ends(PlanningPolicy(wm, shuffles=True)))
    if "hard" in parts:
        yield "drop15", near(ends(PlanningPolicy(wm), lost=0.15))
        yield "delay1", near(ends(PlanningPolicy(wm, delayed=True)))
    if "pushes" in parts:
        for name, metres in (("pushed", PUSH_M), ("not_pushed", 0.0)):
            ratios = [push_ratio(Stage(wm, world, number), PlanningPolicy(wm), metres) for number in range(pushes)]
            yield name, sum(ratio >= PUSHED_RATIO for ratio in ratios)


if __name__ == "__main__":
    sys.exit(main())
