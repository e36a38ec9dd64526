"""What cameras send becomes RGB, pixel by pixel, or is refused with its reason."""

from __future__ import annotations

import array
import struct
import zlib
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vjepa_ros.errors import InputError
from vjepa_ros.images import raw
from vjepa_ros.images.compressed import decode_compressed

HEIGHT, WIDTH = 5, 7
RED, BLUE = [255, 0, 0], [0, 0, 255]  # RGB


def decode_raw(encoding: str, height: int, width: int, step: int, data: object) -> NDArray[np.uint8]:
    """Little-endian, as nearly all cameras are; the byte orders have tests of their own."""
    return raw.decode_raw(encoding, height, width, step, False, data)


def picture(channels: int = 3) -> NDArray[np.uint8]:
    """Every byte differs from its neighbours."""
    return (np.arange(HEIGHT * WIDTH * channels) * 37 % 251).astype(np.uint8).reshape(HEIGHT, WIDTH, channels)


def padded(pixels: NDArray[np.uint8], padding: int) -> tuple[int, bytes]:
    """(step, data) of an image whose rows end with bytes that mean nothing."""
    rows = pixels.reshape(HEIGHT, -1)
    filled = np.full((HEIGHT, rows.shape[1] + padding), 254, np.uint8)
    filled[:, : rows.shape[1]] = rows
    return filled.shape[1], filled.tobytes()


@pytest.mark.parametrize("padding", [0, 1, 2, 3, 11])
@pytest.mark.parametrize(
    ("encoding", "channels", "to_rgb"),
    [
        ("rgb8", 3, lambda pixels: pixels),
        ("bgr8", 3, lambda pixels: pixels[..., ::-1]),
        ("mono8", 1, lambda pixels: np.repeat(pixels, 3, axis=2)),
    ],
)
@pytest.mark.parametrize(
    "container", [bytes, lambda data: array.array("B", data), lambda d: np.frombuffer(d, np.uint8)]
)
def test_raw_images(
    encoding: str,
    channels: int,
    to_rgb: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
    padding: int,
    container: Callable[[bytes], object],
) -> None:
    step, data = padded(picture(channels), padding)
    decoded = decode_raw(encoding, HEIGHT, WIDTH, step, container(data))
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, to_rgb(picture(channels)))


def test_rgb_is_not_copied() -> None:
    data = array.array("B", picture().tobytes())
    assert np.shares_memory(decode_raw("rgb8", HEIGHT, WIDTH, 3 * WIDTH, data), np.frombuffer(data, np.uint8))


def test_data_after_the_last_row_is_ignored() -> None:
    decoded = decode_raw("rgb8", HEIGHT, WIDTH, 3 * WIDTH, picture().tobytes() + b"\1\2\3")
    np.testing.assert_array_equal(decoded, picture())


@pytest.mark.parametrize(
    ("encoding", "height", "width", "step", "size", "reason"),
    [
        ("16UC1", 5, 7, 14, 70, "depth_image"),
        ("", 5, 7, 21, 105, "unknown_encoding"),
        ("RGB8", 5, 7, 21, 105, "unknown_encoding"),
        ("rgb8", 0, 7, 21, 0, "empty_image"),
        ("rgb8", 5, 0, 0, 0, "empty_image"),
        ("mono8", 0, 0, 0, 0, "empty_image"),
        ("rgb8", 5, 7, 20, 105, "bad_layout"),  # rows overlap
        ("rgb8", 5, 7, 0, 105, "bad_layout"),
        ("rgb8", 5, 7, 21, 104, "bad_layout"),  # a byte short
        ("rgb8", 5, 7, 21, 0, "bad_layout"),
        ("rgb8", 5, 7, 24, 5 * 24 - 3, "bad_layout"),  # the last row's padding belongs to the data: cameras send it
        ("mono8", 5, 7, 21, 35, "bad_layout"),  # what mono8 needs, but the step says otherwise
    ],
)
def test_raw_images_that_are_refused(encoding: str, height: int, width: int, step: int, size: int, reason: str) -> None:
    with pytest.raises(InputError) as refused:
        decode_raw(encoding, height, width, step, bytes(size))
    assert refused.value.reason == reason


def halves() -> NDArray[np.uint8]:
    """32 x 48 px RGB: the left half red, the right half blue; JPEG keeps such colours to a few grey levels."""
    image = np.zeros((32, 48, 3), np.uint8)
    image[:, :24], image[:, 24:] = RED, BLUE
    return image


def scene(height: int = 48, width: int = 64) -> NDArray[np.uint8]:
    """A smooth RGB picture in which no two parts look alike."""
    y, x = np.mgrid[0:height, 0:width]
    red, green, blue = 127 + 100 * np.sin(x / 17 + y / 29), 127 + 100 * np.cos(x / 11 - y / 23), 2 * x + 2 * y
    return np.stack([red, green, blue], axis=-1).clip(0, 255).astype(np.uint8)


def compress(first_to_last: NDArray[np.uint8], suffix: str, *options: int) -> bytes:
    """A file whose decoder, OpenCV, gives the channels back in this order."""
    return cv2.imencode(suffix, first_to_last, options)[1].tobytes()


@pytest.mark.parametrize(
    ("format_", "file_is_rgb"),
    [
        ("jpeg", False),
        ("bgr8; jpeg compressed bgr8", False),
        ("rgb8; jpeg compressed bgr8", False),  # what image_transport writes for a camera that sends rgb8
        ("rgb8; jpeg compressed rgb8", True),
        ("bgr8; jpeg compressed rgb8", True),
        ("rgb8; jpeg compressed ", False),
    ],
)
def test_jpeg_with_the_channel_order_that_the_format_names(format_: str, file_is_rgb: bool) -> None:
    file = compress(halves() if file_is_rgb else halves()[..., ::-1], ".jpg")
    decoded = decode_compressed(format_, array.array("B", file))
    assert decoded.shape == (32, 48, 3)
    assert decoded.dtype == np.uint8
    for columns, colour in ((slice(0, 16), RED), (slice(32, 48), BLUE)):
        assert np.abs(decoded[:, columns].astype(int) - colour).max() <= 8


@pytest.mark.parametrize("format_", ["png", "rgb8; png compressed bgr8"])
def test_png_is_exact(format_: str) -> None:
    np.testing.assert_array_equal(decode_compressed(format_, compress(scene()[..., ::-1], ".png")), scene())


def test_grey_becomes_three_channels() -> None:
    grey = scene()[..., 1]
    decoded = decode_compressed("mono8; png compressed mono8", compress(grey, ".png"))
    np.testing.assert_array_equal(decoded, np.stack([grey] * 3, axis=-1))


def test_exif_orientation_is_ignored() -> None:
    file = compress(halves()[..., ::-1], ".jpg")
    turned = b"Exif\0\0MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)  # 6: turn it by a quarter
    with_exif = file[:2] + b"\xff\xe1" + struct.pack(">H", len(turned) + 2) + turned + file[2:]
    as_opencv_does = cv2.imdecode(np.frombuffer(with_exif, np.uint8), cv2.IMREAD_COLOR)
    assert as_opencv_does is not None
    assert as_opencv_does.shape == (48, 32, 3), "the tag must be one that a decoder follows"
    np.testing.assert_array_equal(decode_compressed("jpeg", with_exif), decode_compressed("jpeg", file))


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize("progressive", [0, 1])
def test_a_jpeg_that_was_cut_off_is_refused(progressive: int, lenient: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    file = compress(scene(), ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, progressive)
    whole = decode_compressed("jpeg", file)
    if lenient:  # older versions of OpenCV fill up what is missing
        monkeypatch.setattr(cv2, "imdecode", lambda *_: whole[..., ::-1])
    for kept in [*range(len(file) // 2, len(file), 97), len(file) - 2, len(file) - 1]:
        with pytest.raises(InputError) as refused:
            decode_compressed("jpeg", file[:kept])
        assert refused.value.reason == "undecodable_image"
    for rest in (b"\0" * 40, b"\xff" * 7, b"\r\n--boundary"):  # drivers fill their buffers up
        np.testing.assert_array_equal(decode_compressed("jpeg", file + rest), whole)


def test_a_jpeg_whose_thumbnail_is_whole_but_which_is_cut_off_is_refused() -> None:
    file, thumbnail = compress(scene(), ".jpg"), compress(scene(8, 8), ".jpg")
    with_thumbnail = file[:2] + b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 8) + b"Exif\0\0" + thumbnail + file[2:]
    np.testing.assert_array_equal(decode_compressed("jpeg", with_thumbnail), decode_compressed("jpeg", file))
    with pytest.raises(InputError, match="undecodable_image"):
        decode_compressed("jpeg", with_thumbnail[: -len(file) // 4])


def png_of(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds nothing."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"")),
        (b"IEND", b""),
    ]
    parts = [struct.pack(">I", len(d)) + kind + d + struct.pack(">I", zlib.crc32(kind + d)) for kind, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (b"", "empty_image"),
        (b"\0", "undecodable_image"),
        (b"not a picture at all" * 20, "undecodable_image"),
        (b"\xff\xd8\xff\xd9", "undecodable_image"),  # start and end, nothing between
        (compress(scene(), ".png")[:-400], "undecodable_image"),
        (png_of(1 << 19, 1 << 19), "image_too_large"),
    ],
)
def test_files_that_are_refused(file: bytes, reason: str) -> None:
    with pytest.raises(InputError) as refused:
        decode_compressed("jpeg", file)
    assert refused.value.reason == reason
