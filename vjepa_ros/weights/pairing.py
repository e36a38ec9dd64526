"""A predictor of its own file beside an encoder's: it must say which encoder it was trained with, and that must be it.

What counts is the hash of the encoder's weights (:func:`vjepa_ros.weights.values.part_hash`), never a file's name. It
reads nothing itself.
"""

from __future__ import annotations

from pathlib import Path

from vjepa_ros.config.sidecar import SUFFIX, Sidecar, differing_views, sidecar_path
from vjepa_ros.errors import CheckpointError, place
from vjepa_ros.weights.file import WeightsFile

_SHOWN = 16  # digits of a hash


def unknown(predictor: Path) -> str:
    """Of a predictor's file: that nothing says which encoder it was trained with, and what can be done."""
    lacks = f"there is no {place(sidecar_path(predictor))}" if predictor.suffix == SUFFIX else f"it is no {SUFFIX}"
    return (
        f"does not say which encoder it was trained with: {lacks}, whose sidecar has its `encoder_hash`; vjepa_convert "
        "writes both, with `predictor_only`"
    )


def require_pair(predictor: Path, sidecar: Sidecar, encoder: Path, encoder_hash: str) -> None:
    """Refuse a predictor that was trained with another encoder.

    Args:
        predictor, sidecar: its file, and what stands next to it.
        encoder, encoder_hash: the file of the encoder, and the hash of what it holds.

    Raises:
        CheckpointError: naming both files and both hashes.
    """
    if sidecar.encoder_hash != encoder_hash:
        raise CheckpointError(
            f"{place(predictor)}: was trained with the encoder {sidecar.encoder_hash[:_SHOWN]}, but that of "
            f"{place(encoder)} is {encoder_hash[:_SHOWN]}; name the file of its own encoder as `checkpoint`, in the "
            "dtype that it was trained with"
        )


def notes(encoder: WeightsFile, encoder_sidecar: Sidecar | None, predictor_sidecar: Sidecar | None) -> tuple[str, ...]:
    """What users should know about two files that are used together, a sentence each."""
    unused = f"{place(encoder.path)}: its own predictor is not used, but that of `predictor_checkpoint`"
    return (*((unused,) if encoder.predictor is not None else ()), *differing_views(encoder_sidecar, predictor_sidecar))
