"""Frozen configuration values that refuse nonsense and name it.

They hold what the parameter table and a preset were resolved to; they have no defaults of their own (a default is
written once: in the parameter table or in a preset). They know no ROS, no torch and no files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from vjepa_ros.config.checks import is_finite, require, require_choice
from vjepa_ros.config.encodings import ENCODINGS, Encoding
from vjepa_ros.config.families import FAMILIES, LEVELS, Family
from vjepa_ros.errors import brief

PARAMETER_OF = {"latent_levels": "latents.levels"}
"""Fields whose parameter is called otherwise."""

Preprocessing = Literal["square", "droid", "eval"]

PREPROCESSINGS: tuple[str, ...] = get_args(Preprocessing)

MOST: dict[str, int] = {
    "image_size": 4096, "patch_size": 1024, "tubelet_size": 64, "num_frames": 1024, "encoder_dim": 16384,
    "encoder_depth": 256, "encoder_heads": 1024, "mlp_ratio": 64, "predictor_dim": 16384, "predictor_depth": 256,
    "predictor_heads": 1024, "action_dim": 1024, "state_dim": 1024, "context_steps": 1024,
}  # fmt: skip
"""The most that one size of a model may be: far beyond any that exists, so that none asks for absurd memory."""
MOST_WINDOW_PX = 2**27
"""Of all frames of a window together: 1.6 GB of floats; 64 frames of 384 px are 2**23."""
MOST_TOKENS = 2**16
"""Of a window; 64 frames of 384 px are 18,432. What attention takes grows with their square."""
MOST_PARAMETERS = 20_000_000_000
"""Of encoder and predictor together; the largest released encoder has 1.9e9."""


@dataclass(frozen=True)
class ModelConfig:
    """The sizes of one encoder and action-conditioned predictor, and the view they expect.

    Attributes:
        preset: name of the preset that the values came from.
        image_size: (height, width) of the encoder's input, in px.
        patch_size: side of a patch, in px.
        tubelet_size: frames in a tubelet.
        num_frames: N, the frames of a window.
        encoder_dim, encoder_depth, encoder_heads, mlp_ratio: the encoder's width, layers, heads, MLP ratio.
        predictor_dim, predictor_depth, predictor_heads: the predictor's width, layers, heads.
        action_dim, state_dim: A and S.
        encoding: how a window goes through the encoder, one of :data:`~vjepa_ros.config.encodings.ENCODINGS`.
        preprocessing: how a camera image becomes the encoder's input.
        context_steps: the newest steps that a forecast is made from at most; 0, where a preset does not say, for all.
        encoder_family: what the encoder's layers are like, one of :data:`~vjepa_ros.config.families.FAMILIES`.
        latent_levels: which of the encoder's levels become latents, one of :data:`~vjepa_ros.config.families.LEVELS`;
            the parameter ``latents.levels``.

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
    encoder_family: str = "vjepa2"
    latent_levels: str = LEVELS[0]

    def __post_init__(self) -> None:
        for name in MOST.keys() - {"image_size", "mlp_ratio", "context_steps"}:
            self._require_whole(name, 1)
        self._require_whole("context_steps", 0)
        require(
            is_finite(self.mlp_ratio) and 0 < self.mlp_ratio <= MOST["mlp_ratio"]
            and not isinstance(self.mlp_ratio, bool),
            "mlp_ratio", f"must be a positive number up to {MOST['mlp_ratio']}, not {brief(self.mlp_ratio)}",
        )  # fmt: skip
        require(
            isinstance(self.image_size, (tuple, list)) and len(self.image_size) == 2
            and all(_is_whole(side) and 1 <= side <= MOST["image_size"] for side in self.image_size),
            "image_size", f"must be (height, width) up to {MOST['image_size']} px, not {brief(self.image_size)}",
        )  # fmt: skip
        require(
            all(side % self.patch_size == 0 for side in self.image_size),
            "image_size", f"{self.image_size} px is not a multiple of patch_size {self.patch_size} px",
        )  # fmt: skip
        require(
            self.num_frames % self.tubelet_size == 0,
            "num_frames", f"{self.num_frames} frames are not a multiple of tubelet_size {self.tubelet_size}",
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
        self._require_family()
        self._require_size()

    def _require_family(self) -> None:
        """Refuse what an encoder of another family could do."""
        require_choice(self.encoder_family, "encoder_family", FAMILIES)
        require_choice(self.latent_levels, PARAMETER_OF["latent_levels"], LEVELS)
        family = self.family
        require(
            self.encoder_depth >= family.level_norms,
            "encoder_depth", f"{self.encoder_depth} layers; an encoder of {family.name} has {family.level_norms} "
            "levels, and at least as many",
        )  # fmt: skip
        require(
            bool(family.levels_used(self.latent_levels)),
            PARAMETER_OF["latent_levels"], f"{self.latent_levels} needs an encoder of several levels, as those of "
            f"V-JEPA 2.1 are; one of {family.name} has only {LEVELS[0]}",
        )  # fmt: skip
        require(
            family.has_image_tokenizer or not self.way.sees_images,
            "encoding", f"{self.encoding} needs an encoder with a tokenizer for single images, as those of V-JEPA 2.1 "
            f"have; one of {family.name} sees tubelets only: take an encoding that repeats each frame",
        )  # fmt: skip

    def _require_whole(self, name: str, least: int) -> None:
        value = getattr(self, name)
        require(
            _is_whole(value) and least <= value <= MOST[name],
            name, f"must be a whole number from {least} to {MOST[name]}, not {brief(value)}",
        )  # fmt: skip

    def _require_size(self) -> None:
        """Refuse what is too large as a whole, though each of its sizes alone may be."""
        (height, width), patch = self.image_size, self.patch_size
        px = self.num_frames * height * width
        require(
            px <= MOST_WINDOW_PX,
            "image_size", f"{self.num_frames} frames of {width}x{height} px are more than the {MOST_WINDOW_PX:,} px of "
            "a window",
        )  # fmt: skip
        tokens = self.steps * (height // patch) * (width // patch)
        require(
            tokens <= MOST_TOKENS,
            "patch_size", f"{tokens:,} tokens are more than the {MOST_TOKENS:,} of a window: make patch_size larger, "
            "or image_size or num_frames smaller",
        )  # fmt: skip
        blocks = (
            self.encoder_depth * (4 + 2 * self.mlp_ratio) * self.encoder_dim**2
            + self.predictor_depth * (4 + 2 * 4) * self.predictor_dim**2
        )
        parameters = blocks + 3 * self.tubelet_size * patch**2 * self.encoder_dim
        require(
            parameters <= MOST_PARAMETERS,
            "encoder_dim", f"a model of {parameters:,.0f} parameters is larger than the {MOST_PARAMETERS:,} that are "
            "allowed: make encoder_dim, encoder_depth, mlp_ratio, predictor_dim or predictor_depth smaller",
        )  # fmt: skip

    @property
    def family(self) -> Family:
        """What sets the encoder apart."""
        return FAMILIES[self.encoder_family]

    @property
    def latent_dim(self) -> int:
        """D, the channels of a latent: the encoder's width, times the levels that it is made of."""
        return self.encoder_dim * self.family.levels_used(self.latent_levels)

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


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
