"""What a variant's forecasts are worth, by seconds ahead, and what it costs.

Steps of different variants have different lengths: everything counts in seconds of the robot. Models in, figures out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from tools.strategies.recordings import Filmed
from tools.strategies.training import FRAME_S
from tools.strategies.variants import Variant
from vjepa_ros.config.model import ModelConfig
from vjepa_ros.config.presets import model_config
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.geometry import Vector
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.model.state_model import StateModel

AHEAD_S = 1.6
"""How far forecasts are looked at."""
LARGE = "vitl"
"""The preset that operations are counted for, with the variants' encodings and all its frames."""
_TIMES = 30  # of each measurement, after a third of it that does not count


def forecast_errors(variant: Variant, wm: WorldModel, episodes: Sequence[Filmed]) -> dict[str, dict[str, float]]:
    """How wrong forecasts are, over how wrong it is to expect no change: means over all places of all episodes.

    Args:
        variant, wm: of the model.
        episodes: of one length, never trained on.

    Returns:
        ``error``: by seconds ahead. ``shuffled``: the same with another episode's actions, over the error with the
        right ones.
    """
    most = round(AHEAD_S / FRAME_S / variant.stride)
    context, window = wm.config.most_context, wm.config.num_frames // variant.stride
    rows = [_rows(variant, wm, filmed) for filmed in episodes]
    nothing = StateModel("none", wm.config.action_dim, wm.config.state_dim)
    sums = np.zeros((3, most))  # right, shuffled, no change
    for number, (latents, actions) in enumerate(rows):
        others = rows[(number + 1) % len(rows)][1]
        offset = window - 1 if wm.config.way.is_whole else 0  # steps before the first that has latents
        known = min(len(actions), len(latents) + offset - 1)
        for step in range(window - 1, known - most + 1):
            # In `clip` row r is the window that ends with step r + window - 1, and has its newest steps.
            seen = latents[step - offset] if wm.config.way.is_whole else latents[step - context + 1 : step + 1, 0]
            past = actions[step - context + 1 : step]
            futures = np.stack([which[step : step + most] for which in (actions, others)])
            states = np.zeros((1, context, 7))
            ahead = wm.rollout(seen.flatten(0, 1)[None], past[None], states, futures, state_model=nothing)
            true = latents[step + 1 - offset : step + 1 + most - offset, -1]  # (most, H'*W', D)
            forecasts = torch.cat([ahead, seen[-1].expand(1, most, *seen[-1].shape)])
            sums += (forecasts - true).abs().mean((2, 3)).numpy()
    right, shuffled, still = sums
    times = [f"{(ahead + 1) * variant.stride * FRAME_S:.1f}" for ahead in range(most)]
    return {
        "error": dict(zip(times, (right / still).tolist(), strict=True)),
        "shuffled": dict(zip(times, (shuffled / right).tolist(), strict=True)),
    }


def _rows(variant: Variant, wm: WorldModel, filmed: Filmed) -> tuple[torch.Tensor, Vector]:
    """(n, c, H'*W', D) latents, and (T, 7) the actions of an episode's steps, as far as both are known."""
    config, size = wm.config, wm.grid.tokens_per_step
    frames = wm.preprocess(filmed.pictures)
    starts = range(0, frames.shape[2] - config.frames_at_once + 1, variant.stride)
    clips = torch.cat([frames[:, :, start : start + config.frames_at_once] for start in starts])
    latents = wm.encode(clips)
    latents = latents.view(len(latents), -1, size, latents.shape[-1])
    if config.way.is_whole:
        latents = latents[:, -config.most_context :]
    commands = filmed.commands[1:]
    lasts = range(variant.stride - 1, len(commands) - max(variant.weights), variant.stride)
    actions = np.stack([variant.action(commands, last) for last in lasts])
    return latents, actions


def seconds(wm: WorldModel) -> dict[str, float]:
    """Medians on one thread: of a whole ``window`` through the encoder; of what goes through it for each new step, the
    ``encoder``; and of the ``predictor``, a step ahead for one candidate."""
    config = wm.config
    window, clip = (
        torch.zeros(1, 3, frames, *config.image_size) for frames in (config.num_frames, config.frames_at_once)
    )
    context = torch.zeros(1, config.most_context * wm.grid.tokens_per_step, config.latent_dim)
    given = (
        torch.zeros(1, config.most_context, config.action_dim),
        torch.zeros(1, config.most_context, config.state_dim),
    )
    return {
        "window": _timed(lambda: wm.encode(window)),
        "encoder": _timed(lambda: wm.encode(clip)),
        "predictor": _timed(lambda: wm.predict(context, *given)),
    }


def _timed(call: Callable[[], object]) -> float:
    took_s = []
    for _ in range(_TIMES + _TIMES // 3):
        began_s = time.process_time()  # what others do on the same machine does not count
        call()
        took_s.append(time.process_time() - began_s)
    return median(took_s[_TIMES // 3 :])


def operations_a_second(variant: Variant) -> dict[str, float]:
    """Floating-point operations for a second of the robot at the size of ViT-L: of the encoder, for all new steps, and
    of the predictor, for one candidate that is followed a second ahead from one step of context."""
    large = model_config(LARGE, **_encoding(variant))
    steps = round(1 / FRAME_S / variant.stride)
    return {"encoder": steps * _encoder_operations(large), "predictor": steps * _predictor_operations(large)}


def _encoding(variant: Variant) -> dict[str, object]:
    return {name: variant.parameters[name] for name in ("encoding", "tubelet_size")}


def _encoder_operations(config: ModelConfig) -> int:
    with torch.device("meta"):
        encoder = Encoder(config).to("meta")  # the tables of RoPE too
        return _counted(lambda: encoder(torch.empty(1, 3, config.frames_at_once, *config.image_size)))


def _predictor_operations(config: ModelConfig) -> int:
    with torch.device("meta"):
        predictor = Predictor(config).to("meta")
        context = torch.empty(1, predictor.grid.tokens_per_step, config.latent_dim)
        given = torch.empty(1, 1, config.action_dim), torch.empty(1, 1, config.state_dim)
        return _counted(lambda: predictor(context, *given))


def _counted(call: Callable[[], object]) -> int:
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        call()
    return int(counter.get_total_flops())
