"""The encoder for inference: what :class:`vjepa_ros.model.encoder.Encoder` computes, in less time."""

from __future__ import annotations

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
        self._norm = FastNorm(encoder.norm)
        proj = encoder.patch_embed.proj
        assert proj.bias is not None  # every released one has it
        weight, bias = proj.weight.detach(), proj.bias.detach()
        if self.config.encoding == "frame_repeat":
            # A convolution over equal frames is one with the kernel summed over time.
            weight = weight.float().sum(dim=2, keepdim=True).to(weight.dtype)
        self._depth = weight.shape[2]
        self._patch_embed = kernels.linear(weight.flatten(1).contiguous(), bias)

    def __call__(self, clip: Tensor) -> Tensor:
        """(B, 3, N, H, W) -> (B, T'*H'*W', D), as the plain encoder says.

        Raises:
            ShapeError: where the clip does not fit the configured grid.
        """
        grid = Grid.of_clip(self.config, clip.shape)
        x = self._patch_embed(self._patches(clip, grid))  # (B*T', H'*W', D)
        if self.config.encoding == "clip":
            x = x.view(clip.shape[0], grid.tokens, -1)
        for block in self.blocks:
            query, key, value = block.project(x, self._rope, 0)
            x = block.finish(x, self._kernels.attend(query, key, value).flatten(2))
        return self._norm(x).view(clip.shape[0], grid.tokens, -1)

    def _patches(self, clip: Tensor, grid: Grid) -> Tensor:
        """The pixels of every patch in the order of the kernel's weights, (B*T', H'*W', 3*depth*patch*patch): a
        convolution whose stride is its kernel is one matrix product."""
        size = self.config.patch_size
        shape = (clip.shape[0], 3, grid.steps, self._depth, grid.rows, size, grid.cols, size)
        cubes = clip.reshape(shape).permute(0, 2, 4, 6, 1, 3, 5, 7)  # (B, T', H', W', 3, depth, patch, patch)
        return cubes.reshape(clip.shape[0] * grid.steps, grid.tokens_per_step, -1)
