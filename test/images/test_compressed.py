"""JPEG and PNG: what is read, and what is refused before it does harm."""

from __future__ import annotations

import io
import random
import time
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from vjepa_ros.config.limits import IMAGES
from vjepa_ros.errors import InputError
from vjepa_ros.images.compressed import decode_compressed


def picture(height: int = 24, width: int = 40) -> np.ndarray:
    """A smooth RGB picture, so that JPEG keeps it nearly as it is."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 6, y * 10, 255 - x * 3 - y * 5], axis=-1).clip(0, 255).astype(np.uint8)


def file(pixels: np.ndarray, kind: str, **options: object) -> bytes:
    """The picture as a file, by Pillow."""
    out = io.BytesIO()
    if kind == "JPEG":
        options = {"quality": 95, "subsampling": 0, **options}
    Image.fromarray(pixels).save(out, kind, **options)
    return out.getvalue()


def opencv_png(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


def png_that_claims(width: int, height: int) -> bytes:
    """A small valid PNG whose header tells of another size, with a right checksum."""
    png = bytearray(file(picture(), "PNG"))
    png[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    png[29:33] = zlib.crc32(png[12:29]).to_bytes(4, "big")
    return bytes(png)


def jpeg_that_claims(width: int, height: int) -> bytes:
    """A small valid JPEG whose frame header tells of another size."""
    jpeg = bytearray(file(picture(), "JPEG"))
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return bytes(jpeg)


@pytest.mark.parametrize("kind, tolerance", [("PNG", 0), ("JPEG", 8)])
@pytest.mark.parametrize("format_", ["rgb8; jpeg compressed bgr8", "jpeg", "png", "rgb8; png compressed bgr8", ""])
def test_colours(kind: str, tolerance: int, format_: str) -> None:
    got = decode_compressed(format_, file(picture(), kind))
    assert got.shape == (24, 40, 3) and got.dtype == np.uint8
    np.testing.assert_allclose(got.astype(int), picture().astype(int), atol=tolerance)


def test_what_was_compressed_as_rgb_has_red_and_blue_swapped() -> None:
    swapped = file(picture()[..., ::-1].copy(), "PNG")
    np.testing.assert_array_equal(decode_compressed("bgr8; png compressed rgb8", swapped), picture())


@pytest.mark.parametrize("kind, tolerance", [("PNG", 0), ("JPEG", 3)])
def test_grey(kind: str, tolerance: int) -> None:
    grey = picture()[..., 0]
    got = decode_compressed("mono8; jpeg compressed mono8", file(grey, kind))
    np.testing.assert_allclose(got.astype(int), np.stack([grey] * 3, axis=-1).astype(int), atol=tolerance)


def test_alpha_is_dropped() -> None:
    alpha = np.random.default_rng(0).integers(0, 256, (24, 40, 1), np.uint8)
    got = decode_compressed("rgba8; png compressed bgra8", file(np.concatenate([picture(), alpha], axis=-1), "PNG"))
    np.testing.assert_array_equal(got, picture())


def test_progressive_jpeg_and_the_sensor_s_rows_whatever_exif_says() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees to show it
    got = decode_compressed("jpeg", file(picture(), "JPEG", progressive=True, exif=exif))
    np.testing.assert_allclose(got.astype(int), picture().astype(int), atol=8)


@pytest.mark.parametrize(
    "format_, data, reason, advice",
    [
        ("jpeg", b"", "empty_image", "no data"),
        ("16UC1; compressedDepth png", opencv_png(np.zeros((4, 4), np.uint16)), "depth_image", "colour image"),
        ("16UC1; png compressed ", opencv_png(np.zeros((4, 4), np.uint16)), "too_many_bits", "have the driver send 8"),
        ("png", opencv_png(np.zeros((4, 4, 3), np.uint16)), "too_many_bits", "colour image"),
        ("tiff", file(picture(), "TIFF"), "undecodable_image", "neither JPEG nor PNG"),
        ("webp", file(picture(), "WEBP"), "undecodable_image", "image_transport send one of these"),
        ("h264", b"\x00\x00\x00\x01\x67" + bytes(100), "undecodable_image", "neither JPEG nor PNG"),
        ("jpeg", bytes(1000), "undecodable_image", "neither JPEG nor PNG"),
        ("jpeg", file(picture(), "JPEG")[:-2], "undecodable_image", "UVC .* send raw images, or add the marker"),
    ],
)
def test_refused(format_: str, data: bytes, reason: str, advice: str) -> None:
    with pytest.raises(InputError, match=advice) as caught:
        decode_compressed(format_, data)
    assert caught.value.reason == reason


@pytest.mark.parametrize("claim", [jpeg_that_claims, png_that_claims])
@pytest.mark.parametrize("side", [20_000, 65_000, 8_001])
def test_a_header_that_claims_too_many_pixels_is_refused_before_anything_is_decoded(claim, side: int) -> None:
    data = claim(side, side)
    began_s = time.process_time()
    with pytest.raises(InputError, match=str(IMAGES.max_pixels)) as caught:
        decode_compressed("jpeg", data)
    assert caught.value.reason == "image_too_large"
    assert time.process_time() - began_s < 0.1  # decoding as many pixels takes seconds


@pytest.mark.parametrize("kind, options", [("PNG", {}), ("JPEG", {}), ("JPEG", {"progressive": True})])
def test_truncated_files_are_refused_wherever_they_end(kind: str, options: dict[str, bool]) -> None:
    whole = file(np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8), kind, **options)
    for size in (*range(1, len(whole) - 8, 23), len(whole) - 8, len(whole) - 2):
        with pytest.raises(InputError) as caught:
            decode_compressed("jpeg", whole[:size])
        assert caught.value.reason == "undecodable_image"


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_damaged_files_give_a_picture_or_an_input_error(kind: str) -> None:
    chance = random.Random(0)
    whole = file(picture(), kind)
    reasons = set()
    for _ in range(400):
        damaged = bytearray(whole)
        for _ in range(chance.choice([1, 2, 8])):
            damaged[chance.randrange(min(len(damaged), chance.choice([40, 300, 5000])))] = chance.randrange(256)
        try:
            assert decode_compressed("jpeg", bytes(damaged)).dtype == np.uint8
        except InputError as error:
            reasons.add(error.reason)
    assert "undecodable_image" in reasons
    assert reasons <= {"undecodable_image", "image_too_large", "too_many_bits"}
