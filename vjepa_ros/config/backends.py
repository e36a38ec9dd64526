"""The rows of what may compute encoder and one-step prediction; the classes that they name do."""

from __future__ import annotations

_RUNTIMES = "vjepa_ros.runtimes"
BACKENDS: dict[str, str] = {
    "torch": f"{_RUNTIMES}.torch_runtime:TorchRuntime",
    "onnxruntime": f"{_RUNTIMES}.onnx_runtime:OnnxRuntime",
    "openvino": f"{_RUNTIMES}.openvino_runtime:OpenVinoRuntime",
}
"""``module:class`` of every one, by the value of ``engine.backend``: what adds one is a row."""

DEFAULT_BACKEND = next(iter(BACKENDS))
