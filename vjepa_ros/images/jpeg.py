"""JPEG files of strangers: their segments are read here, so that the decoder gets only those that decoding needs.

Allowed are baseline, extended and progressive pictures, Huffman-coded, of 8 bits, grey or of three colours. What else a
file carries (EXIF, profiles, thumbnails, comments, further pictures behind the first) changes no pixel and is left
behind. What the entropy-coded data say is not looked at: only the decoder knows.

Bytes in, bytes out; it knows no messages and decodes no picture.
"""

from __future__ import annotations

import re

from vjepa_ros.config.limits import ImageLimits
from vjepa_ros.errors import InputError
from vjepa_ros.images.sizes import damaged, require_pixels

SIGNATURE = b"\xff\xd8\xff"

_SOI, _EOI, _SOS, _RESTARTS = 0xD8, 0xD9, 0xDA, range(0xD0, 0xD8)
_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive: all by Huffman's codes
_TABLES = (0xC4, 0xDB, 0xDD)  # Huffman's codes, quantisation, restart interval
_LEFT_BEHIND = (*range(0xE0, 0xF0), 0xFE)  # applications' own, comments
# Of the applications' own these two say which colours the numbers stand for.
_JFIF, _ADOBE = (0xE0, b"JFIF\0"), (0xEE, b"Adobe")
_COMPONENTS = (1, 3)
# A multiple of images.max_pixels that all scans together may go over: ten of them over a 4K picture, with the default.
_SCANNED = 6

# What ends entropy-coded data: FF and a byte that is neither a stuffed 00 nor a restart. FF FF is filling.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7]")


def checked(file: memoryview, limits: ImageLimits) -> memoryview:
    """The first picture of a file without what decoding does not need.

    Args:
        file: begins with the signature.
        limits: what it may cost.

    Raises:
        InputError: ``image_too_large`` or ``undecodable_image``.
    """
    return _Reader(file, limits).read()


class _Reader:
    """Goes through the segments of one file."""

    def __init__(self, file: memoryview, limits: ImageLimits) -> None:
        self._file = file
        self._limits = limits
        self._at = 2  # behind the marker that begins it
        self._taken = 0  # segments, and bytes of filling
        self._pixels = 0  # of the frame, once it is known
        self._scans = 0
        self._kept: list[tuple[int, int]] = [(0, 2)]

    def read(self) -> memoryview:
        """See :func:`checked`."""
        while True:
            marker, began = self._marker()
            if marker == _EOI:
                break
            if marker in _RESTARTS:
                continue  # behind the last row of a scan: nothing hangs on it
            end = self._segment_end()
            if marker in _FRAMES:
                self._read_frame(end)
            elif marker == _SOS:
                end = self._read_scan(end)
            elif marker not in (*_TABLES, *_LEFT_BEHIND):
                raise damaged(
                    f"a JPEG with the marker FF {marker:02X}: taken are baseline and progressive pictures by Huffman's "
                    "codes; have the driver send these"
                )
            self._at = end
            if marker not in _LEFT_BEHIND or self._is_about_colours(marker, began):
                self._keep(began, end)
        if self._scans == 0:
            raise damaged("a JPEG without pixels")
        self._keep(began, self._at)
        if len(self._kept) == 1:
            return self._file[: self._at]
        return memoryview(b"".join(self._file[first:end] for first, end in self._kept))

    def _keep(self, began: int, end: int) -> None:
        last_began, last_end = self._kept[-1]
        if last_end == began:
            self._kept[-1] = (last_began, end)
        else:
            self._kept.append((began, end))

    def _marker(self) -> tuple[int, int]:
        """The next marker, and where its FF stands. Whatever lies before it is filling, as decoders take it."""
        at, size = self._at, len(self._file)
        while True:
            self._count()
            if at + 2 > size:
                raise damaged(_CUT_OFF)
            if self._file[at] == 0xFF and self._file[at + 1] not in (0x00, 0xFF):
                self._at = at + 2
                return self._file[at + 1], at
            at += 1

    def _count(self) -> None:
        self._taken += 1
        if self._taken > self._limits.max_segments:
            most = self._limits.max_segments
            raise InputError("image_too_large", f"a JPEG of more than {most} segments (images.max_segments)")

    def _segment_end(self) -> int:
        """Where the segment ends whose length comes next."""
        length = int.from_bytes(self._file[self._at : self._at + 2], "big")
        if length < 2 or self._at + length > len(self._file):
            raise damaged(_CUT_OFF)
        return self._at + length

    def _read_frame(self, end: int) -> None:
        head = self._file[self._at + 2 : end]
        if self._pixels or len(head) < 6:
            raise damaged("a JPEG whose frame header makes no sense, or stands there twice")
        bits, height, width, components = head[0], head[1] << 8 | head[2], head[3] << 8 | head[4], head[5]
        if bits != 8 or components not in _COMPONENTS or len(head) != 6 + 3 * components:
            raise damaged(f"a JPEG of {components} components of {bits} bits: taken are grey and colour of 8 bits")
        require_pixels(width, height, self._limits)
        self._pixels = width * height

    def _read_scan(self, end: int) -> int:
        """Where the data of a scan end, whose header ends before them."""
        if not self._pixels:
            raise damaged("a JPEG with pixels before its frame header")
        self._scans += 1
        most = min(self._limits.max_scans, max(1, _SCANNED * self._limits.max_pixels // self._pixels))
        if self._scans > most:
            raise InputError(
                "image_too_large",
                f"a JPEG of more than {most} scans over {self._pixels} px (images.max_scans, images.max_pixels): have "
                "the driver send baseline JPEG",
            )
        at = end
        while (found := _MARKER.search(self._file, at)) is not None:
            if self._file[found.start() + 1] != 0xFF:
                return found.start()
            self._count()
            at = found.start() + 1
        raise damaged(_CUT_OFF)

    def _is_about_colours(self, marker: int, began: int) -> bool:
        text = bytes(self._file[began + 4 : began + 9])
        return (marker, text) in (_JFIF, _ADOBE)


_CUT_OFF = (
    "a JPEG without its end marker (FF D9): cut off on the way, look for lost packets; or the camera, often a UVC one "
    "that sends MJPEG, leaves the marker out: have its driver decode and send raw images, or add the marker"
)
