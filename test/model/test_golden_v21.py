"""V-JEPA 2.1 against what the public code computed, stored: the whole way from the checkpoint to values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from support.small_v21 import SIZES, clip_of, golden, small_v21

from vjepa_ros.model.blocks import layer_normalize
from vjepa_ros.model.rope import Rope, token_positions

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def stored() -> dict[str, np.ndarray]:
    return golden()


def assert_near(ours: torch.Tensor, expected: np.ndarray) -> None:
    difference = (ours - torch.from_numpy(expected)).abs()
    print(f"maximum difference {difference.max():.2e}, mean {difference.mean():.2e}")
    assert ours.shape == expected.shape and difference.max() <= TOLERANCE


@pytest.mark.parametrize("fast", [False, True])
def test_the_plain_output(stored: dict[str, np.ndarray], fast: bool) -> None:
    wm, clip = small_v21(fast=fast), clip_of(stored["clip_blocks"])
    assert (wm.checkpoint_key, wm.grid.shape, wm.config.latent_dim) == ("ema_encoder", (4, 4, 6), 48)
    assert_near(wm.encode(clip, normalize=False), stored["clip_latents"])
    assert_near(wm.encode(clip), layer_normalize(torch.from_numpy(stored["clip_latents"])).numpy())


@pytest.mark.parametrize("fast", [False, True])
def test_all_levels_along_the_channels(stored: dict[str, np.ndarray], fast: bool) -> None:
    wm = small_v21(fast=fast, latent_levels="all")
    latents = wm.encode(clip_of(stored["clip_blocks"]), normalize=False)
    assert wm.config.latent_dim == 192 and wm.predictor.predictor_embed.in_features == 192
    assert_near(latents, stored["clip_hierarchical"])
    for level, expected in zip(latents.chunk(4, dim=-1), stored["clip_levels"], strict=True):
        assert_near(level, expected)


@pytest.mark.parametrize("fast", [False, True])
def test_square_clips(stored: dict[str, np.ndarray], fast: bool) -> None:
    """Of another grid: rows and columns are scaled to that of pre-training."""
    wm = small_v21(fast=fast, image_size=64, num_frames=4)
    assert_near(wm.encode(clip_of(stored["square_blocks"]), normalize=False), stored["square_latents"])


@pytest.mark.parametrize("fast", [False, True])
def test_a_single_frame_through_the_image_tokenizer(stored: dict[str, np.ndarray], fast: bool) -> None:
    wm, clip = small_v21(fast=fast, encoding="frame"), clip_of(stored["clip_blocks"])
    assert wm.grid.shape == (8, 4, 6)
    assert_near(wm.encode(clip[:, :, :1], normalize=False), stored["image_latents"])
    # One frame, one step: each of several gives what it gives alone, at whatever place it stands.
    both = wm.encode(clip[:, :, :2].flip(2), normalize=False)
    assert_near(both[:, wm.grid.tokens_per_step :], stored["image_latents"])


WRONG: dict[str, dict[str, Any]] = {
    "the other encoder": {"encoder_key": "encoder"},
    "a repeated frame": {"encoding": "frame_repeat"},
    "each tubelet alone": {"encoding": "tubelet"},
}


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG)
def test_what_is_wrong_shows(stored: dict[str, np.ndarray], changes: dict[str, Any]) -> None:
    """Weights of the same shapes, and the other ways through the encoder, are far off what is stored."""
    wm, clip = small_v21(**changes), clip_of(stored["clip_blocks"])
    image = changes.get("encoding") == "frame_repeat"
    expected = torch.from_numpy(stored["image_latents" if image else "clip_latents"])
    assert (wm.encode(clip[:, :, :1] if image else clip, normalize=False) - expected).abs().max() > 0.01


@pytest.mark.parametrize("wrong", ["positions", "tiled"])
def test_wrong_rotations_show(stored: dict[str, np.ndarray], wrong: str) -> None:
    wm = small_v21(fast=False)
    scales = {"row_scale": 15 / 3, "col_scale": 15 / 5}
    positions = token_positions(wm.grid, **{} if wrong == "positions" else scales)
    wm.encoder.rope = Rope(positions, SIZES["encoder_dim"] // 2, in_pairs=wrong != "tiled")
    latents = wm.encode(clip_of(stored["clip_blocks"]), normalize=False)
    assert (latents - torch.from_numpy(stored["clip_latents"])).abs().max() > 100 * TOLERANCE
