"""The encoder for inference: what :class:`vjepa_ros.model.encoder.Encoder` computes, in less time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.fast.kernels import Kernels
from vjepa_ros.model.fast.layers import FastNorm, HalvesRope, fast_blocks
from vjepa_ros.model.grid import Grid


class FastEncoder:
    """Clips in, latents out.

    Args:
        encoder: a plain one, with its weights; they are taken out of it.
        kernels: what to compute with.
    """

    def __init__(self, encoder: Encoder, kernels: Kernels) -> None:
        self.config = encoder.config
        self._kernels = kernels
        self._rope = HalvesRope(encoder.rope, self.config.encoder_dim // self.config.encoder_heads)
        self.blocks = fast_blocks(encoder.blocks, kernels)
        self._norm = FastNorm(encoder.norm, torch.float32)
        # In float32 the convolution itself: the product took 3 % less of its time, but rounds so differently that it
        # was most of the difference between the two encoders.
        if encoder.patch_embed.proj.weight.dtype == torch.float32:
            encoder.patch_embed.fold()
            self._tokens: Callable[[Tensor, Grid], Tensor] = encoder.tokens
        else:
            self._tokens = PatchProduct(encoder, kernels)

    def __call__(self, clip: Tensor) -> Tensor:
        """(B, 3, N, H, W) -> (B, T'*H'*W', D) float32, as the plain encoder says.

        Raises:
            ShapeError: where the clip does not fit the configured grid.
        """
        grid = Grid.of_clip(self.config, clip.shape)
        x = self._tokens(clip, grid).float()  # (sequences, n, D), as the plain encoder cuts them
        for block in self.blocks:
            query, key, value = block.project(x, self._rope, 0)
            x = block.finish(x, self._kernels.attend(query, key, value).flatten(2))
        return self._norm(x).view(clip.shape[0], grid.tokens, -1)


class PatchProduct:
    """Tubelets to tokens by one matrix product, which a convolution is whose stride is its kernel.

    Args:
        encoder: a plain one, whose kernel is taken.
        kernels: what to compute with.
    """

    def __init__(self, encoder: Encoder, kernels: Kernels) -> None:
        self._config = encoder.config
        proj = encoder.patch_embed.proj
        assert proj.bias is not None  # every released one has it
        weight, bias = proj.weight.detach(), proj.bias.detach()
        if self._config.way.repeats_frames:
            # A convolution over equal frames is one with the kernel summed over time.
            weight = weight.float().sum(dim=2, keepdim=True).to(weight.dtype)
        self._depth = weight.shape[2]
        self._linear = kernels.linear(weight.flatten(1).contiguous(), bias)

    def __call__(self, clip: Tensor, grid: Grid) -> Tensor:
        """(B, 3, N, H, W) -> the token sequences that attend among themselves: (B, T'*H'*W', D), or (B*T', H'*W', D)
        where steps go through alone."""
        size, batch = self._config.patch_size, clip.shape[0]
        cubes = clip.reshape(batch, 3, grid.steps, self._depth, grid.rows, size, grid.cols, size)
        # (B, T', H', W', 3, depth, patch, patch), the last four in the order of the kernel's weights
        patches = cubes.permute(0, 2, 4, 6, 1, 3, 5, 7).reshape(batch * grid.steps, grid.tokens_per_step, -1)
        tokens = self._linear(patches)  # (B*T', H'*W', D)
        return tokens.view(batch, grid.tokens, -1) if self._config.way.is_whole else tokens
