"""An encoder and a predictor in files of their own, as training and ``vjepa_convert`` write them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch

from support.checkpoint_files import read, saved_safetensors
from support.conversions import written_preset
from support.reference import SMALL_CHECKPOINT, small_config
from vjepa_ros import conversion
from vjepa_ros.config.sidecar import Sidecar
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.weights.checkpoint import read_checkpoint
from vjepa_ros.weights.values import Weights
from vjepa_ros.weights.writing import MadeFor, write_predictor

TRAINED = 1.25  # what the predictor of a file of its own is multiplied by, so that it is not the encoder's file's


def made_for(folder: Path, **settings: Any) -> MadeFor:
    """What a sidecar says of the small model at 64x64 px."""
    return conversion.record(written_preset(folder), settings).made_for


def trained_predictor() -> dict[str, torch.Tensor]:
    return {name: tensor * TRAINED for name, tensor in read(SMALL_CHECKPOINT).predictor.items()}


def written_predictor(folder: Path, encoder_hash: str | None = None, **settings: Any) -> Path:
    """A predictor alone, of the small checkpoint's encoder unless another one's hash is given."""
    path = folder / "predictor.safetensors"
    known = encoder_hash or read(SMALL_CHECKPOINT).hashes["encoder"]
    source = {"file": "small_ac.pt", "key": "target_encoder", "hash": "0123456789abcdef"}
    write_predictor(path, trained_predictor(), made_for(folder, **settings), source, known)
    return path


def written_encoder(path: Path, scale: float = 1.0, dtype: torch.dtype = torch.float32) -> Path:
    """An encoder alone, without a sidecar."""
    tensors = {name: (tensor * scale).to(dtype) for name, tensor in read(SMALL_CHECKPOINT).encoder.items()}
    return saved_safetensors(path, {"encoder": tensors})


def read_pair(encoder_path: str | Path, predictor_path: str | Path, config: Any = None, **options: Any) -> Weights:
    """Read two files into the small model, each with the sidecar next to it."""
    config = config or small_config()
    with torch.device("meta"):
        encoder, predictor = Encoder(config), Predictor(config)
    return read_checkpoint(
        encoder_path,
        encoder,
        predictor,
        sidecar=Sidecar.of_checkpoint(encoder_path),
        predictor_path=predictor_path,
        predictor_sidecar=Sidecar.of_checkpoint(predictor_path),
        **options,
    )


def other_sizes(**sizes: Any) -> Any:
    """The small model with other sizes, whatever fits together."""
    return dataclasses.replace(small_config(), **sizes)
