"""What is done to actions and states before the model sees them, as it follows from what is trained on.

Runs in, numbers out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from vjepa_ros.config.model import ModelConfig
from vjepa_ros.config.normalization import LEAST_STD, Normalization, Normalizations
from vjepa_ros.training.runs import Run


def normalizations_of(runs: Iterable[Run], given: Mapping[str, Any], model: ModelConfig) -> Normalizations:
    """What is done to actions and states before the model sees them: as is given, else mean and deviation of the runs.

    A dimension that never changes is left as it is but for its mean.

    Args:
        runs: those trained on.
        given: parameters by name, ``actions.mean`` among them; where one of a pair is given, nothing is
            measured for it.
        model: for the dimensions.
    """
    every = list(runs)
    stated = Normalizations.of(given, model.action_dim, model.state_dim)
    values = {
        "actions": np.concatenate([run.actions[:-1] for run in every]),
        "states": np.concatenate([run.states for run in every]),
    }
    parts = {}
    for name, array in values.items():
        if given.get(f"{name}.mean") or given.get(f"{name}.std"):
            parts[name] = getattr(stated, name)
            continue
        std = array.std(axis=0)
        parts[name] = Normalization(tuple(array.mean(axis=0).tolist()), tuple(np.where(std < LEAST_STD, 1.0, std)))
    return Normalizations(**parts)
