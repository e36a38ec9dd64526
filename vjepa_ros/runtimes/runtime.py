"""What a runtime is: something that opens graphs, and sessions that compute them.

It knows no package that does.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from pkgutil import resolve_name
from types import ModuleType
from typing import Protocol

import torch
from torch import Tensor

from vjepa_ros.config.backends import BACKENDS
from vjepa_ros.errors import ConfigError, brief
from vjepa_ros.runtimes.graphs import GraphOf

BACKEND = "engine.backend"
"""The parameter that chooses one."""


class Session(Protocol):
    """One graph, ready to be computed."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        """The part's own output, float32, on the device of the runtime's tensors.

        Args:
            inputs: in the graph's shapes and order, of any dtype, on that device.

        Raises:
            RuntimeError: where that fails.
        """


class Runtime(Protocol):
    """What computes encoder and one-step prediction, on a device and in a dtype.

    Attributes:
        device, dtype: where and in what torch computes all that the runtime does not.
        graph_dtype: what weights the graphs have; None where there are none, since torch computes everything.
        tolerance: how far a value of about one may be from torch's.
        name: in words, with its version and what it computes on.
    """

    device: torch.device
    dtype: torch.dtype
    graph_dtype: torch.dtype | None
    tolerance: float
    name: str

    def __init__(self, device: str, dtype: str) -> None:
        """As the parameters ``device`` and ``dtype`` say.

        Raises:
            ConfigError: naming the parameter, for what is not there or cannot be done.
        """

    def open(self, path: Path, graph: GraphOf) -> Session:
        """The graph in a file, which is not needed any more afterwards.

        Raises:
            RuntimeError: where that fails.
        """


def find_runtime(backend: str, device: str, dtype: str) -> Runtime:
    """The runtime of that name.

    Raises:
        ConfigError: naming the parameter at fault: where there is none of the name, its package is not installed, or
            it cannot use this device or dtype.
    """
    if not isinstance(backend, str) or backend not in BACKENDS:
        raise ConfigError(BACKEND, f"{brief(backend)} is not one of {', '.join(BACKENDS)}")
    runtime: Runtime = resolve_name(BACKENDS[backend])(device, dtype)
    return runtime


def package(name: str, extra: str, parameter: str = BACKEND) -> ModuleType:
    """An installed package.

    Args:
        name: of the package.
        extra: of this package, which brings it.
        parameter: what asks for it.

    Raises:
        ConfigError: where it is not installed, or cannot be imported.
    """
    try:
        return import_module(name)
    except ImportError as error:
        said = f"the package {name} is needed and cannot be imported ({error})"
        raise ConfigError(parameter, f"{said}: pip install 'vjepa_ros[{extra}]'") from error
