"""What is done to actions and states before the model sees them, as it follows from what is trained on.

Runs in, numbers out.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from vjepa_ros.config.node import NodeConfig
from vjepa_ros.config.normalization import LEAST_STD, Normalization, Normalizations
from vjepa_ros.training.runs import Run


def normalizations_of(runs: Iterable[Run], config: NodeConfig) -> Normalizations:
    """What the parameters or the weights' sidecar say; where they say nothing, mean and deviation of the runs.

    A dimension that never changes has its mean taken off, and is left as it is else.

    Args:
        runs: those trained on.
        config: whose ``actions.mean``, ``actions.std``, ``states.mean``, ``states.std`` are the node's; lists that are
            given count even if they change nothing.
    """
    every = list(runs)
    values = {
        "actions": np.concatenate([run.actions[:-1] for run in every]),
        "states": np.concatenate([run.states for run in every]),
    }
    parts = {}
    for name, array in values.items():
        stated: Normalization = getattr(config.normalization, name)
        is_given = bool(config.parameters[f"{name}.mean"] or config.parameters[f"{name}.std"])
        if is_given or not stated.changes_nothing:
            parts[name] = stated
            continue
        std = array.std(axis=0)
        std[std < LEAST_STD] = 1.0
        parts[name] = Normalization(tuple(array.mean(axis=0).tolist()), tuple(std.tolist()))
    return Normalizations(**parts)
