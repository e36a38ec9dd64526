"""CUDA graphs: what is computed again and again in the same shapes is compiled and recorded once, then replayed.

A replay is one launch for all of a model's kernels, so that the host does not have to keep up with the GPU. It knows
nothing of what is computed. Off a GPU, everything is simply called.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vjepa_ros.devices import new_stream

_LOG = logging.getLogger(__name__)
_WARM_UP_RUNS = 3  # before a recording: libraries choose their kernels and take their memory in the first ones

Compute = Callable[..., Tensor]
_Key = tuple[Compute, tuple[tuple[torch.Size, torch.dtype], ...]]


@dataclass(frozen=True)
class _Recorded:
    """A graph, and the memory that it reads and writes."""

    graph: torch.cuda.CUDAGraph
    inputs: tuple[Tensor, ...]
    output: Tensor


class Graphs:
    """Records computations on a device, and runs them.

    Args:
        device: where the tensors are.
        compile_first: whether ``torch.compile`` makes fewer kernels of a computation before it is recorded. It needs
            Triton; without it, or where it fails, the computation is recorded as it is.

    Attributes:
        records: whether anything is recorded here at all.
    """

    def __init__(self, device: torch.device, compile_first: bool) -> None:
        self.records = device.type == "cuda"
        self._device = device
        self._compile_first = compile_first and importlib.util.find_spec("triton") is not None
        self._recorded: dict[_Key, _Recorded] = {}
        self._pool: Any = None  # of memory, of all graphs: no two run at once, and what one gives is copied at once

    def run(self, compute: Compute, *inputs: Tensor) -> Tensor:
        """``compute(*inputs)``: a replay where it was recorded in these shapes and dtypes, else a call.

        The result is the caller's: the next replay does not change it. Nothing waits for the device.
        """
        recorded = self._recorded.get(_key(compute, inputs))
        if recorded is None:
            return compute(*inputs)
        for place, value in zip(recorded.inputs, inputs, strict=True):
            place.copy_(value, non_blocking=True)
        recorded.graph.replay()
        return recorded.output.clone()

    def has(self, compute: Compute, *inputs: Tensor) -> bool:
        """Whether it would be replayed for inputs of these shapes and dtypes."""
        return _key(compute, inputs) in self._recorded

    def record(self, compute: Compute, *inputs: Tensor, compile_first: bool = True) -> None:
        """Have ``compute`` replayed for inputs of these shapes and dtypes from now on; nothing off a GPU.

        Its output must depend on nothing but the values of the inputs and what never changes.

        Args:
            compute, inputs: what is recorded.
            compile_first: False leaves the compiler out, which takes time for every layer that it meets.
        """
        if not self.records or self.has(compute, *inputs):
            return
        compiles = self._compile_first and compile_first
        ways = {"not compiled": torch.compile(compute, dynamic=False)} if compiles else {}
        for what_then, way in {**ways, "not recorded": compute}.items():
            try:
                self._record(compute, way, inputs)
                return
            except torch.cuda.OutOfMemoryError:
                raise
            except RuntimeError as error:  # what the compiler raises is one
                _LOG.warning("%s: %s", what_then, (str(error).splitlines() or [repr(error)])[0])

    def _record(self, compute: Compute, faster: Compute, inputs: tuple[Tensor, ...]) -> None:
        with torch.cuda.device(self._device):
            places = tuple(value.clone() for value in inputs)
            beside = new_stream(self._device)  # nothing may be recorded on the default stream
            assert beside is not None
            beside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(beside):
                for _ in range(_WARM_UP_RUNS):
                    faster(*places)
            torch.cuda.current_stream().wait_stream(beside)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self._pool, stream=beside):
                output = faster(*places)
            self._pool = graph.pool()
        self._recorded[_key(compute, inputs)] = _Recorded(graph, places, output)


def _key(compute: Compute, inputs: tuple[Tensor, ...]) -> _Key:
    return compute, tuple((value.shape, value.dtype) for value in inputs)
