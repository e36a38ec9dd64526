"""torch as a runtime: nothing is exported, and the modules compute."""

from __future__ import annotations

from pathlib import Path

import torch

from vjepa_ros.devices import find_device, find_dtype
from vjepa_ros.runtimes.graphs import GraphOf
from vjepa_ros.runtimes.runtime import Session


class TorchRuntime:
    """See :class:`.Runtime`."""

    graph_dtype = None
    tolerance = 0.0

    def __init__(self, device: str, dtype: str) -> None:
        self.device = find_device(device)
        self.dtype = find_dtype(dtype, self.device)
        self.name = f"torch {torch.__version__}"

    def open(self, path: Path, graph: GraphOf) -> Session:
        raise RuntimeError(f"{path}: torch computes modules, not graphs")
