"""Preprocessing against what the public code made of synthetic images, and against torch's own interpolation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from vjepa_ros.config.model import Preprocessing
from vjepa_ros.config.node import resolve
from vjepa_ros.config.view import ViewConfig
from vjepa_ros.errors import ConfigError, InputError, ShapeError
from vjepa_ros.images import preprocess
from vjepa_ros.images.preprocess import Preprocess

GOLDEN = np.load(Path(__file__).parents[1] / "data" / "reference" / "golden.npz")
STORED = sorted(key for key in GOLDEN.files if key.startswith(("square_", "droid_")))

MEAN = np.array([0.485, 0.456, 0.406])[:, None, None]
STD = np.array([0.229, 0.224, 0.225])[:, None, None]


def synthetic(height: int, width: int) -> np.ndarray:
    """The smooth image behind the stored results."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    channels = [
        127 + 100 * np.sin(x / 17 + y / 29),
        127 + 100 * np.cos(x / 11 - y / 23),
        (255 * x / width + 255 * y / height) / 2,
    ]
    return np.stack(channels, axis=-1).clip(0, 255).astype(np.uint8)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def grey_levels(normalised: np.ndarray) -> np.ndarray:
    """Back to 0..255."""
    return (normalised.astype(float) * STD + MEAN) * 255


def interpolated(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(h, w, 3) uint8 -> (3, *size) grey levels by torch's bilinear interpolation, without antialiasing."""
    pixels = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].double()
    return F.interpolate(pixels, size, mode="bilinear", align_corners=False, antialias=False)[0].numpy()


def assert_grey(ours: np.ndarray, expected: np.ndarray, tolerance: float = 1e-3) -> None:
    assert ours.shape == expected.shape
    assert np.abs(ours - expected).max() <= tolerance


def test_there_is_something_stored_for_each_mode():
    assert {key.split("_")[0] for key in STORED} == {"square", "droid"}


@pytest.mark.parametrize("key", STORED)
def test_equals_the_public_code(key):
    mode, size = key.split("_")
    height, width = map(int, size.split("x"))
    ours = Preprocess(mode, (256, 256))(synthetic(height, width))
    assert_grey(grey_levels(ours[:, ::8, ::8]), grey_levels(GOLDEN[key]))


@pytest.mark.parametrize(
    "mode, source, target, rows, cols",
    [
        ("square", (48, 64), (32, 32), (0, 48), (8, 56)),
        ("square", (64, 47), (32, 32), (8, 55), (0, 47)),  # half a pixel too much goes to the end
        ("square", (60, 60), (32, 64), (15, 45), (0, 60)),  # a target of aspect 2
        ("square", (60, 120), (64, 32), (0, 60), (45, 75)),
        ("square", (20, 30), (64, 64), (0, 20), (5, 25)),  # enlarging
        ("droid", (48, 64), (32, 32), (0, 48), (0, 64)),  # aspect 1.33: whole, squeezed
        ("droid", (48, 80), (32, 32), (0, 48), (7, 72)),  # aspect 1.67: cut to round(48 * 1.35) = 65
        ("droid", (80, 48), (32, 32), (8, 72), (0, 48)),  # aspect 0.6: cut to round(48 / 0.75) = 64
        ("droid", (48, 96), (32, 64), (0, 48), (0, 96)),  # aspect 2 for a target of aspect 2: whole
    ],
)
def test_crops(mode, source, target, rows, cols):
    image = noise(*source)
    ours = Preprocess(mode, target)(image)
    assert_grey(grey_levels(ours), interpolated(image[slice(*rows), slice(*cols)], target), tolerance=2e-3)


@pytest.mark.parametrize(
    "source, target, resized, top, left",
    [
        ((60, 90), (56, 56), (64, 96), 4, 20),
        ((90, 61), (56, 56), (94, 64), 19, 4),
        ((64, 81), (56, 56), (64, 81), 4, 12),  # 12.5 px to the left is 12: halves go to the even side
        ((64, 83), (56, 56), (64, 83), 4, 14),  # and 13.5 is 14
        ((40, 200), (56, 112), (64, 320), 4, 104),
        ((200, 40), (56, 112), (640, 128), 292, 8),
    ],
)
def test_eval_resizes_and_then_crops(source, target, resized, top, left):
    image = noise(*source)
    ours = Preprocess("eval", target)(image)
    expected = interpolated(image, resized)[:, top : top + target[0], left : left + target[1]]
    assert_grey(grey_levels(ours), expected, tolerance=2e-3)


def test_an_image_of_the_right_size_is_only_normalised():
    image = noise(64, 64)
    expected = (image.transpose(2, 0, 1) / 255 - MEAN) / STD
    np.testing.assert_allclose(Preprocess("square", (64, 64))(image), expected, atol=1e-6)


@pytest.mark.parametrize("mode", ["square", "droid", "eval"])
def test_the_result_is_contiguous_float32_and_the_image_stays_as_it_is(mode):
    image = noise(50, 70)
    view = image[::-1, ::2]  # negative and wide strides, as views of messages may have
    before = image.copy()
    out = Preprocess(mode, (32, 48))(view)
    assert out.shape == (3, 32, 48) and out.dtype == np.float32 and out.flags.c_contiguous
    assert np.array_equal(image, before)
    assert np.array_equal(out, Preprocess(mode, (32, 48))(view.copy()))


@pytest.mark.parametrize("mode", ["square", "droid", "eval"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (3, 2)])
def test_extreme_images_still_give_the_target(mode, shape):
    out = Preprocess(mode, (16, 32))(noise(*shape))
    assert out.shape == (3, 16, 32) and np.isfinite(out).all()


@pytest.mark.parametrize("shape", [(1, 60000), (60000, 1)])
def test_a_strip_that_eval_would_fill_the_memory_with_is_refused(shape):
    with pytest.raises(InputError, match=r"unusable_image: .*60000.* px would be resized to"):
        Preprocess("eval", (256, 256))(noise(*shape))
    assert Preprocess("square", (256, 256))(noise(*shape)).shape == (3, 256, 256)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((0, 0, 3), np.uint8),
        np.zeros((4, 0, 3), np.uint8),
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
    ],
)
def test_other_arrays_are_refused(image):
    with pytest.raises(ShapeError, match=r"\(h, w, 3\) uint8"):
        Preprocess("square", (32, 32))(image)


def test_unknown_modes_and_sizes_are_refused():
    with pytest.raises(ConfigError, match="preprocessing: 'round' is not one of square, droid, eval"):
        Preprocess("round", (32, 32))
    with pytest.raises(ConfigError, match="image_size"):
        Preprocess("square", (32, 0))


@pytest.mark.parametrize("mode", ["square", "droid", "eval"])
@pytest.mark.parametrize("source", [(480, 640), (640, 480), (720, 1280), (1080, 1920), (300, 500), (224, 224)])
def test_camera_sizes_equal_torch(mode, source):
    """Written once more after the public code: torchvision's resize of a size, then its centre crop."""
    target, image = 256, noise(*source)
    height, width = source
    if mode == "eval":
        short = int(target * 256 / 224)
        size = (int(short * height / width), short) if width <= height else (short, int(short * width / height))
        whole = interpolated(image, size)
        top, left = round((size[0] - target) / 2), round((size[1] - target) / 2)
        expected = whole[:, top : top + target, left : left + target]
    else:
        widest, narrowest = (1.0, 1.0) if mode == "square" else (1.35, 0.75)
        kept_width, kept_height = min(width, round(height * widest)), min(height, round(width / narrowest))
        top, left = (height - kept_height) // 2, (width - kept_width) // 2
        expected = interpolated(image[top : top + kept_height, left : left + kept_width], (target, target))
    assert_grey(grey_levels(Preprocess(mode, (target, target))(image)), expected)


# The four corners of a picture: A B over C D.
A, B, C, D = range(4)


def corners(image: np.ndarray) -> list[int]:
    """Which of A, B, C, D lies in the upper left, upper right, lower left, lower right."""
    return [int(image[0, y, x]) for y in (0, -1) for x in (0, -1)]


@pytest.mark.parametrize(
    "rotation_deg, flip, expected",
    [
        (0, "none", [A, B, C, D]),
        (90, "none", [C, A, D, B]),  # clockwise
        (180, "none", [D, C, B, A]),
        (270, "none", [B, D, A, C]),
        (0, "horizontal", [B, A, D, C]),
        (0, "vertical", [C, D, A, B]),
        (90, "horizontal", [A, C, B, D]),  # turned, then mirrored
        (90, "vertical", [D, B, C, A]),
        (270, "horizontal", [D, B, C, A]),
        (180, "vertical", [B, A, D, C]),
    ],
)
def test_turns_and_flips(rotation_deg, flip, expected):
    quarters = np.kron(np.array([[A, B], [C, D]]), np.ones((8, 8)))[..., None].repeat(3, axis=-1).astype(np.uint8)
    ours = Preprocess("square", (16, 16), ViewConfig((), rotation_deg, flip))(quarters)
    assert corners(np.rint(grey_levels(ours))) == expected


@pytest.mark.parametrize("mode", ["square", "droid", "eval"])
@pytest.mark.parametrize("rotation_deg", [0, 90, 180, 270])
@pytest.mark.parametrize("flip", ["none", "horizontal", "vertical"])
def test_the_region_of_interest_comes_first_then_the_turn_then_the_flip_then_the_mode(mode, rotation_deg, flip):
    image = noise(50, 70)
    before = image.copy()
    seen = np.rot90(image[5:45, 10:68], -rotation_deg // 90)
    seen = {"none": seen, "horizontal": seen[:, ::-1], "vertical": seen[::-1]}[flip]
    ours = Preprocess(mode, (32, 48), ViewConfig((10, 5, 58, 40), rotation_deg, flip))(image)
    assert np.array_equal(ours, Preprocess(mode, (32, 48))(seen))
    assert np.array_equal(image, before)


def test_a_region_of_interest_may_be_the_whole_image_or_one_pixel():
    image = noise(20, 30)
    whole = Preprocess("square", (16, 16), ViewConfig((0, 0, 30, 20), 0, "none"))
    assert np.array_equal(whole(image), Preprocess("square", (16, 16))(image))
    corner = grey_levels(Preprocess("square", (16, 16), ViewConfig((29, 19, 1, 1), 0, "none"))(image))
    assert_grey(corner, np.broadcast_to(image[19, 29][:, None, None].astype(float), (3, 16, 16)))


@pytest.mark.parametrize("roi", [(0, 0, 31, 20), (0, 0, 30, 21), (30, 0, 1, 1), (0, 20, 1, 1), (5, 5, 30, 2)])
def test_an_image_that_the_region_of_interest_does_not_lie_in_is_refused_with_advice(roi):
    with pytest.raises(InputError, match=r"30x20 px, but view.roi .*: set view.roi for this resolution") as caught:
        Preprocess("square", (16, 16), ViewConfig(roi, 0, "none"))(noise(20, 30))
    assert caught.value.reason == "roi_outside"


@pytest.mark.parametrize(
    "values, message",
    [
        ({"view.roi": [1, 2, 3]}, r"view.roi: must be \[x, y, width, height\]"),
        ({"view.roi": [-1, 0, 3, 3]}, "view.roi: -1 is less than 0 px"),
        ({"view.roi": [0, 0, 3, 0]}, r"view.roi: must be \[x, y, width, height\]"),
        ({"view.roi": [0.5, 0, 3, 3]}, r"view.roi: must be int\[\]"),
        ({"view.rotation_deg": 45}, "view.rotation_deg: 45 is not one of 0, 90, 180, 270"),
        ({"view.rotation_deg": "90"}, "view.rotation_deg: must be int"),
        ({"view.flip": "both"}, "view.flip: 'both' is not one of none, horizontal, vertical"),
    ],
)
def test_views_that_make_no_sense_are_refused_by_name(values, message):
    with pytest.raises(ConfigError, match=message):
        resolve({"joint_names": list("abcdefg"), **values})


def test_the_parameters_give_the_view():
    values = {"view.roi": [1, 2, 30, 40], "view.rotation_deg": 270, "view.flip": "vertical"}
    assert resolve({"joint_names": list("abcdefg"), **values}).camera.view == ViewConfig(
        (1, 2, 30, 40), 270, "vertical"
    )
    assert resolve({"joint_names": list("abcdefg")}).camera.view == ViewConfig((), 0, "none")


@pytest.mark.parametrize("mode", ["square", "droid", "eval"])
def test_only_the_rows_that_are_read_are_written(mode: Preprocessing, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of tall images: the result is that of all rows, bit for bit, whatever the ratio."""
    chance = np.random.default_rng(0)
    for _ in range(60):
        height, width = (int(side) for side in chance.integers(100, 1500, 2))
        image = chance.integers(0, 256, (height, width, 3), np.uint8)
        size = int(chance.integers(8, 64)), int(chance.integers(8, 64))
        few = Preprocess(mode, size)
        few._pixels = np.full(image.shape, np.nan, np.float32)
        monkeypatch.setattr(preprocess, "_TALL", 1)
        got = few(image)
        monkeypatch.setattr(preprocess, "_TALL", 10**6)
        np.testing.assert_array_equal(got, Preprocess(mode, size)(image))


def test_the_buffer_is_as_large_as_the_last_image_needs() -> None:
    prepare = Preprocess("square", (64, 64))
    for side in (2000, 64, 100):
        prepare(np.zeros((side, side, 3), np.uint8))
        assert prepare._pixels.nbytes == side * side * 12
