"""Frozen configuration values that refuse nonsense and name it.

They hold what the parameter table and a preset were resolved to; they have no defaults of their own (a default is
written once: in the parameter table or in a preset). They know no ROS, no torch and no files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from vjepa_ros.errors import ConfigError

Encoding = Literal["clip", "tubelet", "frame_repeat"]
Preprocessing = Literal["square", "droid", "eval"]

ENCODINGS: tuple[str, ...] = get_args(Encoding)
PREPROCESSINGS: tuple[str, ...] = get_args(Preprocessing)

S_TO_NS = 1_000_000_000


def to_ns(seconds: float) -> int:
    """Seconds as whole nanoseconds."""
    return round(seconds * S_TO_NS)


RotationDeg = Literal[0, 90, 180, 270]
Flip = Literal["none", "horizontal", "vertical"]

ROTATIONS_DEG: tuple[int, ...] = get_args(RotationDeg)
FLIPS: tuple[str, ...] = get_args(Flip)


def require(condition: bool, parameter: str, reason: str) -> None:
    """Raise :class:`ConfigError` for ``parameter`` unless ``condition`` holds."""
    if not condition:
        raise ConfigError(parameter, reason)


def require_finite(parameter: str, value: float, *, above_zero: bool = False) -> None:
    """Refuse what is negative (or zero), infinite or no number: none of them can be a rate or whole nanoseconds."""
    wanted = "positive" if above_zero else "zero or more"
    fits = math.isfinite(value) and (value > 0 if above_zero else value >= 0)
    require(fits, parameter, f"must be {wanted} and finite, not {value!r}")


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
        encoding: how a window goes through the encoder.
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
    encoding: Encoding
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
        require(self.encoding in ENCODINGS, "encoding", f"{self.encoding!r} is not one of {', '.join(ENCODINGS)}")
        require(
            self.preprocessing in PREPROCESSINGS,
            "preprocessing", f"{self.preprocessing!r} is not one of {', '.join(PREPROCESSINGS)}",
        )  # fmt: skip

    @property
    def stride(self) -> int:
        """Sampled frames per step: the tubelet size, or 1 where each frame is a step (``frame_repeat``)."""
        return 1 if self.encoding == "frame_repeat" else self.tubelet_size

    @property
    def steps(self) -> int:
        """T', the steps of a window."""
        return self.num_frames // self.stride

    @property
    def most_context(self) -> int:
        """The newest steps that a forecast is made from at most."""
        return min(self.context_steps or self.steps, self.steps)


@dataclass(frozen=True)
class QuestionConfig:
    """How questions about candidate actions are answered; the parameters ``candidates.*``.

    Attributes:
        max_age_s: a window older than this is not asked about.
        max_count, max_horizon: the most candidates, and steps of each, in one question.
        batch_size: candidates that the model rolls out at once.
        queue_size: questions that wait at most.
    """

    max_age_s: float
    max_count: int
    max_horizon: int
    batch_size: int
    queue_size: int


@dataclass(frozen=True)
class ViewConfig:
    """What of a camera image is looked at, and how it is turned, before the model's own preprocessing: in this order.

    Attributes:
        roi: the region of interest (x, y, width, height) in px of the camera's image; empty for the whole.
        rotation_deg: quarter turns, clockwise.
        flip: ``none``; ``horizontal`` swaps left and right, ``vertical`` top and bottom, of the turned image.

    Raises:
        ConfigError: where a value makes no sense; it names the parameter.
    """

    roi: tuple[int, ...]
    rotation_deg: RotationDeg
    flip: Flip

    def __post_init__(self) -> None:
        require(
            not self.roi or (len(self.roi) == 4 and min(self.roi[:2]) >= 0 and min(self.roi[2:]) >= 1),
            "view.roi", f"must be [x, y, width, height] in px with no side below 1, not {list(self.roi)}",
        )  # fmt: skip
        require(
            self.rotation_deg in ROTATIONS_DEG,
            "view.rotation_deg", f"{self.rotation_deg!r} is not one of {', '.join(map(str, ROTATIONS_DEG))}",
        )  # fmt: skip
        require(self.flip in FLIPS, "view.flip", f"{self.flip!r} is not one of {', '.join(FLIPS)}")
