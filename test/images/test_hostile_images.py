"""Files of strangers: those of all producers give the decoder's own pixels, all others an InputError at little cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.costly_images import COSTLY, END, progressive
from support.hostile_images import good, header, picture, png, png_chunks, rows

from vjepa_ros.config.limits import IMAGES
from vjepa_ros.errors import InputError
from vjepa_ros.images import compressed
from vjepa_ros.images.compressed import decode_compressed
from vjepa_ros.images.png import checked

GOOD = good()


@pytest.mark.parametrize("name", GOOD)
def test_good_files_give_the_pixels_that_the_decoder_makes_of_the_whole_file(name: str) -> None:
    want = cv2.imdecode(np.frombuffer(GOOD[name], np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    said: list[str] = []
    np.testing.assert_array_equal(decode_compressed("jpeg", GOOD[name], tell=said.append), want[..., ::-1])
    assert said == []


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (8, 8), (240, 321)])
def test_good_files_of_other_sizes(size: tuple[int, int]) -> None:
    for name, file in good(picture(*size)).items():
        want = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        np.testing.assert_array_equal(decode_compressed("png", file), want[..., ::-1], err_msg=name)


def handed_on(file: bytes, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """What the decoder gets of a file."""
    seen: list[bytes] = []
    real = cv2.imdecode

    def imdecode(data: np.ndarray, mode: int) -> np.ndarray:
        seen.append(data.tobytes())
        return real(data, mode)

    monkeypatch.setattr(compressed.cv2, "imdecode", imdecode)
    decode_compressed("png", file)
    monkeypatch.undo()
    (only,) = seen
    return only


def test_the_decoder_gets_pixels_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "png with everything before its pixels",
        "png of many small chunks, some empty",
        "pillow png 4 colours",
    ):
        names = [chunk for chunk, _ in png_chunks(handed_on(GOOD[name], monkeypatch))]
        assert names in ([b"IHDR", b"IDAT", b"IEND"], [b"IHDR", b"PLTE", b"IDAT", b"IEND"])
    file = handed_on(GOOD["pillow jpeg exif icc comment"], monkeypatch)
    assert len(file) < 5000 and b"ICC_PROFILE" not in file and b"Exif" not in file and b"a camera" not in file
    assert handed_on(GOOD["two jpegs"], monkeypatch) == GOOD["pillow jpeg 95"]


WIDTH, HEIGHT = 300, 301  # more pixels than are unpacked at a time
PASSES = ((38, 38), (37, 38), (75, 38), (75, 76), (150, 75), (150, 151), (300, 150))  # (columns, rows), interlaced


def filtered(is_interlaced: bool) -> tuple[bytearray, list[int]]:
    """(the rows with filters of all kinds, where the filters stand)."""
    chance = np.random.default_rng(1)
    data, places = bytearray(), []
    for columns, count in PASSES if is_interlaced else ((WIDTH, HEIGHT),):
        for _ in range(count):
            places.append(len(data))
            data += bytes([len(places) % 5]) + chance.integers(0, 256, 3 * columns, np.uint8).tobytes()
    return data, places


def split_png(data: bytes, is_interlaced: bool, split: int, behind: bytes = b"") -> bytes:
    """A PNG of such rows, its pixels in chunks of so many bytes."""
    packed = zlib.compress(data) + behind
    parts = [(b"IDAT", packed[at : at + split]) for at in range(0, len(packed), split)]
    return png([header(WIDTH, HEIGHT, rest=(0, 0, int(is_interlaced))), *parts, END])


@pytest.mark.parametrize("is_interlaced", [False, True])
def test_amounts_and_filters_are_looked_at_wherever_they_stand(is_interlaced: bool) -> None:
    """Also at the borders of chunks, and of what is unpacked at a time."""
    data, places = filtered(is_interlaced)
    for split in (100, 16_384, 65_535, 10**9):
        file = split_png(data, is_interlaced, split)
        want = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR)
        np.testing.assert_array_equal(decode_compressed("png", file), want[..., ::-1])
    for place in places[:: 7 if is_interlaced else 1]:
        wrong = data.copy()
        wrong[place] = 5
        with pytest.raises(InputError, match="a row filter that does not exist"):
            decode_compressed("png", split_png(wrong, is_interlaced, 10**9))
    for file, found in (
        (split_png(data[:-1], is_interlaced, 16_384), "fewer"),
        (split_png(data + b"\0", is_interlaced, 16_384), "more"),
        (split_png(data, is_interlaced, 10**9, b"\0"), "more"),
        (split_png(data, is_interlaced, 100, bytes(50_000)), "more"),
    ):
        with pytest.raises(InputError, match=f"a PNG with {found} pixels than the 300x301"):
            decode_compressed("png", file)


def test_a_large_png_is_in_memory_once() -> None:
    """48 kB that become 50 MB; counted is what Python has of it, not what the decoder does."""
    side = 4096
    file = png([header(side, side), (b"IDAT", rows(side, 3 * side, level=9)), END])
    tracemalloc.start()
    try:
        png_file = checked(memoryview(file), IMAGES)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(png_file) > 3 * side * side and most < 1.3 * len(png_file)


def test_an_index_beyond_the_palette_is_black() -> None:
    file = png(
        [header(2, 1, 8, 3), (b"PLTE", b"\x10\x20\x30"), (b"IDAT", zlib.compress(b"\0\0\xff")), (b"IEND", b"")]
    )  # fmt: skip
    np.testing.assert_array_equal(decode_compressed("png", file), [[[0x10, 0x20, 0x30], [0, 0, 0]]])


@pytest.mark.parametrize("name", COSTLY)
def test_what_would_cost_much_is_refused_at_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No decoder sees it: that is what holds its cost down, and what is tested. The time is printed only."""
    reason, file = COSTLY[name]
    monkeypatch.setattr(compressed.cv2, "imdecode", lambda *_: pytest.fail("a decoder saw it"))
    began_s = time.process_time()
    with pytest.raises(InputError) as caught:
        decode_compressed("jpeg", file)
    print(f"{name}: {(time.process_time() - began_s) * 1e3:.1f} ms: {caught.value}")
    assert caught.value.reason == reason
    assert len(str(caught.value)) < 400


def test_limits_are_where_they_are_said_to_be() -> None:
    scans = progressive(64, 64, IMAGES.max_scans)
    assert decode_compressed("jpeg", scans).shape == (64, 64, 3)
    for file, limits in (
        (progressive(64, 64, IMAGES.max_scans + 1), IMAGES),
        (scans, replace(IMAGES, max_scans=IMAGES.max_scans - 1)),
        (scans, replace(IMAGES, max_pixels=64 * 64 - 1)),
        (scans, replace(IMAGES, max_pixels=64 * 64)),  # 20 times over it
        (scans, replace(IMAGES, max_file_bytes=len(scans) - 1)),
        (scans, replace(IMAGES, max_segments=20)),
        (GOOD["opencv png 1"], replace(IMAGES, max_segments=2)),
        (GOOD["opencv png 1"], replace(IMAGES, max_pixels=37 * 53 - 1)),
    ):
        with pytest.raises(InputError) as caught:
            decode_compressed("jpeg", file, limits)
        assert caught.value.reason == "image_too_large"
    assert decode_compressed("png", GOOD["opencv png 1"], replace(IMAGES, max_segments=3, max_pixels=37 * 53)).any()


def test_a_4k_camera_fits_the_limits() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2160, 3840, 3), np.uint8)  # as large as files get
    kinds = {".png": (cv2.IMWRITE_PNG_COMPRESSION, 1), ".jpg": (cv2.IMWRITE_JPEG_QUALITY, 100)}
    for kind, options in (*kinds.items(), (".jpg", (cv2.IMWRITE_JPEG_PROGRESSIVE, 1))):
        file, said = cv2.imencode(kind, pixels, options)[1], list[str]()
        want = cv2.imdecode(file, cv2.IMREAD_COLOR)
        np.testing.assert_array_equal(decode_compressed(kind, file.tobytes(), tell=said.append), want[..., ::-1])
        assert said == [], "no decoder finds anything odd about what it is handed"


def test_damaged_files_by_thousands_end_nothing() -> None:
    """In a process of its own, which a crash would end; 100,000 more were tried by hand."""
    fuzz = Path(__file__).with_name("fuzz_images.py")
    done = subprocess.run(
        [sys.executable, str(fuzz), "1", "6000"], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0 and done.stderr == "", done.stderr[-2000:]
    found = json.loads(done.stdout)
    print(found)
    outcomes = found["outcomes"]
    assert outcomes.keys() <= {"decoded", "undecodable_image", "image_too_large", "empty_image", "too_many_bits"}
    assert min(outcomes["decoded"], outcomes["undecodable_image"]) > 500
    assert found["peak_mb"] < 300


@contextmanager
def stderr_file() -> Iterator[Path]:
    """The process's stderr, in a file for as long as this lasts."""
    with tempfile.NamedTemporaryFile() as file:
        real = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield Path(file.name)
        finally:
            os.dup2(real, 2)
            os.close(real)


def test_what_decoders_print_is_told_once_and_kept_from_stderr() -> None:
    whole = GOOD["pillow jpeg 95"]
    broken = whole[: len(whole) * 2 // 3] + b"\xff\xd9"
    said: list[str] = []
    with stderr_file() as printed:
        decode_compressed("jpeg", broken, tell=said.append)
        assert printed.read_bytes() == b""
        cv2.imdecode(np.frombuffer(broken, np.uint8), cv2.IMREAD_COLOR)
        assert b"Corrupt JPEG data" in printed.read_bytes(), "it prints where nobody keeps it from that"
    assert len(said) == 1 and "Corrupt JPEG data: premature end" in said[0] and "the picture is used" in said[0]
    decode_compressed("jpeg", whole[:-2] + b"\1\2\3\xff\xd9", tell=said.append)
    assert len(said) == 1, "padding harms nothing"


def test_what_others_print_meanwhile_is_printed() -> None:
    stop, lines = threading.Event(), 0

    def log() -> None:
        nonlocal lines
        while not stop.is_set():
            os.write(2, b"a line of somebody else\n")
            lines += 1

    with stderr_file() as printed:
        thread = threading.Thread(target=log)
        thread.start()
        for _ in range(300):
            decode_compressed("jpeg", GOOD["pillow jpeg 95"])
        stop.set()
        thread.join()
        decode_compressed(
            "jpeg", GOOD["pillow jpeg 95"]
        )  # a line that was being written is handed on with the next image
        assert printed.read_bytes().count(b"a line of somebody else\n") == lines > 0


def test_without_stderr_images_are_decoded() -> None:
    real = os.dup(2)
    os.close(2)
    try:
        assert decode_compressed("jpeg", GOOD["pillow jpeg 95"]).any()
    finally:
        os.dup2(real, 2)
        os.close(real)
