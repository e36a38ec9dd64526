"""PNG files of strangers: read to their last byte here, so that the decoder gets nothing but pixels.

The decoder is handed a file made anew: the header, the palette where there is one, the pixels, the end. Whatever else a
file may carry (text, profiles, physical sizes, transparency) changes no pixel and is left behind. The pixels are
unpacked here, where their amount and their row filters are checked, and handed on unpacked.

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
_PIECE = 1 << 14  # packed bytes at a time: zlib copies what it has not come to yet whenever it is called
_BLOCK = 65535  # unpacked bytes at a time: the most that deflate takes as they are
_CHUNK = 1 << 20  # bytes; OpenCV calls one of more than 8 MB too large
_DEFLATED, _LAST_BLOCK = b"\x78\x01", b"\x01\0\0\xff\xff"  # how a stream begins; a last block, with nothing in it


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


def checked(file: memoryview, limits: ImageLimits) -> bytearray:
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
    chunks: list[tuple[bytes, bytes | bytearray]] = [(b"IHDR", header.data)]
    if header.colour == _PALETTE and palette is not None:
        # As many entries as a pixel can name; an index beyond the palette is black, as libpng has it.
        chunks.append((b"PLTE", palette[: 3 << header.bits].ljust(3 << header.bits, b"\0")))
    made = bytearray(SIGNATURE + b"".join(map(_chunk, chunks)))
    _add_pixels(made, packed, header)
    made += _chunk((b"IEND", b""))
    return made


def _chunk(chunk: tuple[bytes, bytes | bytearray]) -> bytes:
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


def _add_pixels(made: bytearray, packed: list[memoryview], header: _Header) -> None:
    """Put the chunks of pixels behind what is made of a file already: each byte is there once, for they may be many."""
    done, checksum, chunk = 0, 1, bytearray(_DEFLATED)
    for block in _blocks(packed, header):
        _require_filters(block, done, header)
        chunk += struct.pack("<BHH", 0, len(block), _BLOCK ^ len(block)) + block
        checksum = zlib.adler32(block, checksum)
        done += len(block)
        if len(chunk) > _CHUNK:
            made += _chunk((b"IDAT", chunk))
            chunk.clear()
    made += _chunk((b"IDAT", chunk + _LAST_BLOCK + struct.pack(">I", checksum)))


def _blocks(packed: list[memoryview], header: _Header) -> Iterator[bytes]:
    """The filtered rows, unpacked: as many bytes as the header asks for, or a refusal."""
    left = sum(rows * row_bytes for rows, row_bytes in header.passes())
    stream = zlib.decompressobj()
    try:
        for piece in _pieces(packed):
            rest = piece
            if stream.eof and len(piece):
                raise _wrong_amount("more", header)
            while not stream.eof:
                block = stream.decompress(rest, min(_BLOCK, left + 1))
                rest = memoryview(stream.unconsumed_tail)
                if len(block) > left:
                    raise _wrong_amount("more", header)
                left -= len(block)
                if block:
                    yield block
                elif not len(rest):
                    break  # it wants the next piece
    except zlib.error as error:
        raise damaged(f"a PNG whose pixels cannot be unpacked: {error}") from error
    if stream.unused_data:
        raise _wrong_amount("more", header)
    if left or not stream.eof:
        raise _wrong_amount("fewer", header)


def _pieces(packed: list[memoryview]) -> Iterator[memoryview]:
    """The packed pixels; at the end nothing at all, for what the stream holds back."""
    for data in packed:
        for at in range(0, len(data), _PIECE):
            yield data[at : at + _PIECE]
    yield memoryview(b"")


def _wrong_amount(found: str, header: _Header) -> InputError:
    return damaged(f"a PNG with {found} pixels than the {header.width}x{header.height} that its header tells of")


def _require_filters(block: bytes, before: int, header: _Header) -> None:
    """Refuse a row filter that does not exist.

    Args:
        block: of the pixels.
        before: how many bytes of them come before it.
    """
    values, at = np.frombuffer(block, np.uint8), -before  # where a pass begins, from the block's first byte on
    for rows, row_bytes in header.passes():
        end = at + rows * row_bytes
        filters = values[at if at >= 0 else at % row_bytes : max(end, 0) : row_bytes]
        if filters.size and filters.max() > _LAST_FILTER:
            raise damaged("a PNG with a row filter that does not exist")
        at = end
