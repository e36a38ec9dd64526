"""PNG files of strangers: read to their last byte here, so that the decoder gets nothing but pixels.

The decoder is handed a file of four chunks at most, made anew: the header, the palette where there is one, the pixels,
the end. Whatever else a file may carry (text, profiles, physical sizes, transparency) changes no pixel and is left
behind. The pixels are unpacked here, where their amount and their row filters are checked, and handed on unpacked.

Bytes in, bytes out; it knows no messages and decodes no picture.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vjepa_ros.config.limits import ImageLimits
from vjepa_ros.errors import InputError, quoted
from vjepa_ros.images.sizes import damaged, require_pixels

SIGNATURE = b"\x89PNG\r\n\x1a\n"

# Colour type: (channels, bits that a channel may have). Bits of 16 are known, and refused with advice.
_COLOURS = {
    0: (1, (1, 2, 4, 8, 16)), 2: (3, (8, 16)), 3: (1, (1, 2, 4, 8)), 4: (2, (8, 16)), 6: (4, (8, 16)),
}  # fmt: skip
_PALETTE = 3
_LAST_FILTER = 4
_ANIMATION = (b"acTL", b"fcTL", b"fdAT")
# The passes of an interlaced picture: (first column, first row, columns apart, rows apart).
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_PIECE = 1 << 20  # bytes unpacked at a time: a stream that never ends is noticed early


@dataclass(frozen=True)
class _Header:
    """What the first chunk says.

    Attributes:
        data: the chunk's own 13 bytes.
        width, height: in px.
        bits: of a pixel, all channels together.
        colour: the colour type.
        is_interlaced: whether the picture comes in seven passes.
    """

    data: bytes
    width: int
    height: int
    bits: int
    colour: int
    is_interlaced: bool

    def passes(self) -> Iterator[tuple[int, int]]:
        """(rows, bytes of a row with its filter) of each pass that has any."""
        passes = _PASSES if self.is_interlaced else ((0, 0, 1, 1),)
        for x, y, dx, dy in passes:
            columns, rows = -(-(self.width - x) // dx), -(-(self.height - y) // dy)
            if columns > 0 and rows > 0:
                yield rows, 1 + (columns * self.bits + 7) // 8


def checked(file: memoryview, limits: ImageLimits) -> bytes:
    """The same picture as a file of the chunks that decoding needs, its pixels not compressed.

    Args:
        file: begins with the signature.
        limits: what it may cost.

    Raises:
        InputError: ``too_many_bits``, ``image_too_large`` or ``undecodable_image``.
    """
    header: _Header | None = None
    palette: bytes | None = None
    packed: list[memoryview] = []
    is_data_over = False
    for name, data in _chunks(file, limits.max_segments):
        if name == b"IEND":
            break
        if header is None:
            header = _header(name, data)
            require_pixels(header.width, header.height, limits)
        elif name in _ANIMATION:
            raise InputError(
                "undecodable_image", "an animated PNG: a camera's image is one picture; have the driver send plain PNG"
            )
        elif name == b"PLTE":
            if palette is not None or packed or len(data) % 3 or not 3 <= len(data) <= 3 * 256:
                raise damaged(f"a PNG with a palette of {len(data)} bytes that cannot be, or in the wrong place")
            palette = bytes(data)
        elif name == b"IDAT":
            if is_data_over:
                raise damaged("a PNG whose pixels stand in two places")
            packed.append(data)
        elif not name[0] & 0x20:  # a capital letter: one cannot do without it
            raise damaged(f"a PNG with a chunk {quoted(name.decode('ascii'))} that it cannot be read without")
        is_data_over = bool(packed) and name != b"IDAT"
    if header is None or not packed:
        raise damaged("a PNG without pixels")
    if header.colour == _PALETTE and palette is None:
        raise damaged("a PNG of indices without their palette")
    chunks = [(b"IHDR", header.data)]
    if header.colour == _PALETTE and palette is not None:
        # As many entries as a pixel can name; an index beyond the palette is black, as libpng has it.
        chunks.append((b"PLTE", palette[: 3 << header.bits].ljust(3 << header.bits, b"\0")))
    stored = zlib.compressobj(0)
    pixels = _unpacked(packed, header)
    chunks += [(b"IDAT", stored.compress(pixels) + stored.flush()), (b"IEND", b"")]
    return SIGNATURE + b"".join(map(_chunk, chunks))


def _chunk(chunk: tuple[bytes, bytes]) -> bytes:
    name, data = chunk
    return b"".join((struct.pack(">I", len(data)), name, data, struct.pack(">I", zlib.crc32(data, zlib.crc32(name)))))


def _chunks(file: memoryview, most: int) -> Iterator[tuple[bytes, memoryview]]:
    """(name, data) of every chunk up to the end marker, their checksums right."""
    at = len(SIGNATURE)
    for _ in range(most):
        if at + 12 > len(file):
            raise damaged("a PNG without its end: cut off on the way, look for lost packets")
        length, name = int.from_bytes(file[at : at + 4], "big"), bytes(file[at + 4 : at + 8])
        end = at + 8 + length
        if end + 4 > len(file):
            raise damaged("a PNG that ends in the middle of a chunk: cut off on the way, look for lost packets")
        if not name.isalpha() or zlib.crc32(file[at + 4 : end]) != int.from_bytes(file[end : end + 4], "big"):
            raise damaged("a PNG with a wrong checksum: look for what damages it on its way")
        yield name, file[at + 8 : end]
        at = end + 4
    raise InputError("image_too_large", f"a PNG of more than {most} chunks (images.max_segments)")


def _header(name: bytes, data: memoryview) -> _Header:
    if name != b"IHDR" or len(data) != 13:
        raise damaged("a PNG that does not begin with its header")
    width, height, bits, colour, compression, filters, interlace = struct.unpack(">IIBBBBB", data)
    channels, allowed = _COLOURS.get(colour, (0, ()))
    if bits not in allowed or compression or filters or interlace > 1:
        raise damaged(f"a PNG whose header makes no sense: {bytes(data).hex()}")
    if bits == 16:
        raise InputError(
            "too_many_bits",
            "a PNG of 16 bits: if it holds depth, subscribe to the camera's colour image, else have the driver send 8 "
            "bits, or the raw image",
        )
    return _Header(bytes(data), width, height, bits * channels, colour, bool(interlace))


def _unpacked(packed: list[memoryview], header: _Header) -> bytearray:
    """The filtered rows: exactly as many bytes as the header asks for, every filter one that exists."""
    passes = list(header.passes())
    size = sum(rows * row_bytes for rows, row_bytes in passes)
    pixels, stream = bytearray(), zlib.decompressobj()
    try:
        for data in packed:
            rest: bytes | memoryview = data
            while len(rest) and not stream.eof and len(pixels) <= size:
                pixels += stream.decompress(rest, min(_PIECE, size + 1 - len(pixels)))
                rest = stream.unconsumed_tail
        while not stream.eof and len(pixels) <= size:  # what it holds back
            more = stream.decompress(stream.unconsumed_tail, min(_PIECE, size + 1 - len(pixels)))
            if not more:
                break
            pixels += more
    except zlib.error as error:
        raise damaged(f"a PNG whose pixels cannot be unpacked: {error}") from error
    if len(pixels) != size or not stream.eof or stream.unused_data:
        found = "more" if len(pixels) > size or stream.unused_data else "fewer"
        raise damaged(f"a PNG with {found} pixels than the {header.width}x{header.height} that its header tells of")
    values, at = np.frombuffer(pixels, np.uint8), 0
    for rows, row_bytes in passes:
        if values[at : at + rows * row_bytes : row_bytes].max() > _LAST_FILTER:
            raise damaged("a PNG with a row filter that does not exist")
        at += rows * row_bytes
    return pixels
