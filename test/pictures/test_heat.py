"""Heat over an image: hottest where the error is largest, nothing where there is none, on a scale that stays."""

from __future__ import annotations

import numpy as np
import pytest

from vjepa_ros.pictures.heat import Heat

GREY = np.full((64, 96, 3), 120, np.uint8)


def spot(row: int, col: int, error: float, others: float = 0.0) -> np.ndarray:
    """(4, 6) errors."""
    errors = np.full((4, 6), others, np.float32)
    errors[row, col] = error
    return errors


def coloured(picture: np.ndarray) -> np.ndarray:
    """(h, w) how far each pixel is from grey."""
    return np.ptp(picture.astype(int), axis=2)


def test_it_is_hot_where_the_forecast_was_wrong_and_grey_elsewhere() -> None:
    picture = Heat(top=0.5)(GREY, spot(1, 4, 0.5))
    assert picture.shape == GREY.shape and picture.dtype == np.uint8
    heat = coloured(picture)
    row, col = np.unravel_index(heat.argmax(), heat.shape)
    assert 16 <= row < 32 and 64 <= col < 80
    assert heat[24, 72] > 60
    np.testing.assert_array_equal(picture[48:], GREY[48:])
    np.testing.assert_array_equal(picture[:, :48], GREY[:, :48])


def test_the_image_stays_to_be_seen() -> None:
    image = GREY.copy()
    image[20:28, 68:76] = 255
    one, other = (Heat(top=0.5)(each, spot(1, 4, 0.5)) for each in (GREY, image))
    assert np.abs(one[24, 72].astype(int) - other[24, 72]).min() >= 15
    assert (Heat()(np.dstack([GREY[..., 0], GREY[..., 0] + 50, GREY[..., 0]]), np.zeros((4, 6)))[..., 0] > 120).all()


def test_the_scale_rises_at_once_and_falls_slowly() -> None:
    heat = Heat()
    heat(GREY, np.full((4, 6), 0.2, np.float32))
    assert heat.top == pytest.approx(0.2)
    heat(GREY, np.full((4, 6), 0.8, np.float32))
    assert heat.top == pytest.approx(0.8)
    faint = coloured(heat(GREY, np.full((4, 6), 0.1, np.float32))).max()
    assert heat.top == pytest.approx(0.8 * 0.98)
    for _ in range(200):
        picture = heat(GREY, np.full((4, 6), 0.1, np.float32))
    assert heat.top == pytest.approx(0.1) and coloured(picture).max() > 3 * faint


def test_no_error_at_all_is_no_heat() -> None:
    np.testing.assert_array_equal(Heat()(GREY, np.zeros((4, 6), np.float32)), GREY)
