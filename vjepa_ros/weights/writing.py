"""What is written of weights: a sidecar that says what they are, and the file of a predictor alone with its own.

It knows no presets and no folders: whoever calls it says where the files go, and sees that they appear together
(:func:`vjepa_ros.files.whole`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

import vjepa_ros
from vjepa_ros.config.sidecar import Sidecar, sidecar_path
from vjepa_ros.weights.safetensors_file import write_safetensors
from vjepa_ros.weights.values import part_hash


@dataclass(frozen=True)
class MadeFor:
    """What a sidecar says besides the weights: the model, and what was done in its training.

    Attributes:
        preset, sizes, convention, normalization: as in :class:`vjepa_ros.config.sidecar.Sidecar`.
    """

    preset: str
    sizes: dict[str, Any]
    convention: dict[str, Any]
    normalization: dict[str, Any]


def sidecar_of(
    parts: Mapping[str, Mapping[str, Tensor]],
    made_for: MadeFor,
    source: Mapping[str, str],
    encoder_hash: str | None = None,
) -> Sidecar:
    """The sidecar of parts that are written to one file.

    Args:
        parts: ``encoder``, ``predictor`` or both; their parameters by name, on the CPU, in one dtype.
        made_for: the model and the convention.
        source: what they were made from, as :attr:`vjepa_ros.config.sidecar.Sidecar.source` has it.
        encoder_hash: of a predictor alone: of the encoder that it was trained with, see
            :func:`vjepa_ros.weights.values.part_hash`.
    """
    (dtype,) = {tensor.dtype for tensors in parts.values() for tensor in tensors.values()}
    known = {} if encoder_hash is None else {"encoder_hash": encoder_hash}
    return Sidecar(
        vjepa_ros=vjepa_ros.__version__,
        preset=made_for.preset,
        sizes=made_for.sizes,
        convention=made_for.convention,
        normalization=made_for.normalization,
        dtype=str(dtype).removeprefix("torch."),
        source=dict(source),
        parts={part: {"hash": part_hash(parts[part]), "source": source["hash"], **known} for part in parts},
    )


def write_predictor(
    path: Path,
    predictor: Mapping[str, Tensor],
    made_for: MadeFor,
    source: Mapping[str, str],
    encoder_hash: str,
) -> Sidecar:
    """Write a predictor alone, to be loaded beside the encoder that it was trained with, and its sidecar next to it.

    Args:
        path: the new file, ending in ``.safetensors``; its sidecar ends in ``.json``.
        predictor: parameters by name, exactly those of the module, on the CPU, in one dtype.
        made_for: the model and the convention that it was trained with.
        source: what it was made from; for one that was trained, file, key and hash of its encoder's weights.
        encoder_hash: 64 hex digits, of the encoder that it was trained with, as it stands in its file
            (:func:`vjepa_ros.weights.checkpoint.encoder_hash`, :attr:`WorldModel.encoder_hash`).

    Returns:
        What the sidecar says.

    Raises:
        CheckpointError: where the package safetensors is not installed, or the disk is full or fails.
        OSError: where the sidecar cannot be written.
    """
    parts = {"predictor": predictor}
    sidecar = sidecar_of(parts, made_for, source, encoder_hash)
    write_safetensors(path, parts)
    sidecar.write(sidecar_path(path))
    return sidecar
