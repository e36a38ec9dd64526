"""The model file of a training: encoder and predictor, or the predictor alone with the encoder's hash; and its sidecar,
which carries the whole convention, so that a node refuses to run it with another one.

It knows no recordings and no losses; whoever calls it sees that both files appear together
(:func:`vjepa_ros.files.whole`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vjepa_ros.config.node import NodeConfig
from vjepa_ros.config.normalization import Normalizations
from vjepa_ros.config.parts import EngineConfig, WeightsConfig
from vjepa_ros.config.sidecar import ENCODER_SIZES, Sidecar, sidecar_path
from vjepa_ros.conversion import Recorded
from vjepa_ros.engine.loading import build_world_model
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.model.state_model import StateModel
from vjepa_ros.weights.checkpoint import read_checkpoint
from vjepa_ros.weights.safetensors_file import write_safetensors
from vjepa_ros.weights.values import model_hash, part_hash
from vjepa_ros.weights.writing import MadeFor, sidecar_of


@dataclass(frozen=True)
class EncoderFile:
    """Where the frozen encoder is, by the time that the predictor is trained.

    Attributes:
        path: a weights file.
        sidecar: what stands next to it.
        is_own: whether it was trained here: then it goes into the model file.
    """

    path: Path
    sidecar: Sidecar | None
    is_own: bool

    @classmethod
    def at(cls, path: str | Path, *, is_own: bool = False) -> EncoderFile:
        """One with what stands next to it.

        Raises:
            CheckpointError: for a sidecar that makes no sense.
        """
        return cls(Path(path), Sidecar.of_checkpoint(path), is_own)


def encoding_model(file: EncoderFile, config: NodeConfig, engine: EngineConfig) -> WorldModel:
    """A world model whose encoder is a file's; its predictor is random, and not to be asked.

    Raises:
        ConfigError: for a device or dtype that is not there.
        CheckpointError: for a file that is missing, broken or made for another model, or damaged.
    """
    if file.sidecar is not None:  # which may be of another predictor: that one is not read
        file.sidecar.require_sizes(config.model, file.path, ENCODER_SIZES)
    model = build_world_model(
        config.model, _alone(file, config), engine, config.normalization, _state_model(config)
    )  # fmt: skip
    if file.sidecar is not None and "encoder" in file.sidecar.parts:
        file.sidecar.require_parts({"encoder": model.encoder_hash}, file.path, sidecar_path(file.path))
    return model


def write_encoder(path: Path, encoder: nn.Module, config: NodeConfig) -> str:
    """Write an encoder alone, with its sidecar.

    Returns:
        Its hash, 64 hex digits.

    Raises:
        CheckpointError, OSError: where the disk is full or fails.
    """
    parts = {"encoder": _tensors(encoder)}
    digits = part_hash(parts["encoder"])
    source = {"file": path.name, "key": "encoder", "hash": model_hash({"encoder": digits})}
    write_safetensors(path, parts)
    sidecar_of(parts, made_for(config, config.normalization, config.model.most_context), source).write(
        sidecar_path(path)
    )  # fmt: skip
    return digits


def made_for(config: NodeConfig, normalization: Normalizations, context_steps: int) -> MadeFor:
    """What the sidecar says: the model, and the convention that it was trained with.

    Args:
        config: of the training.
        normalization: of actions and states.
        context_steps: that the predictor was trained with at most; said where they are not all of a window.
    """
    stated = {
        f"{name}.{what}": list(getattr(getattr(normalization, name), what))
        for name in ("actions", "states")
        for what in ("mean", "std")
    }
    context = 0 if context_steps == config.model.steps else context_steps
    return Recorded.of(config.model, {**config.parameters, **stated, "context_steps": context}).made_for


def write_model(
    weights: Path,
    sidecar: Path,
    predictor: nn.Module,
    encoder: EncoderFile,
    encoder_hash: str,
    about: MadeFor,
    config: NodeConfig,
    *,
    with_encoder: bool,
) -> Sidecar:
    """Write a model and its sidecar.

    Args:
        weights, sidecar: where to.
        predictor: trained, float32, on the CPU.
        encoder: that it was trained with.
        encoder_hash: of it, as it stands in its file.
        about: see :func:`made_for`.
        config: of the training.
        with_encoder: write the encoder too, in float32; else the sidecar names its hash.

    Returns:
        What the sidecar says.

    Raises:
        CheckpointError: where the encoder cannot be read again, or the disk is full or fails.
        OSError: where the disk fails.
    """
    parts: dict[str, Mapping[str, Tensor]] = {"predictor": _tensors(predictor)}
    if with_encoder:
        parts = {"encoder": _encoder_tensors(encoder, config), **parts}
    source = {"file": encoder.path.name, "key": "encoder", "hash": model_hash({"encoder": encoder_hash})}
    said = sidecar_of(parts, about, source, None if with_encoder else encoder_hash)
    write_safetensors(weights, parts)
    said.write(sidecar)
    weights.chmod(sidecar.stat().st_mode)  # safetensors writes files that nobody else may read
    return said


def load_written(
    weights: Path, encoder: EncoderFile, config: NodeConfig, normalization: Normalizations, context_steps: int,
    engine: EngineConfig,
) -> WorldModel:  # fmt: skip
    """The model that was written, as a node loads it.

    Args:
        weights: the new file.
        encoder: to be loaded beside it, where it has none of its own.
        config: of the training.
        normalization, context_steps: as its sidecar says them.
        engine: where and how it computes.

    Raises:
        CheckpointError: where it does not load.
    """
    own = Sidecar.of_checkpoint(weights)
    assert own is not None, "it was just written"
    where = WeightsConfig(str(weights), False, 0, own)
    if "encoder" not in own.parts:
        # Its own sidecar may be of other sizes than this predictor's; the pair is held together by the hash.
        where = replace(_alone(encoder, config), random_predictor=False, predictor_checkpoint=str(weights),
                        predictor_sidecar=own)  # fmt: skip
    sizes = replace(config.model, context_steps=context_steps)
    return build_world_model(sizes, where, engine, normalization, _state_model(config))


def _alone(file: EncoderFile, config: NodeConfig) -> WeightsConfig:
    """An encoder without what its file says of a predictor."""
    return WeightsConfig(str(file.path), True, 0, encoder_key=config.weights.encoder_key)


def _state_model(config: NodeConfig) -> Any:
    """How actions advance states, or why nobody knows."""
    if config.state_change is None:
        return config.no_state_change
    return StateModel(config.state_change, config.model.action_dim, config.model.state_dim)


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    """Parameters by name, as they are written."""
    return {name: parameter.detach().cpu().float().contiguous() for name, parameter in module.named_parameters()}


def _encoder_tensors(file: EncoderFile, config: NodeConfig) -> dict[str, Tensor]:
    with torch.device("meta"):
        encoder, predictor = Encoder(config.model), Predictor(config.model)
    return read_checkpoint(
        file.path, encoder, predictor, sidecar=None, encoder_key=config.weights.encoder_key, dtype=torch.float32,
        predictor_seed=0,
    ).encoder  # fmt: skip
