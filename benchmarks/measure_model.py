"""Measures what a preset takes, with random weights on the CPU.

    tools/run.sh -m benchmarks.measure_model PRESET [DTYPE]

What the model adds to the process: the figures of docs/models.md. Linux only: the peak stands in /proc.
"""

from __future__ import annotations

import sys
import time

import torch
from torch import Tensor

import vjepa_ros
from benchmarks.memory import MB, forget_peak, peak_mb


def megabytes(tensors: list[Tensor]) -> float:
    """What tensors hold."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors) / MB


def main(preset: str, dtype: str = "float32") -> None:
    """Print the figures of one preset."""
    forget_peak()
    before = peak_mb()
    wm = vjepa_ros.load(preset, dtype=dtype, fast=False)  # packed modules do not say what they hold
    forget_peak()
    start = time.monotonic()
    wm.warm_up()  # a whole window, encoder and predictor
    seconds = time.monotonic() - start
    modules = wm.encoder, wm.predictor
    count = [sum(parameter.numel() for parameter in module.parameters()) / 1e6 for module in modules]
    weights = megabytes([parameter for module in modules for parameter in module.parameters()])
    tables = megabytes([buffer for module in modules for buffer in module.buffers()])
    print(f"{preset} {dtype}: encoder {count[0]:.1f} M, predictor {count[1]:.1f} M parameters")
    print(f"weights {weights:.0f} MB, tables {tables:.0f} MB, at most {peak_mb() - before:.0f} MB in all")
    print(f"a window of {wm.grid.shape} in {seconds:.1f} s with {torch.get_num_threads()} threads")


if __name__ == "__main__":
    main(*sys.argv[1:])
