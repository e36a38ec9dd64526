"""The encoder against the public code, and its three encodings against one another."""

from __future__ import annotations

import pytest
import torch
from support import plain_model
from support.forms import FORMS, in_form, weights_of
from support.parity import FOLDED_TOLERANCE, TOLERANCE
from support.reference import STACKS, encoder_pair, run, small_config, stack, transformers_encoder

from vjepa_ros.errors import ShapeError
from vjepa_ros.model.encoder import Encoder


def clip_of(frames: int, size: tuple[int, int], batch: int = 2, seed: int = 0) -> torch.Tensor:
    return torch.randn(batch, 3, frames, *size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("size", [(64, 64), (32, 80), (80, 32)])
@pytest.mark.parametrize("frames", [16, 6])
def test_clip_equals_the_public_encoder(name, size, frames):
    ours, public = encoder_pair(small_config(image_size=size, **stack("encoder", name)))
    clip = clip_of(frames, size)
    expected = run(public, clip)
    for form in FORMS:
        output = run(in_form(ours, form), clip)
        difference = (output - expected).abs()
        print(f"{form}: maximum {difference.max():.2e}, mean {difference.mean():.2e}")
        torch.testing.assert_close(output, expected, rtol=0, atol=TOLERANCE)


def test_so_does_the_arbiter():
    ours, public = encoder_pair(small_config(image_size=(32, 80)))
    clip = clip_of(6, (32, 80))
    plain = plain_model.encode(ours.config, weights_of(ours), clip)
    torch.testing.assert_close(plain, run(public, clip), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("size", [(64, 64), (96, 96)])
@pytest.mark.parametrize("frames", [16, 6])
def test_clip_equals_transformers(name, size, frames):
    """Square images only: transformers cannot place the patches of others."""
    config = small_config(image_size=size, **stack("encoder", name))
    ours, _ = encoder_pair(config)
    theirs = transformers_encoder(config, dict(ours.named_parameters()))
    clip = clip_of(frames, size)
    torch.testing.assert_close(run(ours, clip), run(theirs, clip), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("tubelet_size, patch_size, mlp_ratio", [(1, 16, 4.0), (4, 8, 48 / 11), (2, 32, 2.5)])
def test_other_sizes_equal_the_public_encoders(tubelet_size, patch_size, mlp_ratio):
    config = small_config(
        tubelet_size=tubelet_size, patch_size=patch_size, mlp_ratio=mlp_ratio, encoder_dim=88, encoder_heads=4,
        num_frames=4,
    )  # fmt: skip
    ours, public = encoder_pair(config)
    theirs = transformers_encoder(config, dict(ours.named_parameters()))
    clip = clip_of(4, (64, 64))
    for other in (public, theirs):
        torch.testing.assert_close(run(ours, clip), run(other, clip), rtol=0, atol=TOLERANCE)


def test_the_giants_mlp_is_6144_wide():
    with torch.device("meta"):
        encoder = Encoder(small_config(encoder_dim=1408, encoder_heads=22, encoder_depth=1, mlp_ratio=48 / 11))
    assert encoder.blocks[0].mlp.fc1.out_features == 6144


@pytest.mark.parametrize("size", [(64, 64), (32, 80)])
def test_tubelet_encodes_every_tubelet_alone(size):
    ours, public = encoder_pair(small_config(encoding="tubelet", image_size=size))
    clip = clip_of(6, size)
    alone = [run(public, clip[:, :, k : k + 2]) for k in (0, 2, 4)]
    torch.testing.assert_close(run(ours, clip), torch.cat(alone, dim=1), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("tubelet_size", [1, 2, 4])
@pytest.mark.parametrize("size", [(64, 64), (32, 80)])
def test_frame_repeat_equals_repeated_frames_encoded_alone(tubelet_size, size):
    """The summed kernel against the same frames really repeated: by the public code, and by our own Conv3d."""
    overrides = {"tubelet_size": tubelet_size, "image_size": size, "num_frames": 8}
    ours, public = encoder_pair(small_config(encoding="frame_repeat", **overrides))
    ours_3d, _ = encoder_pair(small_config(encoding="clip", **overrides))
    clip = clip_of(3, size)
    repeated = [clip[:, :, k : k + 1].repeat(1, 1, tubelet_size, 1, 1) for k in range(3)]
    expected = [torch.cat([run(other, frame) for frame in repeated], dim=1) for other in (public, ours_3d)]
    for form in FORMS:
        dense = run(in_form(ours, form), clip)
        assert dense.shape == (2, 3 * (size[0] // 16) * (size[1] // 16), 64)
        for other in expected:
            torch.testing.assert_close(dense, other, rtol=0, atol=FOLDED_TOLERANCE)


@pytest.mark.parametrize("encoding, looks_ahead", [("clip", True), ("tubelet", False), ("frame_repeat", False)])
@pytest.mark.parametrize("form", FORMS)
def test_only_clip_looks_ahead(form, encoding, looks_ahead):
    ours = in_form(encoder_pair(small_config(encoding=encoding))[0], form)
    clip = clip_of(8, (64, 64))
    changed = clip.clone()
    changed[:, :, 6:] = -changed[:, :, 6:]
    steps_before = 3 if encoding != "frame_repeat" else 6
    first, second = run(ours, clip)[:, : steps_before * 16], run(ours, changed)[:, : steps_before * 16]
    assert (first - second).abs().max() > 0.01 if looks_ahead else torch.equal(first, second)


def test_a_shorter_clip_equals_a_model_of_that_length():
    long, _ = encoder_pair(small_config(num_frames=16))
    short, _ = encoder_pair(small_config(num_frames=8))
    clip = clip_of(8, (64, 64))
    assert torch.equal(run(long, clip), run(short, clip))


@pytest.mark.parametrize("frames, size", [(5, (64, 64)), (18, (64, 64)), (4, (64, 48)), (4, (48, 64))])
def test_off_the_grid_is_refused(frames, size):
    ours, _ = encoder_pair(small_config())
    with pytest.raises(ShapeError, match=rf"\(2, 3, {frames}, {size[0]}, {size[1]}\)"):
        run(ours, clip_of(frames, size))
