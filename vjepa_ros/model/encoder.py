"""The V-JEPA 2 encoder: clips in, latents out.

It knows no preprocessing, no checkpoints and not the layer norm between it and the predictor (the engine's). Parameter
names are those of the released checkpoints.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vjepa_ros.config.model import ModelConfig
from vjepa_ros.model.blocks import Block, Norm, pack_blocks
from vjepa_ros.model.grid import Grid
from vjepa_ros.model.kernels import Kernels, LinearKernel
from vjepa_ros.model.rope import Rope, token_positions


class PatchEmbed(nn.Module):
    """Tubelets to tokens: a Conv3d with kernel = stride = (tubelet, patch, patch).

    Args:
        dim, tubelet_size, patch_size: as the preset says.
        frame_repeat: whether each frame is the tubelet that repeats it tubelet_size times. A convolution over equal
            frames is one with the kernel summed over time: half of the work for tubelets of two.
    """

    folded: Tensor | None
    _product: LinearKernel | None = None

    def __init__(self, dim: int, tubelet_size: int, patch_size: int, frame_repeat: bool = False) -> None:
        super().__init__()
        kernel = (tubelet_size, patch_size, patch_size)
        self.frame_repeat = frame_repeat
        self.proj = nn.Conv3d(3, dim, kernel_size=kernel, stride=kernel)
        self._depth = 1 if frame_repeat else tubelet_size  # frames of a token
        self.register_buffer("folded", None, persistent=False)  # the summed kernel, where it is packed

    def forward(self, clip: Tensor) -> Tensor:
        """(B, 3, N, H, W) -> (B, T'*H'*W', D), time-major, then rows, then columns."""
        if self._product is not None:
            return self._multiply(clip, self._product)
        if not self.frame_repeat:
            maps: Tensor = self.proj(clip)  # (B, D, T', H', W')
            return maps.flatten(2).transpose(1, 2)
        images = clip.transpose(1, 2).flatten(0, 1)  # (B*N, 3, H, W)
        kernel = self._fold() if self.folded is None else self.folded
        maps = F.conv2d(images, kernel, self.proj.bias, stride=kernel.shape[2:])  # (B*N, D, H', W')
        return maps.flatten(2).transpose(1, 2).reshape(len(clip), -1, maps.shape[1])

    def pack(self, kernels: Kernels) -> None:
        """Make it fast, for inference only."""
        dtype = self.proj.weight.dtype
        if dtype == torch.float32:
            # Here the convolution itself: the product took 3 % less of its time, but rounds so differently that it was
            # most of the difference that packing made.
            self.folded = self._fold().detach() if self.frame_repeat else None
            return
        weight, bias = self.proj.weight.detach(), self.proj.bias
        assert bias is not None  # every released one has it
        weight = self._fold().detach() if self.frame_repeat else weight
        self._product = kernels.linear(weight.flatten(1).contiguous(), bias.detach())
        self.proj.register_parameter("weight", None)
        self.proj.register_parameter("bias", None)

    def _fold(self) -> Tensor:
        """The kernel summed over time, (D, 3, patch, patch)."""
        weight = self.proj.weight
        return weight.float().sum(dim=2).to(weight.dtype)

    def _multiply(self, clip: Tensor, product: LinearKernel) -> Tensor:
        """As one matrix product, which a convolution is whose stride is its kernel."""
        size, (batch, _, frames, height, width) = self.proj.kernel_size[1], clip.shape
        rows, cols = height // size, width // size
        cubes = clip.reshape(batch, 3, frames // self._depth, self._depth, rows, size, cols, size)
        # (B, T', H', W', 3, depth, patch, patch), the last four in the order of the kernel's weights
        patches = cubes.permute(0, 2, 4, 6, 1, 3, 5, 7).reshape(-1, rows * cols, 3 * self._depth * size * size)
        return product(patches).reshape(batch, -1, self.proj.out_channels)  # (B, T'*H'*W', D)


class Encoder(nn.Module):
    """A ViT over tubelets with 3-axis RoPE.

    How a clip goes through it is the configured encoding:

    * ``clip``: as one video; attention looks over the whole clip in both directions.
    * ``tubelet``: every tubelet alone, each at step 0; nothing looks ahead.
    * ``frame_repeat``: every frame alone, as a tubelet that repeats it, at step 0; N frames give N steps.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.grid = Grid.of(config)
        dim, heads = config.encoder_dim, config.encoder_heads
        self.patch_embed = PatchEmbed(dim, config.tubelet_size, config.patch_size, config.way.repeats_frames)
        self.blocks = nn.ModuleList(Block(dim, heads, config.mlp_ratio) for _ in range(config.encoder_depth))
        self.norm = Norm(dim)
        attended = self.grid if config.way.is_whole else self.grid.with_steps(1)
        self.rope = Rope(token_positions(attended), dim // heads)

    def forward(self, clip: Tensor) -> Tensor:
        """Encode clips of any whole number of steps up to the window's.

        Args:
            clip: (B, 3, N, H, W), ImageNet-normalised, in the weights' dtype.

        Returns:
            (B, T'*H'*W', D) float32, after the encoder's own last LayerNorm.

        Raises:
            ShapeError: where the clip does not fit the configured grid.
        """
        grid = Grid.of_clip(self.config, clip.shape)
        x = self.patch_embed(clip).float()  # (B, T'*H'*W', D)
        if not self.config.way.is_whole:
            x = x.reshape(-1, grid.tokens_per_step, x.shape[-1])  # (B*T', H'*W', D): each step attends alone
        for block in self.blocks:
            x = block(x, self.rope)
        out: Tensor = self.norm(x)
        return out.reshape(clip.shape[0], grid.tokens, -1)

    def pack(self, kernels: Kernels) -> None:
        """Make it fast with these kernels, once and for good: it can then neither be trained, nor saved, nor moved."""
        self.rope.pack()
        self.patch_embed.pack(kernels)
        pack_blocks(self.blocks, kernels)
        self.norm.float()
