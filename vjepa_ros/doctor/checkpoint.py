"""The weights that the parameters name: whether they are there, can be read and fit, and have room on the device.

No tensor is read. It knows no ROS and computes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from vjepa_ros.config.folder import weights_file
from vjepa_ros.config.node import NodeConfig
from vjepa_ros.devices import imitation
from vjepa_ros.doctor.line import Line, ok, warning, wrong
from vjepa_ros.errors import CheckpointError, ConfigError, place
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.runtimes.runtime import find_runtime
from vjepa_ros.weights.fitting import held_by_checkpoint

_TIGHT = 1.3  # what is computed besides takes about as much again as a third of the weights
_MEMINFO = Path("/proc/meminfo")


def checkpoint_lines(
    config: NodeConfig, available: Callable[[torch.device], int | None] | None = None
) -> Iterator[Line]:
    """What is to be said.

    Args:
        config: what the parameters say.
        available: gives the free memory of a device in bytes, None where nobody says; by itself without one.
    """
    with torch.device("meta"):
        encoder, predictor = Encoder(config.model), Predictor(config.model)
    yield _file(config, encoder, predictor)
    count = sum(weight.numel() for part in (encoder, predictor) for weight in part.parameters())
    try:
        runtime = find_runtime(config.engine.backend, config.engine.device, config.engine.dtype)
    except ConfigError as error:
        yield wrong("device", str(error), "set engine.backend, device and dtype to what there is; auto takes a GPU")
        return
    yield _memory(count, runtime.device, runtime.dtype, available or available_bytes)
    if slow := imitation(runtime.device, runtime.dtype):
        yield warning("dtype", slow, "set dtype: auto")


def _file(config: NodeConfig, encoder: Encoder, predictor: Predictor) -> Line:
    weights = config.weights
    if not weights.checkpoint:
        remedy = "name your model's file as checkpoint, unless it is only the way there that you try"
        return warning("checkpoint", "there is none: the weights are random, and forecasts mean nothing", remedy)
    try:
        held = held_by_checkpoint(
            weights.checkpoint, encoder, predictor, sidecar=weights.sidecar,
            predictor_path=weights.predictor_checkpoint or None, predictor_sidecar=weights.predictor_sidecar,
            encoder_key=weights.encoder_key, takes_predictor=not weights.random_predictor,
        )  # fmt: skip
    except CheckpointError as error:
        name = error.parameter or "checkpoint"
        return wrong("checkpoint", str(error), f"set {name} to a file of this model (docs/checkpoints.md)")
    path = weights_file(weights.checkpoint)
    parts = ", ".join(f"{part} {held.nbytes[part] / 1e6:.1f} MB of {held.dtypes[part]}" for part in held.nbytes)
    told = "a sidecar says its convention" if weights.deciding is not None else "no sidecar says its convention"
    found = f"{place(path)} fits: {parts}; {told}; its values are looked at when it is loaded"
    values = {"path": str(path), "bytes": held.nbytes, "key": held.key}
    if weights.random_predictor:
        remedy = "take a file that has a predictor"
        return warning("checkpoint", f"{found}; the predictor is random: forecasts mean nothing", remedy, **values)
    return ok("checkpoint", found, **values)


def _memory(
    count: int, device: torch.device, dtype: torch.dtype, available: Callable[[torch.device], int | None]
) -> Line:
    needed, free = count * dtype.itemsize, available(device)
    weigh = f"{count / 1e6:.1f} M parameters take {needed / 1e6:.1f} MB of {str(dtype).removeprefix('torch.')}"
    values = {"device": str(device), "needed": needed, "free": free}
    if free is None:
        return ok("memory", f"{weigh}; how much is free on {device}, nobody says", **values)
    found = f"{weigh}; {device} has {free / 1e6:.0f} MB free"
    smaller = "free some, or take a smaller preset"
    if not imitation(device, torch.bfloat16):
        smaller = "free some, take a smaller preset, or set dtype: bfloat16"
    if needed > free:
        return wrong("memory", found, smaller, **values)
    if needed * _TIGHT > free:
        return warning("memory", f"{found}, which is tight: what is computed takes some too", smaller, **values)
    return ok("memory", found, **values)


def available_bytes(device: torch.device, meminfo: Path = _MEMINFO) -> int | None:
    """Memory of a device that is free now: of the GPU itself, or what Linux says; None where nobody says."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        lines = meminfo.read_text(encoding="ascii", errors="replace").splitlines()
        kilobytes = next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))
        return int(kilobytes) * 1024
    except (OSError, StopIteration, ValueError, IndexError):
        return None
