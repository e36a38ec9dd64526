"""Measures what a packed model computes with against the alternatives, on the CPU.

    tools/run.sh -m benchmarks.measure_kernels [THREADS [DTYPE]]

The figures of docs/performance.md, "What helped". Works of one table run in turns; figures are medians in ms.
Where bfloat16 is imitated it takes long: DTYPE chooses one of both.
"""

from __future__ import annotations

import sys
from functools import partial

import torch
from support import plain_model
from torch import Tensor
from torch.nn import functional as F

from benchmarks.timing import Work, interleaved, medians
from vjepa_ros.config.model import ModelConfig
from vjepa_ros.config.presets import model_config
from vjepa_ros.model.encoder import PatchEmbed
from vjepa_ros.model.grid import Grid
from vjepa_ros.model.kernels import (
    LinearKernel,
    PackedLinear,
    PublicLinear,
    attention_by_products,
    fused_attention,
    joined_attention,
)
from vjepa_ros.model.key_values import BySteps
from vjepa_ros.model.rope import Rope, token_positions

ROUNDS, BUDGET_S = 15, 20.0
DTYPES = (torch.float32, torch.bfloat16)


def noise(*shape: int, dtype: torch.dtype) -> Tensor:
    """Standard normal numbers."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)


def show(what: str, dtype: torch.dtype, workloads: dict[str, Work]) -> None:
    """Time workloads against each other and print a line."""
    for work in workloads.values():
        work()
    found = medians(interleaved(workloads, ROUNDS, BUDGET_S))
    first = next(iter(found.values()))
    figures = ", ".join(f"{name} {median:.2f} ({median / first:.2f})" for name, median in found.items())
    print(f"{what}, {str(dtype).removeprefix('torch.')}: {figures}", flush=True)


def sum_after(linear: LinearKernel, x: Tensor, add: Tensor) -> Tensor:
    """Two operators where one would do."""
    return linear(x) + add


def linear_layers(dtype: torch.dtype) -> None:
    """An MLP's two layers, with what stands around them."""
    for rows, dim in ((1568, 1024), (1584, 384), (198, 384)):
        x, hidden = noise(rows, dim, dtype=dtype), noise(rows, 4 * dim, dtype=dtype)
        up, down = noise(4 * dim, dim, dtype=dtype) / 30, noise(dim, 4 * dim, dtype=dtype) / 60
        wide, narrow = noise(4 * dim, dtype=dtype), noise(dim, dtype=dtype)
        public = PublicLinear(up, wide), PublicLinear(down, narrow)
        packed = PackedLinear(up, wide), PackedLinear(down, narrow)
        apart = PackedLinear(up, wide, gelu_inside=False)
        gelu: dict[str, Work] = {
            "F.linear": partial(public[0], x, gelu=True),
            "packed, then GELU": partial(apart, x, gelu=True),
            "packed with it": partial(packed[0], x, gelu=True),
        }
        show(f"{rows}x{dim} to {4 * dim} and GELU", dtype, gelu)
        total: dict[str, Work] = {
            "F.linear": partial(public[1], hidden, add=x),
            "packed, then sum": partial(sum_after, packed[1], hidden, x),
            "packed with it": partial(packed[1], hidden, add=x),
        }
        show(f"{rows}x{4 * dim} to {dim} and sum", dtype, total)


def softmax_of_powers(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention by products of one head at a time, exponentials as powers of two; the scale of q has log2(e) in it."""
    heads = []
    for q, k, v in zip(query[0], key[0], value[0], strict=True):
        scores = q @ k.T
        weights = scores.sub_(scores.amax(-1, keepdim=True)).exp2_()
        heads.append((weights @ v) / weights.sum(-1, keepdim=True))
    return torch.stack(heads)


def attention(dtype: torch.dtype) -> None:
    """Full attention of the encoder; of one step of a predictor to all; of eight steps, with a mask and without."""
    for heads, rows, columns, channels in ((16, 1568, 1568, 64), (12, 198, 1584, 32), (12, 198, 198, 32)):
        q, k, v = (noise(1, heads, n, channels, dtype=dtype) / 3 for n in (rows, columns, columns))
        workloads: dict[str, Work] = {
            "fused": partial(fused_attention, q, k, v),
            "products": partial(attention_by_products, q, k, v),
            "products, powers of two": partial(softmax_of_powers, q, k, v),
        }
        show(f"attention {heads}x{rows} to {columns}, {channels} channels", dtype, workloads)
    size, steps = 198, 8
    q, k, v = (noise(1, 12, steps * size, 32, dtype=dtype) / 3 for _ in range(3))
    mask = plain_model.frame_causal_mask(steps, size)
    masked: dict[str, Work] = {
        "with a mask": lambda: F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=1.0),
        "step by step": lambda: BySteps(size).attend(fused_attention, q, k, v),
    }
    show("frame-causal attention of 8 steps", dtype, masked)


def attend_in_turn(query: Tensor, key: Tensor, value: Tensor, shared_key: Tensor, shared_value: Tensor) -> Tensor:
    """Each sequence by itself, its own keys written behind the shared ones."""
    filled = shared_key.shape[2]
    room = torch.cat([torch.stack([shared_key, shared_value]), torch.stack([key[:1], value[:1]])], dim=3)
    mixed = []
    for q, k, v in zip(query.split(1), key.split(1), value.split(1), strict=True):
        room[0][:, :, filled:], room[1][:, :, filled:] = k, v
        mixed.append(fused_attention(q, *room.unbind(0)))
    return torch.cat(mixed)


def attend_to_copies(query: Tensor, key: Tensor, value: Tensor, shared_key: Tensor, shared_value: Tensor) -> Tensor:
    """All sequences at once, the shared keys copied in front of each one's own."""
    keys, values = (
        torch.cat([shared.expand(len(query), -1, -1, -1), own], dim=2)
        for shared, own in ((shared_key, key), (shared_value, value))
    )
    return fused_attention(query, keys, values)


def shared_attention(dtype: torch.dtype) -> None:
    """A step of many candidates that share what was observed: of small models, and of the released predictor's size."""
    for candidates, heads, rows, shared, own, channels in (
        (64, 3, 18, 54, 18, 32), (64, 3, 18, 54, 90, 32), (40, 12, 66, 198, 66, 32), (12, 16, 258, 258, 258, 64),
        (12, 16, 258, 1548, 258, 64),
    ):  # fmt: skip
        q, k, v = (noise(candidates, heads, n, channels, dtype=dtype) / 3 for n in (rows, own, own))
        kept = [noise(1, heads, shared, channels, dtype=dtype) / 3 for _ in range(2)]
        workloads: dict[str, Work] = {
            "in turn": partial(attend_in_turn, q, k, v, *kept),
            "copies": partial(attend_to_copies, q, k, v, *kept),
            "joined": partial(joined_attention, q, k, v, *kept),
        }
        show(f"{candidates} candidates, {heads}x{rows} to {shared} shared and {own} own", dtype, workloads)


def positions(config: ModelConfig, dtype: torch.dtype) -> None:
    """RoPE on pairs of channels, as it is trained, and on halves, packed."""
    heads, channels = config.encoder_heads, config.encoder_dim // config.encoder_heads
    grid = Grid.of(config)
    pairs, halves = (Rope(token_positions(grid), channels) for _ in range(2))
    halves.pack()
    qkv = noise(1, grid.tokens, 3, heads, channels, dtype=dtype).permute(2, 0, 3, 1, 4)
    workloads: dict[str, Work] = {
        "pairs": lambda: pairs(qkv[:2]),
        "halves": lambda: halves(qkv[:2]),
    }
    show(f"RoPE of {grid.tokens} tokens", dtype, workloads)


def patches(config: ModelConfig, dtype: torch.dtype) -> None:
    """The patches' projection as a convolution, and as a matrix product."""
    embed = PatchEmbed(config.encoder_dim, config.tubelet_size, config.patch_size).to(dtype).requires_grad_(False)
    bias = embed.proj.bias
    assert bias is not None
    packed = PackedLinear(embed.proj.weight.flatten(1), bias)
    clip = noise(1, 3, config.num_frames, *config.image_size, dtype=dtype)
    size, (steps, rows, cols) = config.patch_size, Grid.of(config).shape

    def product() -> Tensor:
        cubes = clip.reshape(1, 3, steps, config.tubelet_size, rows, size, cols, size)
        return packed(cubes.permute(0, 2, 4, 6, 1, 3, 5, 7).reshape(steps * rows * cols, -1))

    show("patches of a window", dtype, {"convolution": lambda: embed(clip), "product": product})


def main(threads: str = "1", *names: str) -> None:
    """Print all figures, of these dtypes alone where some are given."""
    torch.set_num_threads(int(threads))
    config = model_config("vitl")
    with torch.inference_mode():
        for dtype in [getattr(torch, name) for name in names] or DTYPES:
            linear_layers(dtype)
            attention(dtype)
            shared_attention(dtype)
            positions(config, dtype)
            patches(config, dtype)


if __name__ == "__main__":
    main(*sys.argv[1:])
