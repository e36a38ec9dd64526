"""Measures what a preset takes, with random weights on the CPU.

    tools/run.sh -m benchmarks.measure_model PRESET [DTYPE] [LAYERS] [IMAGE_SIZE]

What the model adds to the process: the figures of docs/models.md. Linux only: the peak stands in /proc. With fewer
LAYERS of encoder and predictor than they have, the weights of the others are added to what is measured: all that a
window needs besides is given back after each layer.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import torch
from torch import Tensor, nn

import vjepa_ros
from benchmarks.memory import MB, forget_peak, peak_mb
from vjepa_ros.config.presets import model_config
from vjepa_ros.devices import DTYPES
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor


def megabytes(tensors: list[Tensor]) -> float:
    """What tensors hold."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors) / MB


def main(preset: str, dtype: str = "float32", layers: str = "", image_size: str = "") -> None:
    """Print the figures of one preset."""
    given: dict[str, Any] = {"image_size": int(image_size)} if image_size else {}
    config = model_config(preset, **given)
    with torch.device("meta"):
        whole: tuple[nn.Module, ...] = Encoder(config), Predictor(config)
    if layers:
        given |= {"encoder_depth": int(layers), "predictor_depth": int(layers)}
    forget_peak()
    before = peak_mb()
    wm = vjepa_ros.load(preset, dtype=dtype, fast=False, **given)  # packed modules do not say what they hold
    forget_peak()
    start = time.monotonic()
    wm.warm_up()  # a whole window, encoder and predictor
    seconds = time.monotonic() - start
    modules = wm.encoder, wm.predictor
    there, count = ([sum(p.numel() for p in part.parameters()) / 1e6 for part in parts] for parts in (modules, whole))
    weights = megabytes([parameter for module in modules for parameter in module.parameters()])
    tables = megabytes([buffer for module in modules for buffer in module.buffers()])
    left_out = (sum(count) - sum(there)) * DTYPES[dtype].itemsize  # MB
    print(f"{preset} {dtype}: encoder {count[0]:.1f} M, predictor {count[1]:.1f} M parameters")
    most = f"at most {peak_mb() - before + left_out:.0f} MB in all"
    print(f"weights {weights + left_out:.0f} MB, tables {tables:.0f} MB, {most}")
    used = f"with {wm.config.encoder_depth} of {config.encoder_depth} layers, {torch.get_num_threads()} threads"
    print(f"a window of {wm.grid.shape} in {seconds:.1f} s {used}")


if __name__ == "__main__":
    main(*sys.argv[1:])
