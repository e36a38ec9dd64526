"""The model once more, in simple words: what the package's modules are held against, beside the public code.

Everything is computed in the dtype of the weights, attention with a mask, every step of a rollout from all before it,
nothing is kept, and only torch's public operators serve. The weights are a module's own, by name. Nothing of
``vjepa_ros.model`` is used here.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from vjepa_ros.config.model import ModelConfig
from vjepa_ros.model.state_model import StateModel

Weights = Mapping[str, Tensor]

V21_LEVELS = {
    4: (0, 1, 2, 3),
    5: (0, 1, 2, 4),
    12: (2, 5, 8, 11),
    24: (5, 11, 17, 23),
    40: (9, 19, 29, 39),
    48: (11, 23, 37, 47),
}
"""By the number of layers, those whose outputs a V-JEPA 2.1 encoder gives; 4 and 5 are the tests' alone."""


def normalized(latents: Tensor) -> Tensor:
    """What stands before and after the predictor."""
    return F.layer_norm(latents, latents.shape[-1:], eps=1e-5)


def layer_norm(x: Tensor, weights: Weights, name: str) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], eps=1e-6)


def linear(x: Tensor, weights: Weights, name: str) -> Tensor:
    return F.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])


def angles_of(places: list[tuple[float, float, float]], head_dim: int, in_pairs: bool = False) -> Tensor:
    """(n, head_dim), of tokens at these (step, row, column); the oddity of V-JEPA 2's weights is in the tiling."""
    d = 2 * ((head_dim // 3) // 2)  # channels that an axis turns
    omega = 1.0 / 10000 ** (torch.arange(d // 2, dtype=torch.float32) / (d / 2))
    turned = torch.tensor(places, dtype=torch.float32)[:, :, None] * omega  # (n, 3, d/2)
    pairs = torch.stack([turned, turned], dim=3).flatten(2) if in_pairs else torch.cat([turned, turned], dim=2)
    angles = pairs.flatten(1)  # (n, 3*d)
    return F.pad(angles, (0, head_dim - 3 * d))


def rotated(x: Tensor, angles: Tensor) -> Tensor:
    """(B, heads, n, head_dim): pairs (a, b) of channels become (a cos - b sin, b cos + a sin)."""
    swapped = torch.stack([-x[..., 1::2], x[..., 0::2]], dim=-1).flatten(-2)
    return (x * angles.cos() + swapped * angles.sin()).to(x.dtype)


def block(x: Tensor, weights: Weights, name: str, heads: int, angles: Tensor, mask: Tensor | None) -> Tensor:
    """One layer: (B, n, dim) -> (B, n, dim)."""
    qkv = linear(layer_norm(x, weights, f"{name}.norm1"), weights, f"{name}.attn.qkv")
    query, key, value = (part.unflatten(2, (heads, -1)).transpose(1, 2) for part in qkv.chunk(3, dim=2))
    mixed = F.scaled_dot_product_attention(rotated(query, angles), rotated(key, angles), value, attn_mask=mask)
    x = x + linear(mixed.transpose(1, 2).flatten(2), weights, f"{name}.attn.proj")
    hidden = F.gelu(linear(layer_norm(x, weights, f"{name}.norm2"), weights, f"{name}.mlp.fc1"))
    return x + linear(hidden, weights, f"{name}.mlp.fc2")


def encode(config: ModelConfig, weights: Weights, clip: Tensor) -> Tensor:
    """(B, 3, N, H, W) -> (B, T'*H'*W', D), not normalised."""
    is_v21, of_images = config.encoder_family == "vjepa2_1", config.encoding == "frame"
    tokenizer = "patch_embed_img.proj" if of_images else "patch_embed.proj"
    kernel, bias = weights[f"{tokenizer}.weight"], weights[f"{tokenizer}.bias"]
    if config.encoding == "frame_repeat":  # a convolution over equal frames is one with the kernel summed over time
        kernel = kernel.float().sum(dim=2, keepdim=True).to(kernel.dtype)
    maps = F.conv3d(clip, kernel, bias, stride=kernel.shape[2:])  # (B, D, T', H', W')
    batch, dim, steps, rows, cols = maps.shape
    alone = config.encoding != "clip"
    if alone:  # every step is a sequence of its own
        maps = maps.transpose(1, 2).reshape(batch * steps, dim, 1, rows, cols)
    x = maps.flatten(2).transpose(1, 2)
    if is_v21:
        x = x + weights["img_mod_embed" if of_images else "video_mod_embed"]
    down, right = (15 / (rows - 1), 15 / (cols - 1)) if is_v21 else (1, 1)
    places = [
        (step, row * down, col * right) for step in range(maps.shape[2]) for row in range(rows) for col in range(cols)
    ]
    angles = angles_of(places, dim // config.encoder_heads, in_pairs=is_v21).to(x.device)
    after = []
    for layer in range(config.encoder_depth):
        x = block(x, weights, f"blocks.{layer}", config.encoder_heads, angles, None)
        after.append(x)
    if not is_v21:
        return layer_norm(x, weights, "norm").reshape(batch, -1, dim)
    levels = [
        layer_norm(after[at], weights, f"norms_block.{n}") for n, at in enumerate(V21_LEVELS[config.encoder_depth])
    ]
    out = torch.cat(levels, dim=2) if config.latent_levels == "all" else levels[-1]
    return out.reshape(batch, -1, out.shape[2])


def frame_causal_mask(steps: int, tokens: int) -> Tensor:
    """Boolean (n, n), true where row i may look at column j: inside of its step of this many tokens, and before it."""
    step = torch.arange(steps).repeat_interleave(tokens)
    return step[:, None] >= step[None, :]


def predict(
    config: ModelConfig,
    weights: Weights,
    context: Tensor,
    actions: Tensor,
    states: Tensor,
    extrinsics: Tensor | None = None,
) -> Tensor:
    """(B, t*H'*W', D), (B, t, A), (B, t, S), (B, t, 6) -> (B, t*H'*W', D), each step's successor, not normalised."""
    rows, cols = (side // config.patch_size for side in config.image_size)
    batch, steps, _ = actions.shape
    given = {"action_encoder": actions, "state_encoder": states, "extrinsics_encoder": extrinsics}
    conditions = [linear(value, weights, name)[:, :, None] for name, value in given.items() if value is not None]
    patches = linear(context, weights, "predictor_embed").reshape(batch, steps, rows * cols, -1)
    tokens = torch.cat([*conditions, patches], dim=2)  # (B, t, C+H'*W', dim)
    places = [
        place
        for step in range(steps)
        for place in [(step, 0, 0)] * len(conditions)
        + [(step, row, col * rows / cols) for row in range(rows) for col in range(cols)]
    ]
    angles = angles_of(places, config.predictor_dim // config.predictor_heads)
    mask, x = frame_causal_mask(steps, tokens.shape[2]), tokens.flatten(1, 2)
    for layer in range(config.predictor_depth):
        x = block(x, weights, f"predictor_blocks.{layer}", config.predictor_heads, angles, mask)
    x = x.reshape(tokens.shape)[:, :, len(conditions) :].flatten(1, 2)
    return linear(layer_norm(x, weights, "predictor_norm"), weights, "predictor_proj")


def roll_out(
    config: ModelConfig,
    weights: Weights,
    context: Tensor,
    actions: Tensor,
    states: Tensor,
    extrinsics: Tensor | None = None,
) -> Tensor:
    """The forecasts after one window's steps, one by one, for one sequence of actions and the states that follow.

    Args:
        config, weights: the predictor's.
        context: (1, t*H'*W', D), layer-normalised.
        actions, states, extrinsics: (1, t+H-1, ...), of the t steps and of all forecasts but the last one.

    Returns:
        (1, H, H'*W', D), layer-normalised; float32 as the latents of a world model are, in between too.
    """
    size = (config.image_size[0] // config.patch_size) * (config.image_size[1] // config.patch_size)
    most, observed, dtype = config.most_context, context.shape[1] // size, weights["predictor_proj.weight"].dtype
    latents = context
    for stop in range(observed, actions.shape[1] + 1):
        first = max(0, stop - most)
        given = [value[:, first:stop].to(dtype) for value in (actions, states, extrinsics) if value is not None]
        predicted = predict(config, weights, latents[:, first * size :].to(dtype), *given)[:, -size:]
        latents = torch.cat([latents, normalized(predicted.float())], dim=1)
    return latents[:, observed * size :].unflatten(1, (-1, size))


def rollout(
    config: ModelConfig,
    weights: Weights,
    state_model: StateModel,
    context: Tensor,
    actions: Tensor,
    states: Tensor,
    future_actions: Tensor,
) -> Tensor:
    """What ``WorldModel.rollout`` says of one window: (1, t*H'*W', D), (1, t-1, A), (1, t, S), (K, H, A)."""
    forecasts = []
    for future in future_actions:
        ahead = state_model.unroll(states[0, -1:].double().numpy(), future[None, :-1].double().numpy())
        all_states = torch.cat([states, torch.from_numpy(ahead).float()], dim=1)
        all_actions = torch.cat([actions, future[None]], dim=1)
        forecasts.append(roll_out(config, weights, context, all_actions, all_states))
    return torch.cat(forecasts)
