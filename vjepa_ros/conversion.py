"""From a training checkpoint to what inference needs: a ``.safetensors`` and its sidecar, tried out, all or nothing.

Encoder and predictor of one file, or of two that belong together, or one of the two alone.

The two files are written and tried out beside the output (:mod:`vjepa_ros.files`) and moved to their places at the
very end, the weights last: however the program ends, weights that lie there are whole and have their sidecar. It knows
no ROS, no network and no command line (:mod:`vjepa_ros.commands.convert` does).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vjepa_ros import devices, files
from vjepa_ros.config.folder import weights_file
from vjepa_ros.config.model import ModelConfig
from vjepa_ros.config.node import resolve
from vjepa_ros.config.normalization import Normalizations
from vjepa_ros.config.own_weights import RANDOM
from vjepa_ros.config.parts import EngineConfig, WeightsConfig
from vjepa_ros.config.presets import spelled_out
from vjepa_ros.config.sidecar import (
    CONVENTION,
    DTYPES,
    JOINT_NORMALIZATION,
    SIZES,
    SUFFIX,
    Sidecar,
    sidecar_path,
    trained_with,
)
from vjepa_ros.config.table import BY_NAME, effective
from vjepa_ros.engine.loading import build_world_model
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import CheckpointError, ConfigError, OutputError
from vjepa_ros.images.preprocess import IMAGENET_MEAN, IMAGENET_STD
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.model.state_model import StateModel
from vjepa_ros.weights.checkpoint import read_checkpoint
from vjepa_ros.weights.file import PARTS
from vjepa_ros.weights.safetensors_file import write_safetensors
from vjepa_ros.weights.values import Weights, model_hash
from vjepa_ros.weights.writing import MadeFor, sidecar_of

TOOL = "vjepa_convert"

Report = Callable[[str, int, int], None]
"""Called with (what is being done, bytes done, bytes to do)."""


@dataclass(frozen=True)
class Recorded:
    """What a sidecar records of a preset and the settings that replace some of its values.

    Attributes:
        config: the model.
        made_for: what the sidecar is to say of it.
        encoder_key: the only key of a ``.pt`` that the encoder is taken from, or empty; not recorded itself.
    """

    config: ModelConfig
    made_for: MadeFor
    encoder_key: str = ""

    @classmethod
    def of(cls, config: ModelConfig, values: Mapping[str, Any]) -> Recorded:
        """What is recorded of parameters that are validated.

        Args:
            config: the model that they describe.
            values: every parameter's effective value, by name.
        """
        sizes, convention, normalization = (
            {name: values[name] for name in names} for names in (SIZES, CONVENTION, JOINT_NORMALIZATION)
        )
        pixels = {"pixel_mean": _shares(IMAGENET_MEAN), "pixel_std": _shares(IMAGENET_STD)}
        preset = Path(config.preset).name  # a file of one's own is known by its path
        made_for = MadeFor(preset, sizes, convention, {**pixels, **normalization})
        return cls(config, made_for, values["encoder_key"])


def record(
    preset: str, settings: dict[str, Any], predictor_checkpoint: Path | None = None, checkpoint: Path | None = None
) -> Recorded:
    """A preset with some parameters replaced, validated as the node would.

    Args:
        preset: its name, or the path of a file.
        settings: what replaces its values.
        predictor_checkpoint: a file whose sidecar replaces them too, by what the predictor was trained with; the
            settings go before.
        checkpoint: the encoder's weights, that the preset ``auto`` is told by.

    Raises:
        CheckpointError: for a sidecar that makes no sense.
        ConfigError: naming the parameter at fault; also for one that there is not, or that a sidecar does not record.
    """
    recorded = (*SIZES, *CONVENTION, *JOINT_NORMALIZATION)
    for name in settings:
        if name in BY_NAME and name not in (*recorded, "encoder_key"):
            raise ConfigError(name, f"is not recorded with weights; these are: {', '.join(recorded)}")
    settings = spelled_out({**settings, "preset": preset}, checkpoint)
    preset = settings.pop("preset")
    trained = trained_with({}, Sidecar.of_checkpoint(predictor_checkpoint))
    settings = {**{name: value for name, value in trained.items() if value not in (0, [])}, **settings}
    values = effective({"preset": preset, **settings})
    # The node's validation wants joints as well, as many as the model has dimensions; most weights do not know which.
    joints = {
        names: values[names] or [f"joint{index}" for index in range(values[dim])]
        for names, dim in (("joint_names", "action_dim"), ("state_names", "state_dim"))
    }
    made_up = {**joints, "pose.source": "names", "checkpoint": RANDOM}  # nor of which robot; the preset's are not asked
    config = resolve({"preset": preset, **settings, **made_up}).model
    return Recorded.of(config, values)


def convert(
    checkpoint: Path,
    out: Path,
    recorded: Recorded,
    *,
    dtype: str = DTYPES[0],
    encoder_only: bool = False,
    predictor_only: bool = False,
    predictor_checkpoint: Path | None = None,
    trained_with: Path | None = None,
    force: bool = False,
    report: Report = lambda doing, done, total: None,
) -> Sidecar:
    """Write the weights that inference needs to ``out``, and their sidecar next to it.

    Args:
        checkpoint: a ``.pt`` or ``.safetensors`` file, or a folder with one.
        out: the new file, ending in ``.safetensors``.
        recorded: the model, and what the sidecar is to say of it.
        dtype: of the new weights: ``float32`` or ``bfloat16``.
        encoder_only: leave the predictor out, or do without one.
        predictor_only: leave the encoder out; the sidecar then names its hash.
        predictor_checkpoint: a file whose predictor is taken, and not that of ``checkpoint``; its sidecar must say that
            it was trained with the encoder of ``checkpoint``.
        trained_with: with ``predictor_only``, the file of the encoder that the predictor was trained with, where
            ``checkpoint`` has none: the caller's word is taken for it.
        force: replace files that are there already.
        report: is told of the progress.

    Returns:
        What the sidecar says.

    Raises:
        CheckpointError: where the checkpoint is refused, the disk is full, or the result is not the same as its source.
        ConfigError: where ``out`` is called otherwise.
        OutputError: where ``out`` must not be written.
        OSError: where the disk fails.
        EngineError: where the memory does not suffice.
    """
    if trained_with is not None and not predictor_only:
        raise ConfigError("trained_with", "says something of a predictor alone: it goes with `predictor_only`")
    inputs = _Inputs(weights_file(checkpoint), predictor_checkpoint)
    if trained_with is not None:
        inputs = _Inputs(weights_file(trained_with), checkpoint, believed=True)
    _check_places(inputs.paths, out, force)
    with torch.device("meta"):
        encoder, predictor = Encoder(recorded.config), Predictor(recorded.config)
    torch_dtype = devices.DTYPES[dtype]
    parts = PARTS[:1] if encoder_only else PARTS[1:] if predictor_only else PARTS
    modules: dict[str, Encoder | Predictor] = {"encoder": encoder, "predictor": predictor}
    size = _check_space(out, [modules[part] for part in parts], torch_dtype)
    places = (sidecar_path(out), out)  # weights would be taken for whole without their sidecar: they come last
    with devices.failures("converting"), files.whole(places, tool=TOOL, force=force) as new:
        new_sidecar, new_weights = (new[place] for place in places)
        weights = read_checkpoint(
            inputs.encoder,
            encoder,
            predictor,
            sidecar=Sidecar.of_checkpoint(inputs.encoder),
            predictor_path=inputs.predictor,
            predictor_sidecar=Sidecar.of_checkpoint(inputs.predictor),
            believed=inputs.believed,
            encoder_key=recorded.encoder_key,
            dtype=torch_dtype,
            predictor_seed=0 if encoder_only else None,
            on_bytes=lambda done, total: report("reading", done, total),
        )
        report("writing", 0, size)
        tensors = {part: getattr(weights, part) for part in parts}
        write_safetensors(new_weights, tensors)
        report("writing", size, size)
        source = model_hash({part: weights.hashes[part] for part in parts})
        sidecar = sidecar_of(
            tensors,
            recorded.made_for,
            {"file": checkpoint.name, "key": str(weights.checkpoint_key), "hash": source},
            weights.hashes["encoder"] if predictor_only else None,
        )
        sidecar.write(new_sidecar)
        # safetensors writes files that nobody else may read
        new_weights.chmod(new_sidecar.stat().st_mode)
        report("checking", 0, size)
        expected = _outputs(recorded.config, encoder, predictor, weights)
        del weights, tensors, encoder, predictor, modules  # room for the result
        result = WeightsConfig(str(new_weights), encoder_only, 0, Sidecar.of_checkpoint(new_weights))
        if predictor_only:
            own = Sidecar.of_checkpoint(inputs.encoder)
            key = recorded.encoder_key
            result = WeightsConfig(str(inputs.encoder), False, 0, own, str(new_weights), result.sidecar, key)
        _check_result(new_weights, result, recorded.config, dtype, expected)
        report("checking", size, size)
    return sidecar


@dataclass(frozen=True)
class _Inputs:
    """The file of the encoder, that of the predictor where it is another one, and whether they are taken for a pair."""

    encoder: Path
    predictor: Path | None
    believed: bool = False

    @property
    def paths(self) -> list[Path]:
        return [path for path in (self.encoder, self.predictor) if path is not None]


def _check_places(inputs: list[Path], out: Path, force: bool) -> None:
    if out.suffix != SUFFIX:
        raise ConfigError("out", f"{out} must end in {SUFFIX}")
    for path in (out, sidecar_path(out)):
        if any(path.exists() and read.exists() and path.samefile(read) for read in inputs):
            raise OutputError(f"{path}: is the checkpoint itself; give the output another name")
        files.require_free(path, force=force)


def _check_space(out: Path, modules: list[Encoder | Predictor], dtype: torch.dtype) -> int:
    """The bytes that the weights will take, once there is room for them."""
    needed = sum(parameter.numel() * dtype.itemsize for module in modules for parameter in module.parameters())
    free = shutil.disk_usage(out.parent).free
    if needed > free:
        raise CheckpointError(f"{out}: needs {needed / 1e9:.3f} GB, but its disk has {free / 1e9:.3f} GB left")
    return needed


def _outputs(config: ModelConfig, encoder: Encoder, predictor: Predictor, weights: Weights) -> tuple[Tensor, Tensor]:
    dtype = weights.encoder["patch_embed.proj.weight"].dtype
    taken = replace(weights, encoder=dict(weights.encoder), predictor=dict(weights.predictor))  # a model empties them
    as_they_are = Normalizations.of({}, config.action_dim, config.state_dim)
    no_rollouts = StateModel("none", config.action_dim, config.state_dim)
    device = torch.device("cpu")
    return _try_out(WorldModel(config, encoder, predictor, taken, device, dtype, as_they_are, no_rollouts, fast=False))


def _try_out(model: WorldModel) -> tuple[Tensor, Tensor]:
    """What a model makes of one step of noise: its latents and its prediction."""
    config, generator = model.config, torch.Generator().manual_seed(0)
    clip = torch.randn(1, 3, config.stride, *config.image_size, generator=generator)
    actions = torch.randn(1, 1, config.action_dim, generator=generator)
    states = torch.randn(1, 1, config.state_dim, generator=generator)
    latents = model.encode(clip)
    return latents, model.predict(latents, actions, states)


def _check_result(
    path: Path, weights: WeightsConfig, config: ModelConfig, dtype: str, expected: tuple[Tensor, Tensor]
) -> None:
    """Load the new pair of files as a node would, and compare."""
    model = build_world_model(
        config,
        weights,
        EngineConfig("cpu", dtype, 0, fast=False, compile=False),
        Normalizations.of({}, config.action_dim, config.state_dim),
        StateModel("none", config.action_dim, config.state_dim),
    )
    for name, ours, source in zip(("latents", "predictions"), _try_out(model), expected, strict=True):
        if not torch.equal(ours, source):
            difference = (ours - source).abs().max().item()
            raise CheckpointError(f"{path}: gives other {name} than its source (by up to {difference:.1e})")


def _shares(levels: Any) -> list[float]:
    """Grey levels as values from 0 to 1."""
    return [round(float(level) / 255, 6) for level in levels]
