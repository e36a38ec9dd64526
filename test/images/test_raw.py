"""Uncompressed images: every encoding against pixels that are known, written byte by byte here."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vjepa_ros.errors import InputError
from vjepa_ros.images.raw import ENCODINGS, decode_raw

ORDERS = {"rgb": "RGB", "bgr": "BGR", "rgba": "RGBA", "bgra": "BGRA", "8UC3": "BGR", "8UC4": "BGRA"}
PATTERNS = {"rggb": "RGGB", "bggr": "BGGR", "gbrg": "GBRG", "grbg": "GRBG"}  # rows 0 and 1 of each 2 x 2 block


def picture(height: int, width: int) -> np.ndarray:
    """(height, width, 3) uint8 RGB noise."""
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3), np.uint8)


def yuv(height: int, width: int) -> tuple[np.ndarray, ...]:
    """Noise in the range that a camera may send: brightness 16..235 and two colour differences 16..240."""
    return tuple(np.random.default_rng(0).integers(16, high, (height, width), np.uint8) for high in (236, 241, 241))


def message_bytes(values: np.ndarray, padding: int = 0, is_bigendian: bool = False) -> tuple[int, bytes]:
    """(step, data) of rows of values, each with some bytes of rubbish at its end."""
    if values.dtype == np.uint16:
        values = values.astype(">u2" if is_bigendian else "<u2")
    rows = [row.tobytes() + b"\xa5" * padding for row in values]
    return len(rows[0]), b"".join(rows)


def decode(
    encoding: str, values: np.ndarray, padding: int = 0, is_bigendian: bool = False, height: int = 0
) -> np.ndarray:
    """What becomes of a message with these values; its height where that is not the number of rows."""
    step, data = message_bytes(values, padding, is_bigendian)
    width = values.shape[1]
    return decode_raw(encoding, height or values.shape[0], width, step, is_bigendian, data)


def in_order(rgb: np.ndarray, order: str) -> np.ndarray:
    """Channels in this order; alpha is noise."""
    alpha = picture(*rgb.shape[:2])[..., 1].astype(rgb.dtype)
    return np.stack([alpha if name == "A" else rgb[..., "RGB".index(name)] for name in order], axis=-1)


def mosaic(rgb: np.ndarray, pattern: str) -> np.ndarray:
    """What a sensor under this pattern sees of a picture."""
    rows, cols = np.mgrid[: rgb.shape[0], : rgb.shape[1]]
    channel = np.array(["RGB".index(name) for name in pattern])[rows % 2 * 2 + cols % 2]
    return np.take_along_axis(rgb, channel[..., None], axis=-1)[..., 0]


def bt601(y: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """RGB by ITU-R BT.601 from brightness 16..235 and colour differences 16..240, as (..., 3) floats in 0..255."""
    luma, blue, red = (y - 16.0) / 219, (u - 128.0) / 224, (v - 128.0) / 224
    r, b = luma + 2 * (1 - 0.299) * red, luma + 2 * (1 - 0.114) * blue
    g = (luma - 0.299 * r - 0.114 * b) / 0.587
    return np.clip(np.stack([r, g, b], axis=-1) * 255, 0, 255)


# Paddings of a whole pixel, of parts of one, and of more than a row.
@pytest.mark.parametrize("padding", [0, 1, 2, 3, 4, 7, 64])
class TestPadding:
    @pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "rgba8", "bgra8", "8UC3", "8UC4"])
    def test_colour_of_8_bits(self, encoding: str, padding: int) -> None:
        rgb = picture(5, 7)
        values = in_order(rgb, ORDERS[encoding.removesuffix("8")])
        np.testing.assert_array_equal(decode(encoding, values, padding), rgb)

    @pytest.mark.parametrize("encoding", ["mono8", "8UC1"])
    def test_grey_of_8_bits(self, encoding: str, padding: int) -> None:
        grey = picture(5, 7)[..., 0]
        np.testing.assert_array_equal(decode(encoding, grey, padding), np.stack([grey] * 3, axis=-1))

    @pytest.mark.parametrize("is_bigendian", [False, True])
    @pytest.mark.parametrize("encoding", ["rgb16", "bgr16", "rgba16", "bgra16"])
    def test_colour_of_16_bits(self, encoding: str, is_bigendian: bool, padding: int) -> None:
        rgb = np.random.default_rng(0).integers(0, 65536, (5, 7, 3), np.uint16)
        values = in_order(rgb, ORDERS[encoding.removesuffix("16")])
        got = decode(encoding, values, padding, is_bigendian)
        np.testing.assert_array_equal(got, np.rint(rgb / 257).astype(np.uint8))

    @pytest.mark.parametrize("is_bigendian", [False, True])
    def test_grey_of_16_bits(self, is_bigendian: bool, padding: int) -> None:
        grey = np.array([[0, 128, 129, 385], [386, 0x1234, 0xFF7F, 0xFFFF]], np.uint16)
        want = np.array([[0, 0, 1, 1], [2, 18, 255, 255]], np.uint8)  # 128 / 257 < 0.5 < 129 / 257, and so on
        np.testing.assert_array_equal(decode("mono16", grey, padding, is_bigendian), np.stack([want] * 3, axis=-1))

    @pytest.mark.parametrize("encoding", ["uyvy", "yuv422", "yuyv", "yuv422_yuy2"])
    def test_packed_yuv(self, encoding: str, padding: int) -> None:
        y, u, v = yuv(4, 6)
        u, v = (np.repeat(chroma[:, ::2], 2, axis=1) for chroma in (u, v))  # two neighbours share theirs
        chroma = np.where(np.arange(6) % 2 == 0, u, v)
        packed = np.stack([chroma, y] if encoding in ("uyvy", "yuv422") else [y, chroma], axis=-1)
        np.testing.assert_allclose(decode(encoding, packed, padding), bt601(y, u, v), atol=1.5)

    @pytest.mark.parametrize("encoding", ["nv12", "nv21"])
    def test_planar_yuv(self, encoding: str, padding: int) -> None:
        y = yuv(4, 6)[0]
        _, u, v = yuv(2, 3)
        pairs = np.stack([u, v] if encoding == "nv12" else [v, u], axis=-1).reshape(2, 6)
        got = decode(encoding, np.concatenate([y, pairs]), padding, height=4)
        u, v = (chroma.repeat(2, axis=0).repeat(2, axis=1) for chroma in (u, v))  # four neighbours share theirs
        np.testing.assert_allclose(got, bt601(y, u, v), atol=1.5)

    @pytest.mark.parametrize("pattern", PATTERNS)
    def test_bayer(self, pattern: str, padding: int) -> None:
        y, x = np.mgrid[:8, :10]
        rgb = np.stack([40 + 12 * x, 30 + 8 * y + 6 * x, 220 - 16 * y], axis=-1).astype(np.uint8)
        got = decode(f"bayer_{pattern}8", mosaic(rgb, PATTERNS[pattern]), padding)
        assert got.shape == rgb.shape
        # On ramps interpolation is exact, but at the border, where neighbours are missing.
        np.testing.assert_allclose(got[1:-1, 1:-1].astype(int), rgb[1:-1, 1:-1].astype(int), atol=1)

    @pytest.mark.parametrize("is_bigendian", [False, True])
    @pytest.mark.parametrize("pattern", PATTERNS)
    def test_bayer_of_16_bits(self, pattern: str, is_bigendian: bool, padding: int) -> None:
        rgb = np.broadcast_to(np.array([200, 100, 50], np.uint16) * 257, (5, 7, 3))
        got = decode(f"bayer_{pattern}16", mosaic(rgb, PATTERNS[pattern]), padding, is_bigendian)
        np.testing.assert_array_equal(got, np.broadcast_to([200, 100, 50], (5, 7, 3)))


@pytest.mark.parametrize(
    "colour, rgb",
    [
        ((16, 128, 128), (0, 0, 0)),
        ((235, 128, 128), (255, 255, 255)),
        ((81, 90, 240), (254, 0, 0)),  # BT.601's red; BT.709 would give (255, 24, 0)
        ((145, 54, 34), (0, 255, 1)),
        ((41, 240, 110), (0, 0, 255)),
    ],
)
def test_known_colours_of_yuv(colour: tuple[int, int, int], rgb: tuple[int, int, int]) -> None:
    y, u, v = colour
    got = decode("yuyv", np.array([[[y, u], [y, v]]], np.uint8))
    np.testing.assert_allclose(got, np.broadcast_to(rgb, (1, 2, 3)), atol=1.5)


def test_every_encoding_is_covered_above() -> None:
    tested = {f"{order}{bits}" for order in ("rgb", "bgr", "rgba", "bgra", "mono") for bits in (8, 16)}
    tested |= {f"bayer_{pattern}{bits}" for pattern in PATTERNS for bits in (8, 16)}
    tested |= {"8UC1", "8UC3", "8UC4", "uyvy", "yuv422", "yuyv", "yuv422_yuy2", "nv12", "nv21"}
    assert set(ENCODINGS) == tested


def test_rgb_is_not_copied() -> None:
    step, data = message_bytes(picture(4, 5), padding=1)
    buffer = np.frombuffer(bytearray(data), np.uint8)
    assert np.shares_memory(decode_raw("rgb8", 4, 5, step, False, buffer), buffer)


def test_16_bits_may_begin_at_an_odd_byte() -> None:
    grey = np.array([[0x0102, 0xFFFF]], np.uint16)
    data = memoryview(b"\x00" + grey.astype("<u2").tobytes())[1:]
    np.testing.assert_array_equal(decode_raw("mono16", 1, 2, 4, False, data)[..., 0], [[1, 255]])


@pytest.mark.parametrize(
    "encoding, height, width, step, size, reason, advice",
    [
        ("yuv_of_mars", 2, 2, 6, 12, "unknown_encoding", "send rgb8; known are rgb8, bgr8"),
        ("nv24", 2, 2, 2, 12, "unknown_encoding", "send rgb8"),
        ("8UC2", 2, 2, 4, 8, "unknown_encoding", "send rgb8"),
        ("", 2, 2, 6, 12, "unknown_encoding", "send rgb8"),
        ("16UC1", 2, 2, 4, 8, "depth_image", "colour image; .* mono16"),
        ("32FC1", 2, 2, 8, 16, "depth_image", "colour image"),
        ("rgb8", 0, 2, 6, 12, "empty_image", "2x0 px"),
        ("rgb8", 2, 0, 0, 0, "empty_image", "0x2 px"),
        ("rgb8", 2, 2, 5, 12, "bad_layout", "2 rows of at least 6 bytes"),
        ("rgb8", 2, 2, 0, 12, "bad_layout", "step 0"),
        ("rgb8", 2, 2, 6, 11, "bad_layout", "11 bytes"),
        ("rgb8", 2, 2, 6, 0, "bad_layout", "0 bytes"),
        ("mono16", 2, 2, 2, 4, "bad_layout", "2 rows of at least 4 bytes"),
        ("rgb8", 2**32 - 1, 2**32 - 1, 2**32 - 1, 12, "bad_layout", "12 bytes"),
        ("yuyv", 2, 3, 6, 12, "bad_layout", "width must be even"),
        ("nv12", 2, 3, 3, 9, "bad_layout", "width and height must be even"),
        ("nv21", 3, 2, 2, 9, "bad_layout", "width and height must be even"),
        ("nv12", 4, 2, 2, 8, "bad_layout", "6 rows of at least 2 bytes"),  # no colour below the brightness
        ("bayer_rggb8", 2, 4, 4, 8, "bad_layout", "at least 3 px"),  # OpenCV would make it black
        ("bayer_rggb16", 4, 2, 4, 16, "bad_layout", "at least 3 px"),
    ],
)
def test_refused(encoding: str, height: int, width: int, step: int, size: int, reason: str, advice: str) -> None:
    with pytest.raises(InputError, match=advice) as caught:
        decode_raw(encoding, height, width, step, False, bytes(size))
    assert caught.value.reason == reason


@settings(max_examples=300, deadline=None)
@given(
    encoding=st.sampled_from(ENCODINGS), height=st.integers(0, 9), width=st.integers(0, 9), extra=st.integers(-3, 9),
    size=st.integers(0, 900), is_bigendian=st.booleans(),
)  # fmt: skip
def test_whatever_the_message_says(
    encoding: str, height: int, width: int, extra: int, size: int, is_bigendian: bool
) -> None:
    step = max(0, width * (4 if "a" in encoding[:4] else 3) + extra)
    try:
        pixels = decode_raw(encoding, height, width, step, is_bigendian, bytes(size))
    except InputError as error:
        assert error.reason in ("empty_image", "bad_layout")
    else:
        assert pixels.shape == (height, width, 3) and pixels.dtype == np.uint8
