"""Trains and measures ways to pair frames and actions on the same data: what docs/strategies.md says.

    tools/run.sh -m tools.strategies --minutes 15 -o build/strategies

makes recordings, then for each variant a model, and its figures as ``results.json`` as soon as they are there. With
``--docs docs`` the figures, the plot and the table of the page are written too. Called again it goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import vjepa_ros
from tools.strategies import page
from tools.strategies.measuring import forecast_errors, operations_a_second, seconds
from tools.strategies.reaching import SECONDS, Reach
from tools.strategies.recordings import film, record
from tools.strategies.training import trained
from tools.strategies.variants import COMMON, VARIANTS, Variant
from vjepa_ros.config.own_weights import RANDOM
from vjepa_ros.config.presets import MODEL_PARAMETERS
from vjepa_ros.devices import use_threads
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.simulation.plan import World

NEAR_M = 0.04
TRAINED_SEED, MEASURED_SEED, GOALS_SEED = 1, 500, 1000
PLANS = 15  # whose time is looked at, the last ones
COSTS_S = SECONDS  # for how long it is planned to know what planning costs
RESULTS = "results.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, default=Path("build/strategies"), help="everything goes there")
    parser.add_argument("--minutes", type=float, default=5.0, help="of the processor, for each encoder and predictor")
    parser.add_argument("--episodes", type=int, default=300, help="of 32 frames, that are recorded")
    parser.add_argument("--bags", type=int, default=10, help="that they are spread over; the last tenth is held back")
    parser.add_argument("--measured", type=int, default=60, help="episodes that forecasts are measured on")
    parser.add_argument("--goals", type=int, default=30, help="to reach")
    parser.add_argument("--variation", default="fixed", help="of the scenes, as of vjepa_simulate")
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS), help="these variants")
    parser.add_argument("--docs", type=Path, help="folder of strategies.md: write its table, the figures and the plot")
    given = parser.parse_args(arguments)
    use_threads(1)
    given.out.mkdir(parents=True, exist_ok=True)
    results = _known(given)
    for name in VARIANTS:
        if name not in results["costs"]:
            results["costs"][name] = _costs(VARIANTS[name], given)
            _keep(given.out / RESULTS, results)
    bags = record(given.out / "recordings", _world(given, TRAINED_SEED), given.episodes, given.bags)
    for name in given.only:
        if name not in results["variants"]:
            results["variants"][name] = _measured(VARIANTS[name], bags, given)
            _keep(given.out / RESULTS, results)
    print(page.table(results))
    if given.docs is not None:
        page.write(given.docs, results)
    print(json.dumps(results))
    return 0


def _known(given: argparse.Namespace) -> dict[str, Any]:
    """What was measured already, of the same."""
    about = {name: getattr(given, name) for name in ("minutes", "episodes", "measured", "goals", "variation")}
    path = given.out / RESULTS
    if path.exists():
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if found["about"] != about:
            raise SystemExit(f"{path} is of {found['about']}: name another folder with --out")
        return found
    return {"about": about, "costs": {}, "variants": {}}


def _keep(path: Path, results: dict[str, Any]) -> None:
    new = path.with_suffix(".new")
    new.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    new.replace(path)


def _world(given: argparse.Namespace, seed: int) -> World:
    return World(seed=seed, size=64, drawn=128, variation=given.variation)


def _costs(variant: Variant, given: argparse.Namespace) -> dict[str, Any]:
    """What a variant takes, whatever its weights are: these are random."""
    wm = loaded(variant, RANDOM)
    reach = Reach(variant, wm, _world(given, GOALS_SEED), 0)
    reach(COSTS_S)
    return {
        "seconds": seconds(wm), "plan_s": float(np.median(reach.took_s[-PLANS:])),
        "operations_a_second": operations_a_second(variant),
    }  # fmt: skip


def _measured(variant: Variant, bags: list[Path], given: argparse.Namespace) -> dict[str, Any]:
    """Train a variant, and what its model is worth."""

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    made = trained(variant, bags, given.out, 60 * given.minutes, say)
    wm = loaded(variant, made.path)
    episodes = list(film(_world(given, MEASURED_SEED), range(given.measured)))
    goals = [Reach(variant, wm, _world(given, GOALS_SEED), number) for number in range(given.goals)]
    ends = np.array([reach() for reach in goals]).reshape(-1, 2)
    found = {
        "steps": made.steps, "cpu_s": made.cpu_s, **forecast_errors(variant, wm, episodes),
        "reached": int((ends[:, 1] < NEAR_M).sum()), "median_cm": round(100 * float(np.median(ends[:, 1])), 2),
        "start_cm": round(100 * float(ends[:, 0].min()), 1),
    }  # fmt: skip
    say(f"{variant.name}: {found['reached']} of {given.goals} goals, median {found['median_cm']} cm")
    return found


def loaded(variant: Variant, path: Path | str) -> WorldModel:
    """A variant's model, of a file."""
    sizes = {name: value for name, value in variant.parameters.items() if name in MODEL_PARAMETERS}
    return vjepa_ros.load(str(COMMON["preset"]), checkpoint=path, **sizes)


if __name__ == "__main__":
    sys.exit(main())
