"""Frozen configuration values that refuse nonsense and name it.

They hold what the parameter table and a preset were resolved to; they have no defaults of their own (a default is
written once: in the parameter table or in a preset). They know no ROS, no torch and no files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from vjepa_ros.config.checks import require, require_choice
from vjepa_ros.config.encodings import ENCODINGS, Encoding

Preprocessing = Literal["square", "droid", "eval"]

PREPROCESSINGS: tuple[str, ...] = get_args(Preprocessing)


@dataclass(frozen=True)
class ModelConfig:
    """The sizes of one encoder and action-conditioned predictor, and the view they expect.

    Attributes:
        preset: name of the preset that the values came from.
        image_size: (height, width) of the encoder's input, in px.
        patch_size: side of a patch, in px.
        tubelet_size: frames in a tubelet.
        num_frames: N, the frames of a window.
        encoder_dim, encoder_depth, encoder_heads, mlp_ratio: the encoder's width D, layers, heads, MLP ratio.
        predictor_dim, predictor_depth, predictor_heads: the predictor's width, layers, heads.
        action_dim, state_dim: A and S.
        encoding: how a window goes through the encoder, one of :data:`~vjepa_ros.config.encodings.ENCODINGS`.
        preprocessing: how a camera image becomes the encoder's input.
        context_steps: the newest steps that a forecast is made from at most; 0, where a preset does not say, for all.

    Raises:
        ConfigError: where a value or a combination makes no sense; it names the parameter.
    """

    preset: str
    image_size: tuple[int, int]
    patch_size: int
    tubelet_size: int
    num_frames: int
    encoder_dim: int
    encoder_depth: int
    encoder_heads: int
    mlp_ratio: float
    predictor_dim: int
    predictor_depth: int
    predictor_heads: int
    action_dim: int
    state_dim: int
    encoding: str
    preprocessing: Preprocessing
    context_steps: int = 0

    def __post_init__(self) -> None:
        for name in (
            "patch_size", "tubelet_size", "num_frames", "encoder_dim", "encoder_depth", "encoder_heads",
            "predictor_dim", "predictor_depth", "predictor_heads", "action_dim", "state_dim",
        ):  # fmt: skip
            value = getattr(self, name)
            require(isinstance(value, int) and value >= 1, name, f"must be a whole number of at least 1, not {value!r}")
        require(
            isinstance(self.mlp_ratio, (int, float)) and math.isfinite(self.mlp_ratio) and self.mlp_ratio > 0,
            "mlp_ratio", f"must be a positive number, not {self.mlp_ratio!r}",
        )  # fmt: skip
        require(
            len(self.image_size) == 2 and all(isinstance(side, int) and side >= 1 for side in self.image_size),
            "image_size", f"must be (height, width) in px, not {self.image_size!r}",
        )  # fmt: skip
        require(
            all(side % self.patch_size == 0 for side in self.image_size),
            "image_size", f"{self.image_size} px is not a multiple of patch_size {self.patch_size} px",
        )  # fmt: skip
        require(
            self.num_frames % self.tubelet_size == 0,
            "num_frames", f"{self.num_frames} frames are not a multiple of tubelet_size {self.tubelet_size}",
        )  # fmt: skip
        require(
            isinstance(self.context_steps, int) and self.context_steps >= 0,
            "context_steps", f"must be a whole number of at least 0, not {self.context_steps!r}",
        )  # fmt: skip
        for part in ("encoder", "predictor"):
            dim, heads = getattr(self, f"{part}_dim"), getattr(self, f"{part}_heads")
            require(dim % heads == 0, f"{part}_heads", f"{heads} heads do not divide {part}_dim {dim}")
            # RoPE needs one pair of channels per axis and head; below that positions would silently vanish.
            # It turns channels in pairs, so their number must be even.
            channels = dim // heads
            require(
                channels >= 6 and channels % 2 == 0,
                f"{part}_heads", f"{channels} channels a head; RoPE needs an even number of at least 6",
            )  # fmt: skip
        require_choice(self.encoding, "encoding", ENCODINGS)
        require_choice(self.preprocessing, "preprocessing", PREPROCESSINGS)

    @property
    def way(self) -> Encoding:
        """The way of a window through the encoder: what the encoding is."""
        return ENCODINGS[self.encoding]

    @property
    def stride(self) -> int:
        """Sampled frames per step: the tubelet size, or 1 where each frame is a step."""
        return self.way.stride(self.tubelet_size)

    @property
    def frames_at_once(self) -> int:
        """Frames that go through the encoder together: the window's, or a step's."""
        return self.way.frames_at_once(self.num_frames, self.tubelet_size)

    @property
    def steps(self) -> int:
        """T', the steps of a window."""
        return self.num_frames // self.stride

    @property
    def most_context(self) -> int:
        """The newest steps that a forecast is made from at most."""
        return min(self.context_steps or self.steps, self.steps)
