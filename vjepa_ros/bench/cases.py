"""The works that are timed: for each one our way, the public way, the same weights and inputs, and its shapes.

A case is described here and built when it is its turn; how it is measured stands in :mod:`vjepa_ros.bench.measure`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vjepa_ros import engine
from vjepa_ros.bench import reference
from vjepa_ros.bench.agreement import CHAINED_TOLERANCE, FOLDED_TOLERANCE, TOLERANCE
from vjepa_ros.bench.shapes import Shape, encoder_shapes, predict_shapes, rollout_shapes
from vjepa_ros.config import ModelConfig
from vjepa_ros.engine import WorldModel
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.grid import Grid
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.model.presets import load_preset, model_config
from vjepa_ros.model.weights_file import write_safetensors
from vjepa_ros.stream.states import StateModel

RELEASED = "vjepa2_ac_vitg"
"""The preset of the released size."""

TOY = {
    "image_size": 64, "encoder_dim": 96, "encoder_heads": 2, "mlp_ratio": 4.0,
    "predictor_dim": 96, "predictor_heads": 3,
}  # fmt: skip
TOY_CANDIDATES = 2

TRANSFORMERS, PUBLIC = "transformers", "public code"


@dataclass(frozen=True)
class Settings:
    """What is the same for all cases of a run.

    Attributes:
        preset: whose sizes are measured.
        device: where.
        layers: of encoder and predictor; None for all that the preset has.
        toy: tiny sizes and few candidates: all is run, and no figure means anything.
        fast: the fast path of the engine; False for the plain one.
        sizes: model parameters that replace the preset's.
    """

    preset: str
    device: torch.device
    layers: int | None
    toy: bool = False
    fast: bool = True
    sizes: Mapping[str, Any] = field(default_factory=dict)

    def config(self, part: str, preset: str = "", **sizes: Any) -> ModelConfig:
        """The sizes of a case that measures ``part``, ``encoder`` or ``predictor``; the other part has one layer."""
        preset = preset or self.preset
        depth = f"{part}_depth"
        values = {"encoder_depth": 1, "predictor_depth": 1, depth: getattr(model_config(preset), depth)}
        if self.layers is not None:
            values[depth] = min(self.layers, values[depth])
        values |= {**sizes, **(TOY if self.toy else {}), **self.sizes}
        return model_config(preset, **values)


class Setup:
    """One case, ready to be run.

    Args:
        config: the sizes.
        settings: of the run.
        folder: for the weights' file.
        ours: makes of a world model what is timed.
        references: what it is compared with, by name, in float32; the first one's output is what ours must agree with.
        shapes: the bare work.
        weights: by part; both are written for the engine, which always has both.
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
    ) -> None:
        self.config, self.references, self.shapes = config, references, shapes
        self._settings, self._make = settings, ours
        self._file = folder / "weights.safetensors"
        write_safetensors(self._file, weights)

    def ours(self, dtype: str) -> Callable[[], Tensor]:
        """This package's engine in a dtype, with the references' weights."""
        sizes = {name: getattr(self.config, name) for name in load_preset(self.config.preset) if _is_size(name)}
        world_model = load_engine(
            self.config.preset,
            fast=self._settings.fast,
            checkpoint=str(self._file),
            device=str(self._settings.device),
            dtype=dtype,
            **sizes,
        )
        return self._make(world_model)


def _is_size(name: str) -> bool:
    return name in ModelConfig.__dataclass_fields__


def load_engine(preset: str, *, fast: bool, **options: Any) -> WorldModel:
    """The engine by its fast or its plain path, where it has both."""
    chosen = {"fast": fast} if "fast" in inspect.signature(engine.load).parameters else {}
    return engine.load(preset, **chosen, **options)


@dataclass(frozen=True)
class Case:
    """A work that is timed.

    Attributes:
        name: to ask for it.
        what: in words.
        aims: ratios to the reference that this project is after, per dtype, on a CPU with two cores.
        build: makes it.
        worst: how far a single value may be from the reference's in float32.
    """

    name: str
    what: str
    aims: Mapping[str, float]
    build: Callable[[Settings, Path], Setup]
    worst: float = TOLERANCE


# -- building


def _weights(config: ModelConfig) -> dict[str, dict[str, Tensor]]:
    with reference.without_memory():
        parts: dict[str, nn.Module] = {"encoder": Encoder(config), "predictor": Predictor(config)}
    return {part: reference.drawn(module, seed) for seed, (part, module) in enumerate(parts.items())}


def _random(settings: Settings, *shape: int, seed: int = 7) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(settings.device)


def _normal(latents: Tensor) -> Tensor:
    return F.layer_norm(latents.float(), latents.shape[-1:])


def _public_encoder(config: ModelConfig, settings: Settings, weights: Mapping[str, Tensor]) -> nn.Module:
    with reference.without_memory():
        public = reference.public_encoder(config)
    public.load_state_dict(weights, strict=True, assign=True)
    return public.to(settings.device)


def _public_predictor(config: ModelConfig, settings: Settings, weights: Mapping[str, Tensor]) -> nn.Module:
    public = reference.public_predictor(config)
    fit = public.load_state_dict(weights, strict=False, assign=True)
    # The public predictor has these two even when it does not use them.
    assert not fit.unexpected_keys and all(name.startswith("extrinsics_encoder.") for name in fit.missing_keys)
    return public.to(settings.device)


def _clip(settings: Settings, folder: Path, **sizes: Any) -> Setup:
    """A whole window through the encoder, as one video."""
    config = settings.config("encoder", encoding="clip", **sizes)
    clip = _random(settings, 1, 3, config.num_frames, *config.image_size)
    weights = _weights(config)
    public = _public_encoder(config, settings, weights["encoder"])
    references = {PUBLIC: lambda: reference.run(public, clip)}
    if config.image_size[0] == config.image_size[1]:
        other = reference.transformers_encoder(config, weights["encoder"]).to(settings.device)
        references[TRANSFORMERS] = lambda: reference.run(other, clip)
    shapes = encoder_shapes(config, 1, Grid.of(config).tokens)
    return Setup(
        config, settings, folder, lambda wm: lambda: wm.encode(clip, normalize=False), references, shapes, weights
    )


def _frame(settings: Settings, folder: Path) -> Setup:
    """A frame that is repeated and encoded alone."""
    config = settings.config("encoder", encoding="frame_repeat", num_frames=2)
    clip = _random(settings, 1, 3, 1, *config.image_size)
    weights = _weights(config)
    public = _public_encoder(config, settings, weights["encoder"])
    repeated = clip.repeat(1, 1, config.tubelet_size, 1, 1)
    other = reference.transformers_encoder(config, weights["encoder"]).to(settings.device)
    references = {
        PUBLIC: lambda: reference.run(public, repeated),
        TRANSFORMERS: lambda: reference.run(other, repeated),
    }
    shapes = encoder_shapes(config, 1, Grid.of(config).tokens_per_step)
    return Setup(
        config, settings, folder, lambda wm: lambda: wm.encode(clip, normalize=False), references, shapes, weights
    )


def _next_window(settings: Settings, folder: Path) -> Setup:
    """The newest of 16 frames that are encoded alone, the others' latents being there; the public way encodes all."""
    config = settings.config("encoder", encoding="frame_repeat", num_frames=16)
    clip = _random(settings, 1, 3, config.num_frames, *config.image_size)
    weights = _weights(config)
    public = _public_encoder(config, settings, weights["encoder"])
    frames = clip[0].transpose(0, 1)[:, :, None]  # (N, 3, 1, H, W)
    repeated = frames.repeat(1, 1, config.tubelet_size, 1, 1)

    def ours(world_model: WorldModel) -> Callable[[], Tensor]:
        kept = world_model.encode(clip[:, :, :-1])
        return lambda: torch.cat([kept, world_model.encode(clip[:, :, -1:])], dim=1)

    references = {PUBLIC: lambda: _normal(reference.run(public, repeated).flatten(0, 1)[None])}
    shapes = encoder_shapes(config, 1, Grid.of(config).tokens_per_step)
    return Setup(config, settings, folder, ours, references, shapes, weights)


def _predict(settings: Settings, folder: Path, preset: str = "") -> Setup:
    """Each of eight steps' successor."""
    config = settings.config("predictor", preset)
    steps = Grid.of(config).steps
    context = _normal(_random(settings, 1, Grid.of(config).tokens, config.encoder_dim))
    actions = _random(settings, 1, steps, config.action_dim)
    states = _random(settings, 1, steps, config.state_dim, seed=8)
    weights = _weights(config)
    public = _public_predictor(config, settings, weights["predictor"])
    references = {PUBLIC: lambda: _normal(reference.run(public, context, actions, states))}
    shapes = predict_shapes(config, 1)
    return Setup(
        config, settings, folder, lambda wm: lambda: wm.predict(context, actions, states), references, shapes, weights
    )


def rollout(settings: Settings, folder: Path, *, candidates: int, observed: int, horizon: int) -> Setup:
    """``horizon`` steps ahead for each of ``candidates`` action sequences, after ``observed`` steps."""
    config = settings.config("predictor")
    candidates = min(candidates, TOY_CANDIDATES) if settings.toy else candidates
    size = Grid.of(config).tokens_per_step
    context = _normal(_random(settings, 1, observed * size, config.encoder_dim))
    past = _random(settings, 1, observed - 1, config.action_dim)
    states = _random(settings, 1, observed, config.state_dim, seed=8)
    future = _random(settings, candidates, horizon, config.action_dim, seed=9)
    weights = _weights(config)
    public = _public_predictor(config, settings, weights["predictor"])
    # The states are given to the public way: its own update, a loop in Python over candidates, is not timed.
    advance = StateModel.of_convention(load_preset(config.preset), config.action_dim, config.state_dim)
    ahead = torch.from_numpy(
        advance.unroll(states[0, -1:].cpu().double().numpy(), future[:, :-1].cpu().double().numpy())
    )
    all_states = torch.cat([states.expand(candidates, -1, -1), ahead.to(states)], dim=1)  # (K, t+H-1, S)
    all_actions = torch.cat([past.expand(candidates, -1, -1), future], dim=1)  # (K, t+H-1, A)

    def recompute() -> Tensor:
        """As the public planner does it: every step predicted from all before it, which are computed again."""
        latents = context.expand(candidates, -1, -1)
        for stop in range(observed, observed + horizon):
            predicted = reference.run(public, latents, all_actions[:, :stop], all_states[:, :stop])
            latents = torch.cat([latents, _normal(predicted[:, -size:])], dim=1)
        return latents[:, observed * size :].reshape(candidates, horizon, size, -1)

    return Setup(
        config,
        settings,
        folder,
        lambda wm: lambda: wm.rollout(context, past, states, future),
        {PUBLIC: recompute},
        rollout_shapes(config, candidates, observed, horizon),
        weights,
    )


def _rollout_of(candidates: int, observed: int, horizon: int) -> Callable[[Settings, Path], Setup]:
    def build(settings: Settings, folder: Path) -> Setup:
        return rollout(settings, folder, candidates=candidates, observed=observed, horizon=horizon)

    return build


def released_predict(settings: Settings, folder: Path) -> Setup:
    """The same with the released predictor's sizes."""
    return _predict(settings, folder, RELEASED)


CASES = (
    Case("encoder", "encoder, one window", {"float32": 0.72, "bfloat16": 0.75}, _clip),
    Case("frame", "one frame in frame_repeat", {"float32": 0.68, "bfloat16": 0.75}, _frame, FOLDED_TOLERANCE),
    Case("predictor", "AC predictor, 8 steps", {"float32": 0.57, "bfloat16": 0.55}, _predict),
    Case("predictor-released", "AC predictor, 8 steps, released size", {"float32": 0.64, "bfloat16": 0.68},
         released_predict),
    Case("rollout-5x16", "rollout of 5 steps, 16 candidates", {"float32": 0.19, "bfloat16": 0.17},
         _rollout_of(16, 1, 5), CHAINED_TOLERANCE),
    Case("rollout-2x32", "rollout of 2 steps, 32 candidates", {"float32": 0.46, "bfloat16": 0.32},
         _rollout_of(32, 1, 2), CHAINED_TOLERANCE),
    Case("rollout-history", "2 steps, 32 candidates, after 6 executed steps", {"float32": 0.15, "bfloat16": 0.15},
         _rollout_of(32, 6, 2), CHAINED_TOLERANCE),
    Case("next-window", "next of 16 frames in frame_repeat, against all 16", {"float32": 0.08, "bfloat16": 0.08},
         _next_window, FOLDED_TOLERANCE),
)  # fmt: skip
