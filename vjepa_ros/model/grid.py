"""The token grid (T', H', W'): the one home of token arithmetic.

Tokens are flattened time-major, then rows, then columns; so the tokens of the first steps are the first rows of a
tensor, and a shorter clip uses the first part of every table. It knows shapes only: it works on torch tensors and numpy
arrays alike and imports neither.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from vjepa_ros.config.model import ModelConfig
from vjepa_ros.errors import ShapeError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

ArrayT = TypeVar("ArrayT", "Tensor", "np.ndarray[Any, Any]")


@dataclass(frozen=True)
class Grid:
    """Token counts in time, height and width.

    Attributes:
        steps: T', steps (tubelet indices; frames in ``frame_repeat``).
        rows: H', patches from top to bottom.
        cols: W', patches from left to right.
    """

    steps: int
    rows: int
    cols: int

    @classmethod
    def of(cls, config: ModelConfig) -> Grid:
        """The grid of a whole window."""
        height, width = config.image_size
        return cls(config.steps, height // config.patch_size, width // config.patch_size)

    @classmethod
    def of_clip(cls, config: ModelConfig, shape: Sequence[int]) -> Grid:
        """The grid of a clip of the given shape (B, 3, N, H, W), with N frames up to the window's.

        Raises:
            ShapeError: where the size is not the configured one, or N is not a whole number of steps.
        """
        height, width = config.image_size
        wanted = f"(B, 3, N, {height}, {width}) with N a multiple of {config.stride} up to {config.num_frames}"
        fits = len(shape) == 5 and shape[0] >= 1 and shape[1] == 3 and tuple(shape[3:]) == (height, width)
        if not fits or not 1 <= shape[2] <= config.num_frames or shape[2] % config.stride:
            raise ShapeError(f"a clip of shape {tuple(shape)} does not fit {wanted}")
        return cls.of(config).with_steps(shape[2] // config.stride)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(T', H', W')."""
        return self.steps, self.rows, self.cols

    @property
    def tokens_per_step(self) -> int:
        """H'*W'."""
        return self.rows * self.cols

    @property
    def tokens(self) -> int:
        """T'*H'*W'."""
        return self.steps * self.tokens_per_step

    def with_steps(self, steps: int) -> Grid:
        """The same rows and columns over another number of steps."""
        return replace(self, steps=steps)

    def of_tokens(self, shape: Sequence[int]) -> Grid:
        """The grid of flat latents of the given shape (B, t*H'*W', D), for whole steps t up to T'.

        Raises:
            ShapeError: where the latents are not a whole number of this grid's steps; it names both shapes.
        """
        # An integer, even while a tracer hands in tensors.
        steps, rest = divmod(int(shape[1]), self.tokens_per_step) if len(shape) == 3 else (0, 0)
        if rest or not 1 <= steps <= self.steps:
            raise ShapeError(
                f"latents of shape {tuple(shape)} do not fit the grid {self.shape}: "
                f"(B, t*{self.tokens_per_step}, D) with t from 1 to {self.steps}"
            )
        return self.with_steps(steps)

    def patches(self, region: Sequence[float]) -> tuple[slice, slice]:
        """Rows and columns of the patches whose centres lie in a region of the picture; either may be empty.

        Args:
            region: left, top, right, bottom as fractions of the picture's sides, from 0 to 1; a centre on the left or
                upper edge lies in it.
        """
        left, top, right, bottom = region
        rows, cols = (
            slice(math.ceil(low * count - 0.5), math.ceil(high * count - 0.5))
            for low, high, count in ((top, bottom, self.rows), (left, right, self.cols))
        )
        return rows, cols

    def unflatten(self, latents: ArrayT) -> ArrayT:
        """(B, t*H'*W', D) -> (B, t, H', W', D), a view where possible, for whole steps t up to T'.

        Raises:
            ShapeError: where the latents do not fit; it names both shapes.
        """
        _require_array(latents, "latents")
        batch, _, dim = latents.shape if len(latents.shape) == 3 else (0, 0, 0)
        return latents.reshape(batch, *self.of_tokens(latents.shape).shape, dim)

    def flatten(self, maps: ArrayT) -> ArrayT:
        """(B, t, H', W', D) -> (B, t*H'*W', D), a view where possible, for whole steps t up to T'.

        Raises:
            ShapeError: where the feature maps do not fit; it names both shapes.
        """
        _require_array(maps, "feature maps")
        shape = tuple(maps.shape)
        if len(shape) != 5 or not 1 <= shape[1] <= self.steps or shape[2:4] != (self.rows, self.cols):
            raise ShapeError(f"feature maps of shape {shape} do not fit (B, t, H', W', D) of the grid {self.shape}")
        return maps.reshape(shape[0], shape[1] * self.tokens_per_step, shape[4])


def _require_array(value: Any, name: str) -> None:
    if not (hasattr(value, "reshape") and isinstance(getattr(value, "shape", None), tuple)):
        raise ShapeError(f"{name} must be a tensor or an array, not a {type(value).__name__}")
