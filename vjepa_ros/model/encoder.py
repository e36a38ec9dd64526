"""The encoder of V-JEPA 2 and, by the properties of its family, of V-JEPA 2.1: clips in, latents out.

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
    * ``frame``: every frame alone, as an image, by the tokenizer of images; N frames give N steps.

    What sets one family apart (:class:`~vjepa_ros.config.families.Family`) is here: V-JEPA 2.1 has that second
    tokenizer, an embedding that tells tokens of images from those of tubelets, a LayerNorm for each of four levels
    instead of one at the end, rows and columns scaled to the grid of its pre-training, and a true rotation. All that
    the weights have is here whatever the encoding is: so their hash is the same.

    Attributes:
        config, grid: as given, and what follows from it.
        levels: the blocks whose outputs, normalised, make the latents.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.grid = Grid.of(config)
        dim, heads, family = config.encoder_dim, config.encoder_heads, config.family
        self.patch_embed = PatchEmbed(dim, config.tubelet_size, config.patch_size, config.way.repeats_frames)
        if family.has_image_tokenizer:
            self.patch_embed_img = PatchEmbed(dim, 1, config.patch_size)
        if family.has_modality_embeddings:
            self.img_mod_embed = nn.Parameter(torch.empty(1, 1, dim))
            self.video_mod_embed = nn.Parameter(torch.empty(1, 1, dim))
        self.blocks = nn.ModuleList(Block(dim, heads, config.mlp_ratio) for _ in range(config.encoder_depth))
        if family.level_norms:
            self.norms_block = nn.ModuleList(Norm(dim) for _ in range(family.level_norms))
        else:
            self.norm = Norm(dim)
        self.levels = family.levels(config.encoder_depth)[-family.levels_used(config.latent_levels) :]
        attended = self.grid if config.way.is_whole else self.grid.with_steps(1)
        row_scale, col_scale = family.scales(self.grid.rows, self.grid.cols)
        positions = token_positions(attended, row_scale=row_scale, col_scale=col_scale)
        self.rope = Rope(positions, dim // heads, family.is_true_rotation)

    def forward(self, clip: Tensor) -> Tensor:
        """Encode clips of any whole number of steps up to the window's.

        Args:
            clip: (B, 3, N, H, W), ImageNet-normalised, in the weights' dtype.

        Returns:
            (B, T'*H'*W', D) float32, after the encoder's own last LayerNorm; the levels along the channels, where
            several are asked for.

        Raises:
            ShapeError: where the clip does not fit the configured grid.
        """
        grid = Grid.of_clip(self.config, clip.shape)
        x = self._tokens(clip)  # (B, T'*H'*W', D)
        if not self.config.way.is_whole:
            x = x.reshape(-1, grid.tokens_per_step, x.shape[-1])  # (B*T', H'*W', D): each step attends alone
        outputs: list[Tensor] = []
        for index, block in enumerate(self.blocks):
            x = block(x, self.rope)
            if index in self.levels:
                outputs.append(self._norm_of_level(len(outputs))(x))
        out = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1)
        return out.reshape(clip.shape[0], grid.tokens, -1)

    def _tokens(self, clip: Tensor) -> Tensor:
        """(B, 3, N, H, W) -> (B, T'*H'*W', dim) float32, by the tokenizer of the encoding."""
        sees_images, family = self.config.way.sees_images, self.config.family
        tokens: Tensor = (self.patch_embed_img if sees_images else self.patch_embed)(clip).float()
        if not family.has_modality_embeddings:
            return tokens
        return tokens + (self.img_mod_embed if sees_images else self.video_mod_embed).float()

    def _norm_of_level(self, used: int) -> nn.Module:
        """The LayerNorm of the levels that are used, by number."""
        if not self.config.family.level_norms:
            return self.norm
        return self.norms_block[len(self.norms_block) - len(self.levels) + used]

    def idle(self) -> list[nn.Parameter]:
        """The weights that no clip goes through in this encoding and with these levels: nothing can teach them."""
        family, sees_images = self.config.family, self.config.way.sees_images
        found: list[nn.Parameter] = []
        if family.has_image_tokenizer:
            found += (self.patch_embed if sees_images else self.patch_embed_img).parameters()
        if family.has_modality_embeddings:
            found.append(self.video_mod_embed if sees_images else self.img_mod_embed)
        if family.level_norms:
            found += self.norms_block[: len(self.norms_block) - len(self.levels)].parameters()
        return found

    def pack(self, kernels: Kernels) -> None:
        """Make it fast with these kernels, once and for good: it can then neither be trained, nor saved, nor moved."""
        self.rope.pack()
        self.patch_embed.pack(kernels)
        if self.config.family.has_image_tokenizer:
            self.patch_embed_img.pack(kernels)
        pack_blocks(self.blocks, kernels)
        for norm in self.norms_block if self.config.family.level_norms else [self.norm]:
            norm.float()
