"""A plan on a recording, without ROS: from one of its windows towards the picture that was really taken later.

    tools/run.sh -m examples.plan_bag [BAG] [--checkpoint FILE] [--solver icem]

Beside the plan stands what was recorded. With random weights, as here without a checkpoint, the plan means nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import vjepa_ros
from vjepa_ros.planning.solvers import SOLVERS

ROOT = Path(__file__).parents[1]
SAMPLE, PARAMETERS = ROOT / "examples" / "data" / "panda_pick", ROOT / "config" / "predictor.yaml"
HORIZON = 3  # steps


def main(arguments: Sequence[str] | None = None) -> None:
    """Plan once, and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bag", nargs="?", type=Path, default=SAMPLE)
    parser.add_argument("--checkpoint", default="", help="weights of the preset tiny_random's layout")
    parser.add_argument("--solver", default="cem", choices=SOLVERS)
    given = parser.parse_args(arguments)

    wm = vjepa_ros.load("tiny_random", checkpoint=given.checkpoint)
    windows = list(vjepa_ros.read_windows(given.bag, params=PARAMETERS))
    now, later = windows[len(windows) // 2], windows[len(windows) // 2 + HORIZON]  # a window ends at every step
    size, actions, states = wm.grid.tokens_per_step, now.actions.values, now.states.values
    seen = wm.observe(wm.encode(now.clip), actions[None, :-1], states[None])
    goal = wm.encode(later.clip)[:, -size:]  # (1, H'*W', D) what the later window observes last
    last = actions[-1]  # joint targets, in rad: in force already, so the plan begins with it
    plan = vjepa_ros.plan(
        wm, seen, goal, horizon=HORIZON, mean=last, std=0.05, low=last - 0.2, high=last + 0.2, committed=last[None],
        solver=given.solver,
    )  # fmt: skip

    print(f"energy now {plan.now:.4f}, after the plan {plan.energies[-1]:.4f}, candidates tried "
          f"{sum(len(energies) for _, energies in plan.tried)}")  # fmt: skip
    for step, (planned, recorded) in enumerate(zip(plan.actions, later.actions.values[-1 - HORIZON :], strict=False)):
        print(f"step {step}: planned {np.round(planned, 3).tolist()}")
        print(f"        recorded {np.round(recorded, 3).tolist()}")


if __name__ == "__main__":
    main()
