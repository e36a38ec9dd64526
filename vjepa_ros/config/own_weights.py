"""Weights that come with a preset, as files of the package: what an empty ``checkpoint`` stands for.

It knows where they lie, and what else a checkpoint may be called. It reads no weights.
"""

from __future__ import annotations

from pathlib import Path

import vjepa_ros
from vjepa_ros.config.model import ModelConfig
from vjepa_ros.config.sidecar import Sidecar
from vjepa_ros.errors import CheckpointError, ConfigError

RANDOM = "random"
"""As a checkpoint: seeded random weights, also of a preset that has weights of its own."""
_SUFFIX = ".safetensors"


def own_weights(preset: str | Path) -> Path | None:
    """The file of weights that comes with a preset; None where it has none, as somebody's own preset file never has."""
    name = str(preset)
    path = Path(vjepa_ros.__file__).resolve().parent / "weights" / f"{name}{_SUFFIX}"
    return path if name == path.stem and path.is_file() else None


def checkpoint_of(preset: str | Path, checkpoint: str | Path | None) -> str:
    """The path of the weights that a checkpoint stands for; empty for random ones.

    Args:
        preset: name of a preset that comes with the package, or the path of a ``.yaml`` file.
        checkpoint: a path; :data:`RANDOM`; None or empty for the weights that come with the preset, if some do.
    """
    if str(checkpoint) == RANDOM:
        return ""
    return str(checkpoint or own_weights(preset) or "")


def require_own_sizes(given: str | Path | None, path: str, sidecar: Sidecar | None, config: ModelConfig) -> None:
    """Refuse other sizes than those of the weights that come with the preset.

    Args:
        given: the checkpoint, as somebody has set it.
        path: what it stands for.
        sidecar: of that file.
        config: the sizes.

    Raises:
        ConfigError: naming the sizes at fault, and what to do.
    """
    if given or not path or sidecar is None:
        return
    try:
        sidecar.require_sizes(config, Path(path))
    except CheckpointError as error:
        raise ConfigError(
            "checkpoint", f"{error}; for sizes of your own set checkpoint: {RANDOM}, or name a file of that model"
        ) from error
