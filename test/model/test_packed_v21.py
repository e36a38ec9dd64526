"""V-JEPA 2.1 in every form, encoding and choice of levels against the arbiter, and that one against stored numbers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support import plain_model
from support.forms import FORMS, TOLERANCE, compared, drawn, in_form, weights_of
from support.small_v21 import SIZES, clip_of, golden, small_v21, v21_config, v21_encoder

from vjepa_ros.model.blocks import layer_normalize

CHOICES: dict[str, dict[str, Any]] = {
    "clip": {"encoding": "clip"},
    "clip, all levels": {"encoding": "clip", "latent_levels": "all"},
    "tubelet": {"encoding": "tubelet"},
    "frame_repeat": {"encoding": "frame_repeat"},
    "frame": {"encoding": "frame"},
    "frame, all levels": {"encoding": "frame", "latent_levels": "all"},
}
EVERY = pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES)


@pytest.mark.parametrize("levels, name", [("last", "clip_latents"), ("all", "clip_hierarchical")])
def test_the_arbiter_gives_what_is_stored(levels: str, name: str) -> None:
    wm, stored = small_v21(fast=False, latent_levels=levels), golden()
    latents = plain_model.encode(wm.config, weights_of(wm.encoder), clip_of(stored["clip_blocks"]))
    assert (latents - torch.from_numpy(stored[name])).abs().max() <= TOLERANCE


def test_so_it_does_for_a_single_frame() -> None:
    wm, stored = small_v21(fast=False, encoding="frame"), golden()
    latents = plain_model.encode(wm.config, weights_of(wm.encoder), clip_of(stored["clip_blocks"])[:, :, :1])
    assert (latents - torch.from_numpy(stored["image_latents"])).abs().max() <= TOLERANCE
    assert wm.config.image_size == SIZES["image_size"]


@pytest.mark.parametrize("form", FORMS)
@EVERY
def test_in_float32(choice: dict[str, Any], form: str) -> None:
    settings = v21_config(**choice)
    exact = v21_encoder(settings)
    ours, clip = in_form(exact, form), drawn(2, 3, 6, 64, 96)
    with torch.inference_mode():
        latents, plain = ours(clip), plain_model.encode(settings, weights_of(exact), clip)
        assert latents.shape == (2, (3 if settings.stride == 2 else 6) * 24, settings.latent_dim)
        compared(f"{choice}, {form}", layer_normalize(latents), layer_normalize(plain))


@pytest.mark.parametrize("form", FORMS)
@EVERY
def test_in_bfloat16(choice: dict[str, Any], form: str) -> None:
    settings = v21_config(**choice)
    exact = v21_encoder(settings)
    ours, clip = in_form(exact, form, torch.bfloat16), drawn(1, 3, 8, 64, 96)
    with torch.inference_mode():
        true = plain_model.encode(settings, weights_of(exact), clip)
        half = plain_model.encode(settings, weights_of(exact, torch.bfloat16), clip.bfloat16())
        latents = ours(clip.bfloat16())
        assert latents.dtype == torch.float32
        compared(f"{choice}, {form}", latents, half, true)


@pytest.mark.parametrize("form", FORMS)
def test_frames_see_nothing_of_each_other(form: str) -> None:
    ours = in_form(v21_encoder(v21_config(encoding="frame")), form)
    clip = drawn(1, 3, 4, 64, 96)
    changed = clip.clone()
    changed[:, :, 2:] = -changed[:, :, 2:]
    with torch.inference_mode():
        first, second = ours(clip), ours(changed)
    assert torch.equal(first[:, :48], second[:, :48]) and not torch.equal(first[:, 48:], second[:, 48:])


def test_one_row_or_column_of_patches_is_at_place_zero() -> None:
    """There is no distance to be scaled."""
    ours = v21_encoder(v21_config(image_size=(16, 96)))
    with torch.inference_mode():
        assert torch.isfinite(ours(drawn(1, 3, 8, 16, 96))).all()
