"""What every case of the benchmark is built of: sizes, weights, inputs, our engine and the public models.

Both sides get the same weights: ours by a file, as any user of the engine does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from support import public_code
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.memory import recorded_mb
from benchmarks.shapes import Shape
from vjepa_ros.config.backends import BACKENDS, DEFAULT_BACKEND
from vjepa_ros.config.model import ModelConfig
from vjepa_ros.config.presets import MODEL_PARAMETERS, model_config
from vjepa_ros.engine.loading import load
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import ConfigError
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.runtimes.runtime import find_runtime
from vjepa_ros.weights.safetensors_file import write_safetensors

TOY = {
    "image_size": 64, "encoder_dim": 96, "encoder_heads": 2, "mlp_ratio": 4.0,
    "predictor_dim": 96, "predictor_heads": 3,
}  # fmt: skip
TOY_CANDIDATES = 2
RUNTIMES = tuple(name for name in BACKENDS if name != DEFAULT_BACKEND)
"""What a user of the same model might pick in the place of torch."""


@dataclass(frozen=True)
class Settings:
    """What is the same for all cases of a run.

    Attributes:
        preset: whose sizes are measured.
        device: where.
        layers: of encoder and predictor; None for all that the preset has.
        toy: tiny sizes and few candidates: all is run, and no figure means anything.
        fast: whether the engine packs its layers.
        compiled: whether the public models are timed as ``torch.compile`` makes them, too.
        left_out: where the names of references that are not installed go, each with the reason; None refuses to go on
            without them.
        runtimes: whether other runtimes are timed too, where they are installed.
    """

    preset: str
    device: torch.device
    layers: int | None
    toy: bool = False
    fast: bool = True
    compiled: bool = False
    left_out: dict[str, str] | None = None
    runtimes: bool = False

    def config(self, part: str, preset: str = "", **sizes: Any) -> ModelConfig:
        """The sizes of a case that measures ``part``, ``encoder`` or ``predictor``; the other part has one layer."""
        preset = preset or self.preset
        depth = f"{part}_depth"
        values = {"encoder_depth": 1, "predictor_depth": 1, depth: getattr(model_config(preset), depth)}
        if self.layers is not None:
            values[depth] = min(self.layers, values[depth])
        values["encoder_depth"] = max(
            values["encoder_depth"], model_config(preset).family.level_norms
        )  # one each at least
        values |= {**(TOY if self.toy else {}), **sizes}
        return model_config(preset, **values)


class Setup:
    """One case, ready to be run.

    Args:
        config: the sizes.
        settings: of the run.
        folder: for the weights' file.
        ours: makes of a world model what is timed.
        references: what it is compared with, by name, in float32; the first one's output is what ours must agree with.
            Without any, ours is compared with its own layers, not packed.
        shapes: the bare workload.
        weights: by part; both are written for the engine, which always has both.
        is_whole: whether all that is timed is a whole window or a one-step prediction of one, which other runtimes
            compute too.

    Attributes:
        warm_up_s: how long the engine's first window took, and on a GPU what is compiled and recorded.
        recorded_mb: what graphs keep of a GPU that were recorded.
    """

    def __init__(
        self,
        config: ModelConfig,
        settings: Settings,
        folder: Path,
        ours: Callable[[WorldModel], Callable[[], Tensor]],
        references: Mapping[str, Callable[[], Tensor]],
        shapes: list[Shape],
        weights: Mapping[str, Mapping[str, Tensor]],
        is_whole: bool = False,
    ) -> None:
        self.config, self.references, self.shapes = config, references, shapes
        self._settings, self._make, self._is_whole = settings, ours, is_whole
        self.warm_up_s = self.recorded_mb = 0.0
        self._file = folder / "weights.safetensors"
        write_safetensors(self._file, weights)

    def by_runtimes(self, dtype: str) -> dict[str, Callable[[], Tensor]]:
        """The same by other runtimes, by name, those that are installed and have the device and dtype."""
        able: list[str] = []
        for name in RUNTIMES if self._is_whole and self._settings.runtimes else ():
            with suppress(ConfigError):  # it is not installed, or has not this device and dtype; all else is a fault
                find_runtime(name, str(self._settings.device), dtype)
                able.append(name)
        return {name: self._loaded(dtype, name) for name in able}

    def ours(self, dtype: str, fast: bool | None = None) -> Callable[[], Tensor]:
        """This package's engine in a dtype, with the references' weights; packed as the run says or ``fast``."""
        return self._loaded(dtype, DEFAULT_BACKEND, fast)

    def _loaded(self, dtype: str, backend: str, fast: bool | None = None) -> Callable[[], Tensor]:
        fast = self._settings.fast if fast is None else fast
        sizes = {name: getattr(self.config, name) for name in MODEL_PARAMETERS}
        world_model = load(
            self.config.preset,
            fast=fast,
            checkpoint=str(self._file),
            device=str(self._settings.device),
            dtype=dtype,
            compile_graphs=fast,
            backend=backend,
            **sizes,
        )
        began_s = time.perf_counter()
        world_model.warm_up()  # on a GPU, what is asked for in the model's own shapes is recorded
        made = self._make(world_model)  # and rollouts
        if backend == DEFAULT_BACKEND:
            self.warm_up_s = time.perf_counter() - began_s
            self.recorded_mb = recorded_mb(self._settings.device)
        return made


def drawn_weights(config: ModelConfig) -> dict[str, dict[str, Tensor]]:
    """Random weights of encoder and predictor, float32 on the CPU."""
    with public_code.without_memory():
        parts: dict[str, nn.Module] = {"encoder": Encoder(config), "predictor": Predictor(config)}
    return {part: public_code.drawn(module, seed) for seed, (part, module) in enumerate(parts.items())}


def noise(settings: Settings, *shape: int, seed: int = 7) -> Tensor:
    """Standard normal numbers on the device; the same seed gives the same ones on every device."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(settings.device)


def normal(latents: Tensor) -> Tensor:
    """Layer-normalised in float32, as latents are before they go into a predictor and after they come out."""
    return F.layer_norm(latents.float(), latents.shape[-1:])


PUBLIC, COMPILED = "public code", "public code, compiled"


def of_public(
    settings: Settings,
    make: Callable[[], nn.Module],
    way: Callable[[nn.Module], Callable[[], Tensor]],
    name: str = PUBLIC,
) -> dict[str, Callable[[], Tensor]]:
    """The ways of a public model, by name: as it is, and compiled where that is asked for; none where it is missing.

    Args:
        settings: of the run.
        make: makes the model.
        way: makes of a model what is timed.
        name: of the model.
    """
    try:
        model = make()
    except ConfigError as error:
        if settings.left_out is None or error.parameter != "reference":
            raise
        settings.left_out[name] = error.reason
        return {}
    ways = {name: way(model)}
    if settings.compiled and name == PUBLIC:
        ways[COMPILED] = way(torch.compile(model, dynamic=False))  # type: ignore[arg-type]
    return ways


def public_encoder(config: ModelConfig, settings: Settings, weights: Mapping[str, Tensor]) -> nn.Module:
    """The public encoder on the device."""
    with public_code.without_memory():
        public: nn.Module = public_code.public_encoder(config)
    public.load_state_dict(weights, strict=True, assign=True)
    return public.to(settings.device)


def public_predictor(config: ModelConfig, settings: Settings, weights: Mapping[str, Tensor]) -> nn.Module:
    """The public predictor on the device."""
    public: nn.Module = public_code.public_predictor(config)
    fit = public.load_state_dict(weights, strict=False, assign=True)
    # The public predictor has these two even when it does not use them.
    assert not fit.unexpected_keys and all(name.startswith("extrinsics_encoder.") for name in fit.missing_keys)
    return public.to(settings.device)
