"""OpenVINO: on a CPU, and on a GPU or NPU of Intel. What it does not compute, torch does on the CPU."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vjepa_ros.devices import DTYPES, find_device, find_dtype
from vjepa_ros.errors import ConfigError, brief, listed
from vjepa_ros.runtimes.graphs import GraphOf
from vjepa_ros.runtimes.runtime import package

FLOAT32, HALF = 1e-4, {torch.float16: 0.05, torch.bfloat16: 0.3}
"""How far a value of about one may be from torch's (measured: docs/runtimes.md)."""
_DEVICES = r"(?:CPU|GPU|NPU)(?:\.\d+)?"
_HINTS = {torch.float32: "f32", torch.bfloat16: "bf16", torch.float16: "f16"}


class OpenVinoRuntime:
    """See :class:`.Runtime`. ``device`` is one of its own: ``cpu``, ``gpu``, ``gpu.1``, ``npu``; ``auto`` takes a GPU
    where it finds one. ``auto`` of ``dtype`` is float32 on a CPU and float16 elsewhere, torch's part float32.
    """

    def __init__(self, device: str, dtype: str) -> None:
        library = package("openvino", "openvino")
        package("onnx", "openvino")
        self._core = library.Core()
        there = list(self._core.available_devices)
        self._on = _own_device(device, there)
        self.device = find_device("cpu")
        computed = "float16" if dtype == "auto" and not self._on.startswith("CPU") else dtype
        self.dtype = find_dtype(dtype, self.device)
        self._computed = DTYPES.get(computed, self.dtype)
        self.graph_dtype = torch.float32  # it rounds on its own, when it compiles
        self.tolerance = HALF.get(self._computed, FLOAT32)
        self.name = f"openvino {library.__version__.split('-')[0]} ({self._on})"

    def open(self, path: Path, graph: GraphOf) -> OpenVinoSession:
        options: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": _HINTS[self._computed],
        }
        if self._on.startswith("CPU"):
            options["INFERENCE_NUM_THREADS"] = torch.get_num_threads()
        model = self._core.read_model(str(path))
        return OpenVinoSession(self._core.compile_model(model, self._on, options), graph)


class OpenVinoSession:
    """See :class:`.Session`."""

    def __init__(self, compiled: Any, graph: GraphOf) -> None:
        self._request, self._graph = compiled.create_infer_request(), graph

    def __call__(self, *inputs: Tensor) -> Tensor:
        values = [value.float().contiguous().numpy() for value in inputs]
        found = self._request.infer(dict(zip(self._graph.inputs, values, strict=True)), share_inputs=True)
        return torch.from_numpy(found[next(iter(self._graph.outputs))])


def _own_device(name: str, there: list[str]) -> str:
    """OpenVINO's name of a device, once it is there."""
    if name == "auto":
        return next((device for device in there if device.startswith("GPU")), "CPU")
    wanted = name.upper() if isinstance(name, str) else ""
    if not re.fullmatch(_DEVICES, wanted):
        raise ConfigError("device", f"{brief(name)} is none of OpenVINO's, which are called cpu, gpu, gpu.1, npu")
    if wanted not in there and f"{wanted}.0" not in there:
        raise ConfigError("device", f"OpenVINO finds no {wanted} here; it finds {listed(there)}")
    return wanted
