"""ONNX Runtime: with TensorRT or CUDA on a GPU of NVIDIA, with OpenVINO or its own kernels on a CPU.

Which of them there are is a matter of the build of onnxruntime that is installed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vjepa_ros.devices import find_device, find_dtype
from vjepa_ros.errors import ConfigError, listed
from vjepa_ros.runtimes.graphs import GraphOf
from vjepa_ros.runtimes.runtime import BACKEND, package

FLOAT32, HALF = 1e-4, 0.05
"""How far a value of about one may be from torch's, in float32 and in float16 (measured: docs/runtimes.md)."""
_SUFFIX = "ExecutionProvider"
_PROVIDERS = {"cpu": ("OpenVINO", "CPU"), "cuda": ("Tensorrt", "CUDA")}
"""By torch's kind of device, the first choice first."""
_ERRORS_ONLY = 3  # of what the library writes to stderr on its own


class OnnxRuntime:
    """See :class:`.Runtime`. In float16 the graphs are too; what has no kernel for it, it computes in float32."""

    def __init__(self, device: str, dtype: str) -> None:
        self._library = package("onnxruntime", "onnx")
        package("onnx", "onnx")
        self.device = find_device(device)
        kind = self.device.type
        there = [name.removesuffix(_SUFFIX) for name in self._library.get_available_providers()]
        self._providers = [name for name in _PROVIDERS.get(kind, ()) if name in there]
        if not self._providers:
            raise ConfigError(
                BACKEND, f"this onnxruntime computes nothing on {kind}: its providers are {listed(there)}; install "
                "another build of it, or choose another device"
            )  # fmt: skip
        on_gpu = "float16" if kind == "cuda" else "float32"
        self.dtype = find_dtype(on_gpu if dtype == "auto" else dtype, self.device)
        if self.dtype not in (torch.float32, torch.float16):
            raise ConfigError("dtype", "onnxruntime computes in float32 or float16: choose one of them, or auto")
        self.graph_dtype = self.dtype
        self.tolerance = FLOAT32 if self.dtype == torch.float32 else HALF
        self.name = f"onnxruntime {self._library.__version__} ({', '.join(self._providers)})"

    def open(self, path: Path, graph: GraphOf, output: int = 0) -> OnnxSession:
        """See :class:`.Runtime`; ``output`` is the place of the one that is wanted."""
        options = self._library.SessionOptions()
        options.log_severity_level = _ERRORS_ONLY
        options.intra_op_num_threads = torch.get_num_threads()
        # Threads that wait for work in a loop would keep the cores from whoever receives messages.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        of_device = {} if self.device.type == "cpu" else {"device_id": str(self.device.index or 0)}
        providers: list[Any] = [(f"{name}{_SUFFIX}", of_device) for name in self._providers]
        if self.device.type != "cpu":
            providers.append(f"CPU{_SUFFIX}")  # for what a GPU has no kernel for
        try:
            session = self._library.InferenceSession(str(path), options, providers=providers)
        except Exception as error:  # its errors have no other ancestor
            raise RuntimeError(f"onnxruntime refuses the {graph.part}: {error}") from error
        return OnnxSession(session, graph, self.device, output)


class OnnxSession:
    """See :class:`.Session`. It reads and writes torch's own memory: nothing is copied."""

    def __init__(self, session: Any, graph: GraphOf, device: torch.device, output: int) -> None:
        self._session, self._graph, self._device = session, graph, device
        self._name, self._shape = list(graph.outputs.items())[output]

    def __call__(self, *inputs: Tensor) -> Tensor:
        output = torch.empty(self._shape, dtype=torch.float32, device=self._device)
        binding = self._session.io_binding()
        place = (self._device.type, self._device.index or 0, np.float32)
        values = [value.float().contiguous() for value in inputs]  # kept until it is done
        for input_name, value in zip(self._graph.inputs, values, strict=True):
            binding.bind_input(input_name, *place, tuple(value.shape), value.data_ptr())
        binding.bind_output(self._name, *place, self._shape, output.data_ptr())
        if self._device.type == "cuda":  # it has a stream of its own
            torch.cuda.current_stream(self._device).synchronize()
        try:
            self._session.run_with_iobinding(binding)
        except Exception as error:  # its errors have no other ancestor
            raise RuntimeError(f"onnxruntime: {error}") from error
        return output
