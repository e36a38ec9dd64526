"""The workloads that are timed: for each one our way, the public way, the same weights and inputs, and its shapes.

A case is described here and built when it is its turn; how it is measured stands in :mod:`benchmarks.measure`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from support import plain_model, public_code
from support.agreement import CHAINED_TOLERANCE, FOLDED_TOLERANCE, TOLERANCE
from torch import Tensor, nn

from benchmarks.setups import (
    TOY_CANDIDATES,
    Settings,
    Setup,
    drawn_weights,
    noise,
    normal,
    of_public,
    public_encoder,
    public_predictor,
)
from benchmarks.shapes import encoder_shapes, predict_shapes, rollout_shapes
from vjepa_ros.config.model import ModelConfig
from vjepa_ros.config.presets import load_preset, model_config
from vjepa_ros.config.state_change import change_of_convention
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.model.grid import Grid
from vjepa_ros.model.state_model import StateModel

RELEASED = "vjepa2_ac_vitg"
"""The preset of the released size."""
SMALL = "tiny_random"
"""The preset that plans are timed with."""
V21 = "vjepa2_1_vitb"
"""The smallest preset of V-JEPA 2.1."""

TRANSFORMERS, PLAIN = "transformers", "plain model"


@dataclass(frozen=True)
class Case:
    """A workload that is timed.

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


def _encoders(
    config: ModelConfig, settings: Settings, weights: Mapping[str, Tensor], clip: Tensor
) -> dict[str, Callable[[], Tensor]]:
    """The public encoders' ways over a clip; transformers counts rows and columns by one number.

    For V-JEPA 2.1, which neither has, the plain model of the tests.
    """
    if config.encoder_family == "vjepa2_1":
        placed = {name: tensor.to(settings.device) for name, tensor in weights.items()}

        def plain() -> Tensor:
            with torch.inference_mode():
                return plain_model.encode(config, placed, clip)

        return {PLAIN: plain}

    def way(encoder: nn.Module) -> Callable[[], Tensor]:
        return lambda: public_code.run(encoder, clip)

    ways = of_public(settings, lambda: public_encoder(config, settings, weights), way)
    if config.image_size[0] == config.image_size[1]:
        other = lambda: public_code.transformers_encoder(config, weights).to(settings.device)  # noqa: E731
        ways |= of_public(settings, other, way, TRANSFORMERS)
    return ways


def _encoded(
    config: ModelConfig, settings: Settings, folder: Path, clip: Tensor,
    references: Mapping[str, Callable[[], Tensor]], tokens: int, drawn: Mapping[str, Mapping[str, Tensor]],
) -> Setup:  # fmt: skip
    """Clips through the encoder; ``tokens`` of each attend to each other."""
    ours = lambda wm: lambda: wm.encode(clip, normalize=False)  # noqa: E731
    shapes = encoder_shapes(config, clip.shape[0], tokens)
    return Setup(config, settings, folder, ours, references, shapes, drawn, is_whole=clip.shape[0] == 1)


def window(settings: Settings, folder: Path, cameras: int = 1, **sizes: Any) -> Setup:
    """A whole window through the encoder, as one video; or those of several cameras in one call."""
    config = settings.config("encoder", encoding="clip", **sizes)
    clip = noise(settings, cameras, 3, config.num_frames, *config.image_size)
    drawn = drawn_weights(config)
    references = _encoders(config, settings, drawn["encoder"], clip)
    return _encoded(config, settings, folder, clip, references, Grid.of(config).tokens, drawn)


def frame(settings: Settings, folder: Path, encoding: str = "frame_repeat", **sizes: Any) -> Setup:
    """A frame that is repeated, or not, and encoded alone."""
    config = settings.config("encoder", encoding=encoding, num_frames=2, **sizes)
    clip = noise(settings, 1, 3, 1, *config.image_size)
    drawn = drawn_weights(config)
    is_given_as_it_is = config.encoder_family == "vjepa2_1"  # the plain model knows encodings
    seen = clip if is_given_as_it_is else clip.repeat(1, 1, config.tubelet_size, 1, 1)
    references = _encoders(config, settings, drawn["encoder"], seen)
    return _encoded(config, settings, folder, clip, references, Grid.of(config).tokens_per_step, drawn)


def next_window(settings: Settings, folder: Path) -> Setup:
    """The newest of 16 frames that are encoded alone, the others' latents being there; the public way encodes all."""
    config = settings.config("encoder", encoding="frame_repeat", num_frames=16)
    clip = noise(settings, 1, 3, config.num_frames, *config.image_size)
    drawn = drawn_weights(config)
    frames = clip[0].transpose(0, 1)[:, :, None]  # (N, 3, 1, H, W)
    repeated = frames.repeat(1, 1, config.tubelet_size, 1, 1)

    def ours(world_model: WorldModel) -> Callable[[], Tensor]:
        kept = world_model.encode(clip[:, :, :-1])
        return lambda: torch.cat([kept, world_model.encode(clip[:, :, -1:])], dim=1)

    if config.encoder_family == "vjepa2_1":
        plain = _encoders(config, settings, drawn["encoder"], clip)[PLAIN]
        references: dict[str, Callable[[], Tensor]] = {PLAIN: lambda: normal(plain())}
    else:
        references = of_public(
            settings,
            lambda: public_encoder(config, settings, drawn["encoder"]),
            lambda public: lambda: normal(public_code.run(public, repeated).flatten(0, 1)[None]),
        )
    shapes = encoder_shapes(config, 1, Grid.of(config).tokens_per_step)
    return Setup(config, settings, folder, ours, references, shapes, drawn)


def predict(settings: Settings, folder: Path, preset: str = "", **sizes: Any) -> Setup:
    """Each step's successor, for all steps of a window."""
    config = settings.config("predictor", preset, **sizes)
    steps = Grid.of(config).steps
    context = normal(noise(settings, 1, Grid.of(config).tokens, config.encoder_dim))
    actions = noise(settings, 1, steps, config.action_dim)
    states = noise(settings, 1, steps, config.state_dim, seed=8)
    drawn = drawn_weights(config)
    references = of_public(
        settings,
        lambda: public_predictor(config, settings, drawn["predictor"]),
        lambda public: lambda: normal(public_code.run(public, context, actions, states)),
    )
    ours = lambda wm: lambda: wm.predict(context, actions, states)  # noqa: E731
    shapes, is_whole = predict_shapes(config, 1), steps == config.most_context
    return Setup(config, settings, folder, ours, references, shapes, drawn, is_whole)


def rollout(
    settings: Settings, folder: Path, *, candidates: int, observed: int, horizon: int, iterations: int = 1,
    preset: str = "",
) -> Setup:  # fmt: skip
    """``horizon`` steps ahead for each of ``candidates`` action sequences, after ``observed`` steps; and that for other
    sequences in each of several iterations, as a plan is made. What is compared are the last iteration's forecasts."""
    config = settings.config("predictor", preset)
    candidates = min(candidates, TOY_CANDIDATES) if settings.toy else candidates
    size = Grid.of(config).tokens_per_step
    context = normal(noise(settings, 1, observed * size, config.encoder_dim))
    past = noise(settings, 1, observed - 1, config.action_dim)
    states = noise(settings, 1, observed, config.state_dim, seed=8)
    future = noise(settings, iterations, candidates, horizon, config.action_dim, seed=9)
    goal = normal(noise(settings, 1, size, config.encoder_dim, seed=10))
    drawn = drawn_weights(config)
    # The states are given to the public way: its own update, a loop in Python over candidates, is not timed.
    advance = StateModel(change_of_convention(load_preset(config.preset)), config.action_dim, config.state_dim)
    every = (candidates, -1, -1)
    given: list[tuple[Tensor, Tensor]] = []  # per iteration actions (K, t+H-1, A) and states (K, t+H-1, S)
    for actions in future:
        ahead = advance.unroll(states[0, -1:].cpu().double().numpy(), actions[:, :-1].cpu().double().numpy())
        all_states = torch.cat([states.expand(*every), torch.from_numpy(ahead).to(states)], dim=1)
        given.append((torch.cat([past.expand(*every), actions], dim=1), all_states))

    def ours(world_model: WorldModel) -> Callable[[], Tensor]:
        world_model.record_rollout(observed, candidates, horizon)

        def run() -> Tensor:
            seen = world_model.observe(context, past, states)
            for actions in future:
                forecasts = world_model.rollout_from(seen, actions)
                if iterations > 1:
                    world_model.energy(forecasts, goal)
            return forecasts

        return run

    def recompute(public: nn.Module) -> Tensor:
        """As the public planner does it: every step predicted from all before it, which are computed again."""
        for all_actions, all_states in given:
            latents = context.expand(*every)
            for stop in range(observed, observed + horizon):
                predicted = public_code.run(public, latents, all_actions[:, :stop], all_states[:, :stop])
                latents = torch.cat([latents, normal(predicted[:, -size:])], dim=1)
            forecasts = latents[:, observed * size :].reshape(candidates, horizon, size, -1)
            if iterations > 1:
                (forecasts - goal).abs().mean(dim=(2, 3))
        return forecasts

    return Setup(
        config,
        settings,
        folder,
        ours,
        of_public(
            settings,
            lambda: public_predictor(config, settings, drawn["predictor"]),
            lambda public: lambda: recompute(public),
        ),
        rollout_shapes(config, candidates, observed, horizon, iterations),
        drawn,
    )


def planning(settings: Settings, folder: Path, *, candidates: int, iterations: int) -> Setup:
    """As in the V-JEPA 2 paper: in each iteration one step ahead for all candidates, and their energies to a goal.

    The candidates of all iterations are drawn beforehand: how they are narrowed down takes no time worth timing, and
    would turn rounding into other candidates. What is compared are the last iteration's forecasts.
    """
    config = settings.config("predictor", RELEASED)
    candidates = min(candidates, TOY_CANDIDATES) if settings.toy else candidates
    size = Grid.of(config).tokens_per_step
    context = normal(noise(settings, 1, size, config.encoder_dim))
    goal = normal(noise(settings, 1, size, config.encoder_dim, seed=10))
    past, states = noise(settings, 1, 0, config.action_dim), noise(settings, 1, 1, config.state_dim, seed=8)
    future = noise(settings, iterations, candidates, 1, config.action_dim, seed=9)
    drawn = drawn_weights(config)

    def ours(world_model: WorldModel) -> Callable[[], Tensor]:
        world_model.record_rollout(1, candidates, 1)

        def plan() -> Tensor:
            observed = world_model.observe(context, past, states)
            for actions in future:
                forecasts = world_model.rollout_from(observed, actions)  # (K, 1, H'*W', D)
                world_model.energy(forecasts, goal)
            return forecasts[:, 0]

        return plan

    def public_plan(public: nn.Module) -> Tensor:
        latents, seen = context.expand(candidates, -1, -1), states.expand(candidates, -1, -1)
        for actions in future:
            forecasts = normal(public_code.run(public, latents, actions, seen))
            (forecasts - goal).abs().mean(dim=(1, 2))
        return forecasts

    references = of_public(
        settings,
        lambda: public_predictor(config, settings, drawn["predictor"]),
        lambda public: lambda: public_plan(public),
    )
    shapes = rollout_shapes(config, candidates, 1, 1, iterations)
    return Setup(config, settings, folder, ours, references, shapes, drawn)


def plan(settings: Settings, folder: Path, *, horizon: int) -> Setup:
    """A plan's forecasts and energies: 4 times 64 candidates with a small model, from as many of a window's 8 steps as
    leave room for the horizon, which is what the planner observes."""
    observed = Grid.of(model_config(SMALL)).steps - horizon + 1
    return rollout(settings, folder, candidates=64, observed=observed, horizon=horizon, iterations=4, preset=SMALL)


HORIZONS = range(1, 9)
PLANS = tuple(
    Case(f"plan-{horizon}", f"plan of {horizon} step{'s' * (horizon > 1)}, {SMALL}: 4 x 64 candidates", {},
         partial(plan, horizon=horizon), CHAINED_TOLERANCE)
    for horizon in HORIZONS
)  # fmt: skip

_WINDOW = {"float32": 0.72, "bfloat16": 0.75}
CAMERAS = tuple(
    Case(f"cameras-{count}", f"encoder, windows of {count} camera{'s' * (count > 1)} in one call", _WINDOW,
         partial(window, cameras=count))
    for count in (1, 2, 4)
)  # fmt: skip

CASES = (
    Case("encoder", "encoder, one window", _WINDOW, window),
    Case("frame", "one frame in frame_repeat", {"float32": 0.68, "bfloat16": 0.75}, frame, FOLDED_TOLERANCE),
    Case("predictor", "AC predictor, 8 steps", {"float32": 0.57, "bfloat16": 0.55}, predict),
    Case("predictor-released", "AC predictor, 8 steps, released size", {"float32": 0.64, "bfloat16": 0.68},
         partial(predict, preset=RELEASED)),
    Case("rollout-5x16", "rollout of 5 steps, 16 candidates", {"float32": 0.19, "bfloat16": 0.17},
         partial(rollout, candidates=16, observed=1, horizon=5), CHAINED_TOLERANCE),
    Case("rollout-2x32", "rollout of 2 steps, 32 candidates", {"float32": 0.46, "bfloat16": 0.32},
         partial(rollout, candidates=32, observed=1, horizon=2), CHAINED_TOLERANCE),
    Case("rollout-history", "2 steps, 32 candidates, after 6 executed steps", {"float32": 0.15, "bfloat16": 0.15},
         partial(rollout, candidates=32, observed=6, horizon=2), CHAINED_TOLERANCE),
    *PLANS,
    Case("next-window", "next of 16 frames in frame_repeat, against all 16", {"float32": 0.08, "bfloat16": 0.08},
         next_window, FOLDED_TOLERANCE),
    *CAMERAS,
    Case("encoder-2.1", "V-JEPA 2.1 B, one window", {"float32": 0.72, "bfloat16": 0.75}, partial(window, preset=V21)),
    Case("image-2.1", "one image, V-JEPA 2.1 B", {"float32": 0.72, "bfloat16": 0.75},
         partial(frame, encoding="frame", preset=V21)),
)  # fmt: skip
