"""What plans ask of the model, known as soon as the parameters are: how they search, and how many candidates at once.

It knows no windows.
"""

from __future__ import annotations

import numpy as np

from vjepa_ros.config.node import NodeConfig
from vjepa_ros.config.planner import PlannerConfig
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.planning.plan import observed_before
from vjepa_ros.planning.solvers import Options


def options_of(config: PlannerConfig) -> Options:
    """How a node's plans search."""
    return Options(
        samples=config.samples, elites=config.elites, iterations=config.iterations, cost=config.cost,
        momentum_mean=np.array(config.momentum_mean), momentum_std=np.array(config.momentum_std),
        samples_decay=config.samples_decay,
    )  # fmt: skip


def record_plans(model: WorldModel, config: NodeConfig) -> None:
    """Have a GPU record the rollouts of a node's plans over the whole horizon: each iteration's candidates, in batches,
    and the plan itself. The shorter horizons of ``planner.adapt`` are not among them.

    Raises:
        EngineError: where model or device fail.
    """
    options, batch, horizon = options_of(config.planner), config.candidates.batch_size, config.planner.horizon
    samples = [options.samples_of(iteration) for iteration in range(options.iterations)]
    sizes = {1, *(min(batch, count) for count in samples), *(count % batch for count in samples)} - {0}
    for candidates in sorted(sizes, reverse=True):  # the largest first: the others find its memory
        model.record_rollout(observed_before(model.config, horizon), candidates, horizon)
