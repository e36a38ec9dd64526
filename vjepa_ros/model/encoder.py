"""The V-JEPA 2 encoder: clips in, latents out.

It knows no preprocessing, no checkpoints and not the layer norm between it and the predictor (the engine's). Parameter
names are those of the released checkpoints.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from vjepa_ros.config.model import ModelConfig
from vjepa_ros.model.block import LAYER_NORM_EPS, Block
from vjepa_ros.model.grid import Grid
from vjepa_ros.model.rope import Rope, token_positions


class PatchEmbed(nn.Module):
    """Tubelets to tokens: a Conv3d with kernel = stride = (tubelet, patch, patch)."""

    frame_kernel: Tensor | None

    def __init__(self, dim: int, tubelet_size: int, patch_size: int) -> None:
        super().__init__()
        kernel = (tubelet_size, patch_size, patch_size)
        self.proj = nn.Conv3d(3, dim, kernel_size=kernel, stride=kernel)
        self.register_buffer("frame_kernel", None, persistent=False)

    def fold(self) -> None:
        """Sum the kernel over time, ready for :meth:`frames`. Call it whenever the weights have changed."""
        weight = self.proj.weight.detach()
        self.frame_kernel = weight.float().sum(dim=2).to(weight.dtype)  # (D, 3, patch, patch)

    def forward(self, clip: Tensor) -> Tensor:
        """(B, 3, N, H, W) -> (B, T'*H'*W', D), time-major, then rows, then columns."""
        maps: Tensor = self.proj(clip)  # (B, D, T', H', W')
        return maps.flatten(2).transpose(1, 2)

    def frames(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, H'*W', D): each image as the tubelet that repeats it tubelet_size times.

        A convolution over equal frames is one with the kernel summed over time: half of the work for tubelets of two.
        """
        assert self.frame_kernel is not None, "call fold() once the weights are there"
        maps = F.conv2d(images, self.frame_kernel, self.proj.bias, stride=self.frame_kernel.shape[2:])  # (B, D, H', W')
        return maps.flatten(2).transpose(1, 2)


class Encoder(nn.Module):
    """A ViT over tubelets with 3-axis RoPE.

    How a clip goes through it is the configured encoding:

    * ``clip``: as one video; attention looks over the whole clip in both directions.
    * ``tubelet``: every tubelet alone, each at step 0; nothing looks ahead.
    * ``frame_repeat``: every frame alone, as a tubelet that repeats it, at step 0; N frames give N steps. Needs
      ``patch_embed.fold()`` after the weights were set.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.grid = Grid.of(config)
        dim, heads = config.encoder_dim, config.encoder_heads
        self.patch_embed = PatchEmbed(dim, config.tubelet_size, config.patch_size)
        self.blocks = nn.ModuleList(Block(dim, heads, config.mlp_ratio) for _ in range(config.encoder_depth))
        self.norm = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        attended = self.grid if config.way.is_whole else self.grid.with_steps(1)
        self.rope = Rope(token_positions(attended), dim // heads)

    def forward(self, clip: Tensor) -> Tensor:
        """Encode clips of any whole number of steps up to the window's.

        Args:
            clip: (B, 3, N, H, W), ImageNet-normalised, in the weights' dtype.

        Returns:
            (B, T'*H'*W', D), after the encoder's own last LayerNorm.

        Raises:
            ShapeError: where the clip does not fit the configured grid.
        """
        grid = Grid.of_clip(self.config, clip.shape)
        x = self.tokens(clip, grid)  # (sequences, n, D); sequences = B, or B*T' where steps go through alone
        table = self.rope(x.shape[1])
        for block in self.blocks:
            x = block(x, table)
        out: Tensor = self.norm(x)
        return out.reshape(clip.shape[0], grid.tokens, -1)

    def tokens(self, clip: Tensor, grid: Grid) -> Tensor:
        """The token sequences that attend among themselves."""
        if self.config.way.repeats_frames:
            return self.patch_embed.frames(clip.transpose(1, 2).flatten(0, 1))  # (B*N, H'*W', D)
        tokens: Tensor = self.patch_embed(clip)  # (B, T'*H'*W', D)
        if not self.config.way.is_whole:
            return tokens.reshape(-1, grid.tokens_per_step, tokens.shape[-1])  # (B*T', H'*W', D)
        return tokens
