"""What a plan gives up by observing only as many steps as leave room for its horizon: measured on a recording.

    tools/run.sh -m benchmarks.context [BAG] [--params FILE] [--checkpoint FILE] [--horizons 2 4] [--windows N]

From each of some windows, the same candidates are forecast twice: from all steps that the model looks back on, the
oldest being pushed out on the way and everything computed again; and from the newest ones that leave room. One of the
candidates is what was recorded, and the goal is what was observed at its end. A table, and a last line of JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import vjepa_ros
from vjepa_ros.config import ros_file
from vjepa_ros.config.node import resolve
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.forecast.forecaster import load_model
from vjepa_ros.stream.window import Window

ROOT = Path(__file__).parents[1]
NODE = "/vjepa_predictor"


def compare(
    wm: WorldModel, now: Window, later: Window, horizon: int, candidates: int, std: float, seed: int
) -> dict[str, float]:
    """One window's figures.

    Args:
        wm: the world model.
        now, later: windows whose newest steps are ``horizon`` steps apart.
        horizon: H, less than the steps of a window.
        candidates: K, the recorded one included.
        std: of the others around it, in the unit of the actions.
        seed: of theirs.

    Returns:
        ``error_all``, ``error_room``: of the forecast for the recorded actions; ``error_no_change``; ``rank_all``,
        ``rank_room``: its place among all candidates by the last step's energy, from 0, the best, to 1;
        ``same_order``: Spearman's correlation of the candidates' two orders; ``ms_all``, ``ms_room``.
    """
    tokens, most = wm.grid.tokens_per_step, wm.config.most_context
    recorded = later.actions.values[-1 - horizon : -1]  # (H, A) from now's newest step on
    drawn = std * np.random.default_rng(seed).normal(size=(candidates, *recorded.shape))
    drawn[0] = 0.0
    context, goal = wm.encode(now.clip), wm.encode(later.clip)[:, -tokens:]
    observed = wm.observe(context, now.actions.values[None, :-1], now.states.values[None])
    found = {"error_no_change": float(wm.energy(context[0, -tokens:], goal))}
    costs: list[NDArray[np.float32]] = []
    for name, steps in (("all", most), ("room", max(1, most - horizon + 1))):
        began_s = time.perf_counter()
        forecasts = wm.rollout_from(wm.newest(observed, steps), recorded + drawn)[:, -1]  # (K, H'*W', D)
        found[f"ms_{name}"] = (time.perf_counter() - began_s) * 1e3
        cost = wm.energy(forecasts, goal).numpy()
        costs.append(cost)
        found[f"error_{name}"] = float(cost[0])
        found[f"rank_{name}"] = float((cost < cost[0]).sum() / (candidates - 1))
    orders = [np.argsort(np.argsort(cost)) for cost in costs]
    return {**found, "same_order": float(np.corrcoef(orders)[0, 1])}


def measure(
    wm: WorldModel, windows: Sequence[Window], horizons: Sequence[int], count: int, candidates: int, std: float
) -> list[dict[str, Any]]:
    """For each horizon the medians over windows, spread evenly over those of a recording that end a step apart."""
    rows = []
    for horizon in horizons:
        last = len(windows) - horizon
        chosen = [(2 * part + 1) * last // (2 * count) for part in range(count)]
        figures = [
            compare(wm, windows[at], windows[at + horizon], horizon, candidates, std, at)
            for at in chosen
            if windows[at].epoch == windows[at + horizon].epoch
        ]
        middle = {name: float(np.median([figure[name] for figure in figures])) for name in figures[0]}
        most = wm.config.most_context
        rows.append({"horizon": horizon, "all": most, "room": max(1, most - horizon + 1), **middle})
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bag", nargs="?", type=Path, default=ROOT / "examples" / "data" / "panda_pick")
    parser.add_argument("--params", type=Path, default=ROOT / "config" / "predictor.yaml")
    parser.add_argument("--checkpoint", default="")
    parser.add_argument("--horizons", type=int, nargs="+", default=[1, 2, 4, 6])
    parser.add_argument("--windows", type=int, default=8)
    parser.add_argument("--candidates", type=int, default=32)
    parser.add_argument("--std", type=float, default=0.05)
    given = parser.parse_args(arguments)
    values, _ = ros_file.read(given.params, NODE)
    values |= {"checkpoint": given.checkpoint} if given.checkpoint else {}
    config = resolve({**values, "hop": resolve(values).model.stride})  # a window ends at every step
    wm = load_model(config)
    windows = list(vjepa_ros.read_windows(given.bag, settings={**values, "hop": config.stream.hop}))
    rows = measure(wm, windows, given.horizons, given.windows, given.candidates, given.std)
    names = list(rows[0])
    print(f"{given.bag.name}, {config.model.preset}, trained: {wm.trained}; medians of {given.windows} windows")
    print(" | ".join(names))
    for row in rows:
        print(" | ".join(f"{row[name]:.4g}" for name in names))
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
