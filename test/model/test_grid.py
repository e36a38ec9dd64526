"""Token arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.reference import small_config

from vjepa_ros.errors import ShapeError
from vjepa_ros.model.grid import Grid


@pytest.mark.parametrize(
    "overrides, shape",
    [
        ({}, (8, 4, 4)),
        ({"image_size": (64, 96)}, (8, 4, 6)),
        ({"image_size": 224, "num_frames": 16}, (8, 14, 14)),
        ({"tubelet_size": 1}, (16, 4, 4)),
        ({"encoding": "tubelet"}, (8, 4, 4)),
        ({"encoding": "frame_repeat"}, (16, 4, 4)),
    ],
)
def test_grid_of_a_window(overrides, shape):
    grid = Grid.of(small_config(**overrides))
    assert grid.shape == shape
    assert grid.tokens_per_step == shape[1] * shape[2]
    assert grid.tokens == shape[0] * shape[1] * shape[2]


def test_224_px_and_16_frames_are_1568_tokens():
    assert Grid.of(small_config(image_size=224)).tokens == 1568


def test_grid_of_a_shorter_clip():
    assert Grid.of_clip(small_config(), (2, 3, 6, 64, 64)) == Grid(3, 4, 4)
    assert Grid.of_clip(small_config(encoding="frame_repeat"), (2, 3, 5, 64, 64)) == Grid(5, 4, 4)


@pytest.mark.parametrize(
    "shape",
    [
        (1, 3, 5, 64, 64),  # half a tubelet
        (1, 3, 18, 64, 64),  # longer than the window
        (1, 3, 0, 64, 64),
        (0, 3, 2, 64, 64),
        (1, 3, 16, 64, 80),
        (1, 1, 16, 64, 64),
        (3, 16, 64, 64),
    ],
)
def test_clips_off_the_grid_are_refused_with_both_shapes(shape):
    with pytest.raises(ShapeError) as error:
        Grid.of_clip(small_config(), shape)
    assert str(shape) in str(error.value) and "(B, 3, N, 64, 64)" in str(error.value)


@pytest.mark.parametrize("backend", [torch.arange, np.arange])
def test_unflatten_is_time_major_then_rows_then_columns(backend):
    grid = Grid(3, 2, 4)
    latents = backend(2 * 24 * 5).reshape(2, 24, 5)
    maps = grid.unflatten(latents)
    assert tuple(maps.shape) == (2, 3, 2, 4, 5)
    assert (maps[1, 2, 1, 3] == latents[1, 2 * 8 + 1 * 4 + 3]).all()
    assert (grid.flatten(maps) == latents).all()
    assert (grid.unflatten(latents[:, :16]) == maps[:, :2]).all()
    assert (grid.flatten(maps[:, :2]) == latents[:, :16]).all()


@pytest.mark.parametrize("shape", [(1, 23, 5), (1, 32, 5), (1, 0, 5), (24, 5), (1, 3, 2, 4, 5)])
def test_unflatten_refuses_what_is_not_whole_steps(shape):
    with pytest.raises(ShapeError) as error:
        Grid(3, 2, 4).unflatten(torch.zeros(shape))
    assert str(shape) in str(error.value) and "(3, 2, 4)" in str(error.value)


@pytest.mark.parametrize("shape", [(1, 3, 4, 2, 5), (1, 4, 2, 4, 5), (1, 0, 2, 4, 5), (1, 24, 5)])
def test_flatten_refuses_maps_of_another_grid(shape):
    with pytest.raises(ShapeError) as error:
        Grid(3, 2, 4).flatten(torch.zeros(shape))
    assert str(shape) in str(error.value) and "(3, 2, 4)" in str(error.value)


@pytest.mark.parametrize(
    "region, rows, cols",
    [
        ((0.0, 0.0, 1.0, 1.0), range(4), range(8)),
        ((0.0, 0.0, 0.5, 1.0), range(4), range(4)),
        ((0.5, 0.5, 1.0, 1.0), range(2, 4), range(4, 8)),
        ((0.25, 0.37, 0.75, 0.38), range(1, 2), range(2, 6)),  # row 1 has its centre at 0.375
        ((0.0, 0.375, 1.0, 0.625), range(1, 2), range(8)),  # on the upper edge it lies inside, on the lower one not
        ((0.0, 0.13, 1.0, 0.37), range(0), range(8)),
    ],
)
def test_patches_whose_centres_lie_in_a_region(region, rows, cols):
    grid = Grid(3, 4, 8)
    counted = np.zeros((4, 8), bool)
    counted[grid.patches(region)] = True
    want = np.zeros((4, 8), bool)
    for row in rows:
        for col in cols:
            want[row, col] = True
    np.testing.assert_array_equal(counted, want)
