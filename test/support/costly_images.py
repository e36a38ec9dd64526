"""Small files that end a decoder or hold it up: each must be refused, under one reason, before it has cost anything.

Bytes only; it knows no package.
"""

from __future__ import annotations

import struct
import zlib

from support.hostile_images import header, png, rows

END = (b"IEND", b"")


def animated_png(filter_type: int = 9) -> bytes:
    """An animated PNG with a row filter that does not exist: OpenCV 4.11 and 4.12 end with SIGSEGV."""
    return png(
        [
            header(8, 8), (b"acTL", struct.pack(">II", 2, 0)), (b"IDAT", rows(8, 24, filter_type)),
            (b"fcTL", struct.pack(">IIIIIHHBB", 0, 8, 8, 0, 0, 1, 10, 0, 0)),
            (b"fdAT", struct.pack(">I", 2) + rows(8, 24)), END,
        ]
    )  # fmt: skip


def progressive(width: int, height: int, scans: int) -> bytes:
    """A grey progressive JPEG of many scans in which nothing stands."""
    blocks = -(-width // 8) * -(-height // 8)
    run, left = [], blocks
    while left > 0:  # runs of empty blocks, by two codes
        long = min(left, 32767)
        run += [(0, 1), (long - 16384, 14)] if left >= 16384 else [(0b10, 2)]
        left -= long if left >= 16384 else 1
    start = b"\xff\xd8\xff\xdb" + struct.pack(">H", 67) + b"\0" + bytes([1] * 64)
    frame = b"\xff\xc2" + struct.pack(">HBHHB", 11, 8, height, width, 1) + bytes([1, 0x11, 0])
    tables = _huffman(0, [(1, 0)]) + _huffman(1, [(1, 0xE0), (2, 0x00)])
    dc = b"\xff\xda" + struct.pack(">HB", 8, 1) + bytes([1, 0, 0, 0, 0]) + _packed([(0, 1)] * blocks)
    ac = b"\xff\xda" + struct.pack(">HB", 8, 1) + bytes([1, 0, 1, 63, 0]) + _packed(run)
    return start + frame + tables + dc + ac * (scans - 1) + b"\xff\xd9"


def _huffman(kind: int, codes: list[tuple[int, int]]) -> bytes:
    counts = [sum(length == bits for length, _ in codes) for bits in range(1, 17)]
    return b"\xff\xc4" + struct.pack(">HB", 19 + len(codes), kind << 4) + bytes(counts) + bytes(s for _, s in codes)


def _packed(codes: list[tuple[int, int]]) -> bytes:
    """(value, bits) after each other, ones at the end, FF stuffed."""
    text = "".join(f"{value:0{bits}b}" for value, bits in codes)
    text += "1" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\0")


def _jpeg(*parts: bytes) -> bytes:
    return b"\xff\xd8" + b"".join(parts) + b"\xff\xd9"


SMALL = progressive(8, 8, 2)
COSTLY: dict[str, tuple[str, bytes]] = {
    "animated PNG, bad filter": ("undecodable_image", animated_png()),
    "animated PNG, nothing wrong": ("undecodable_image", animated_png(0)),
    "PNG with a frame of an animation only": (
        "undecodable_image", png([header(8, 8), (b"fdAT", bytes(4) + rows(8, 24)), (b"IDAT", rows(8, 24)), END])
    ),
    "PNG with a bad filter": ("undecodable_image", png([header(8, 8), (b"IDAT", rows(8, 24, 5)), END])),
    "PNG without pixels": ("undecodable_image", png([header(8, 8), END])),
    "PNG without anything": ("undecodable_image", png([])),
    "PNG with empty pixels": ("undecodable_image", png([header(8, 8), (b"IDAT", b""), END])),
    "PNG of indices without palette": ("undecodable_image", png([header(8, 8, 8, 3), (b"IDAT", rows(8, 8)), END])),
    "PNG that unpacks to 100 MB": (
        "undecodable_image", png([header(8, 8), (b"IDAT", zlib.compress(bytes(100_000_000))), END])
    ),
    "PNG with too few rows": ("undecodable_image", png([header(4000, 4000), (b"IDAT", rows(8, 12000)), END])),
    "PNG with two headers": ("undecodable_image", png([header(8, 8), header(9, 9), (b"IDAT", rows(8, 24)), END])),
    "PNG of 64 megapixels": ("image_too_large", png([header(8000, 8000), (b"IDAT", rows(8000, 24000, level=9)), END])),
    "PNG of 2^31 px a side": ("image_too_large", png([header(2**31 - 1, 2**31 - 1), (b"IDAT", b""), END])),
    "PNG of 50,000 chunks": (
        "image_too_large", png([header(8, 8), *[(b"tEXt", b"a\0b")] * 50_000, (b"IDAT", rows(8, 24)), END])
    ),
    "PNG that says a chunk has 2 GB": ("undecodable_image", png([header(8, 8)]) + b"\x7f\xff\xff\xffIDAT" + bytes(99)),
    "progressive JPEG, 1448x1448, 30,000 scans": ("image_too_large", progressive(1448, 1448, 30_000)),
    "progressive JPEG, 4000x4000, 15 scans": ("image_too_large", progressive(4000, 4000, 15)),
    "progressive JPEG, 8000x8000, 3,000 scans": ("image_too_large", progressive(8000, 8000, 3_000)),
    "baseline JPEG, 500 scans": ("image_too_large", progressive(64, 64, 500).replace(b"\xff\xc2", b"\xff\xc0", 1)),
    "JPEG head, then 5 MB of fill bytes": ("image_too_large", b"\xff\xd8" + b"\xff" * 5_000_000 + b"\xff\xd9"),
    "JPEG, fill bytes in its pixels": ("image_too_large", SMALL[:-2] + b"\xff" * 5_000_000 + b"\xff\xd9"),
    "JPEG of 50,000 comments": ("image_too_large", _jpeg(b"\xff\xfe\0\2" * 50_000, SMALL[2:-2])),
    "JPEG without a picture": ("undecodable_image", _jpeg()),
    "JPEG by arithmetic codes": ("undecodable_image", SMALL.replace(b"\xff\xc2", b"\xff\xca", 1)),
    "lossless JPEG": ("undecodable_image", SMALL.replace(b"\xff\xc2", b"\xff\xc3", 1)),
    "hierarchical JPEG": ("undecodable_image", _jpeg(b"\xff\xde\0\x0b\x08\0\x08\0\x08\1\1\x11\0", SMALL[2:-2])),
    "JPEG of 12 bits": ("undecodable_image", SMALL.replace(b"\xff\xc2\0\x0b\x08", b"\xff\xc1\0\x0b\x0c", 1)),
    "JPEG of no rows": ("empty_image", progressive(8, 8, 2).replace(struct.pack(">HH", 8, 8), bytes(4), 1)),
}  # fmt: skip
"""By a name: (the reason it must be refused for, the file)."""
