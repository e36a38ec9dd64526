"""Devices, precision, accumulation and several processes: Accelerate's, which is part of the extra ``train``.

It knows no losses and no data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from vjepa_ros.devices import find_device
from vjepa_ros.errors import ConfigError
from vjepa_ros.training.learning import Learning

if TYPE_CHECKING:
    from accelerate import Accelerator

EXTRA = "pip install 'vjepa_ros[train]'"


def accelerator(learning: Learning) -> Accelerator:
    """What Accelerate makes of it in this process: one of several where torchrun has started it.

    Raises:
        ConfigError: where Accelerate is not installed, or there is no such device.
    """
    try:
        from accelerate import Accelerator
        from accelerate.state import AcceleratorState
    except ImportError as error:
        raise missing("accelerate", error) from error
    # One process trains several things, and each has a precision of its own: Accelerate keeps the first one's.
    AcceleratorState._reset_state(reset_partial_state=True)
    device = find_device(learning.device)
    if device.index is not None and device.type == "cuda":
        torch.cuda.set_device(device)
    return Accelerator(
        cpu=device.type == "cpu",
        mixed_precision="bf16" if learning.precision == "bfloat16" else "no",
        gradient_accumulation_steps=learning.accumulate,
    )


def event_writer(folder: str, begin: int) -> Any:
    """Writes TensorBoard's event files; what was written of steps from ``begin`` on does not count any longer.

    Raises:
        ConfigError: where tensorboardX is not installed.
    """
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise missing("tensorboardX", error) from error
    return SummaryWriter(folder, purge_step=begin)


def missing(package: str, error: ImportError) -> ConfigError:
    """What is raised where a package of the extra is not there."""
    return ConfigError("training", f"needs the package {package}, which a robot does not: {EXTRA} ({error})")
