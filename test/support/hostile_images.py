"""Image files as strangers send them: good ones of many producers, and damaged ones without end, by seed.

It knows the formats, not the package.
"""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Iterator

import cv2
import numpy as np
from PIL import Image

PNG = b"\x89PNG\r\n\x1a\n"
Chunk = tuple[bytes, bytes]


def png(chunks: list[Chunk]) -> bytes:
    """A PNG of these (name, data), each with its checksum."""
    return PNG + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def png_chunks(file: bytes) -> list[Chunk]:
    """The (name, data) of a PNG."""
    chunks, at = [], len(PNG)
    while at < len(file):
        length = int.from_bytes(file[at : at + 4], "big")
        chunks.append((file[at + 4 : at + 8], file[at + 8 : at + 8 + length]))
        at += 12 + length
    return chunks


def header(width: int, height: int, bits: int = 8, colour: int = 2, rest: tuple[int, int, int] = (0, 0, 0)) -> Chunk:
    """The first chunk of a PNG."""
    return b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, *rest)


def rows(height: int, row_bytes: int, filter_type: int = 0, level: int = 6) -> bytes:
    """Packed black rows."""
    return zlib.compress((bytes([filter_type]) + bytes(row_bytes)) * height, level)


def interlaced(pixels: np.ndarray) -> bytes:
    """An interlaced PNG of (h, w, 3) uint8."""
    raw = b""
    for x, y, dx, dy in (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ):
        part = pixels[y::dy, x::dx]
        if part.size:
            raw += b"".join(b"\0" + row.tobytes() for row in part)
    height, width = pixels.shape[:2]
    return png([header(width, height, rest=(0, 0, 1)), (b"IDAT", zlib.compress(raw)), (b"IEND", b"")])


def jpeg_segments(file: bytes) -> list[bytes]:
    """The pieces of a JPEG, each from one marker to the next; cut at every FF that is not stuffed."""
    cuts = [i for i in range(len(file) - 1) if file[i] == 0xFF and file[i + 1] not in (0, 0xFF, *range(0xD0, 0xD8))]
    return [file[a:b] for a, b in zip(cuts, [*cuts[1:], len(file)], strict=True)]


def picture(height: int = 37, width: int = 53) -> np.ndarray:
    """(h, w, 3) uint8 RGB, smooth, with a rough corner."""
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([x * 4, y * 6, 255 - x * 2 - y * 3], axis=-1).clip(0, 255).astype(np.uint8)
    pixels[: height // 3, : width // 3] = np.random.default_rng(0).integers(0, 256, (height // 3, width // 3, 3))
    return pixels


def good(pixels: np.ndarray | None = None) -> dict[str, bytes]:
    """Files of many producers and kinds, by a name that tells which."""
    pixels = picture() if pixels is None else pixels
    image, files = Image.fromarray(pixels), {}
    exif = Image.Exif()
    exif[0x0112] = 6

    def by_pillow(name: str, kind: str, picture: Image.Image = image, **options: object) -> None:
        out = io.BytesIO()
        picture.save(out, kind, **options)
        files[f"pillow {name}"] = out.getvalue()

    for quality in (1, 50, 95, 100):
        by_pillow(f"jpeg {quality}", "JPEG", quality=quality)
    for subsampling in (0, 1, 2):
        by_pillow(f"jpeg subsampling {subsampling}", "JPEG", subsampling=subsampling)
    by_pillow("jpeg progressive", "JPEG", progressive=True)
    by_pillow("jpeg progressive optimised", "JPEG", progressive=True, optimize=True, quality=98)
    by_pillow("jpeg optimised", "JPEG", optimize=True)
    by_pillow("jpeg grey", "JPEG", image.convert("L"))
    by_pillow("jpeg grey progressive", "JPEG", image.convert("L"), progressive=True)
    by_pillow("jpeg restarts", "JPEG", restart_marker_rows=1)
    by_pillow("jpeg kept rgb", "JPEG", keep_rgb=True)
    by_pillow("jpeg exif icc comment", "JPEG", exif=exif, icc_profile=bytes(70000), comment=b"a camera", dpi=(72, 72))
    for mode in ("L", "RGBA", "LA", "P", "1"):
        by_pillow(f"png {mode}", "PNG", image.convert(mode))
    by_pillow("png 16 colours", "PNG", image.quantize(16))
    by_pillow("png 4 colours", "PNG", image.quantize(4))
    by_pillow("png 2 colours with transparency", "PNG", image.quantize(2), transparency=0)
    by_pillow("png grey with transparency", "PNG", image.convert("L"), transparency=3)
    by_pillow("png optimised", "PNG", optimize=True, compress_level=9)
    by_pillow("png stored", "PNG", compress_level=0)
    by_pillow("png icc exif dpi", "PNG", icc_profile=bytes(500), exif=exif, dpi=(300, 300))
    for options in (
        (),
        (cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        (cv2.IMWRITE_JPEG_RST_INTERVAL, 2),
        (cv2.IMWRITE_JPEG_OPTIMIZE, 1),
    ):
        files[f"opencv jpeg {options}"] = cv2.imencode(".jpg", pixels, options)[1].tobytes()
    for strategy in range(5):
        how = (cv2.IMWRITE_PNG_STRATEGY, strategy, cv2.IMWRITE_PNG_COMPRESSION, strategy)
        files[f"opencv png {strategy}"] = cv2.imencode(".png", pixels, how)[1].tobytes()
    files["opencv png grey"] = cv2.imencode(".png", pixels[..., 0])[1].tobytes()
    files["png interlaced"] = interlaced(pixels)
    plain = png_chunks(files["opencv png 1"])
    extra = [
        (b"tEXt", b"Software\0a camera"),
        (b"gAMA", struct.pack(">I", 45455)),
        (b"sRGB", b"\0"),
        (b"cHRM", bytes(32)),
        (b"sBIT", b"\5\6\5"),
        (b"bKGD", bytes(6)),
        (b"pHYs", bytes(9)),
        (b"prVt", b"own"),
    ]
    files["png with everything before its pixels"] = png([plain[0], *extra, *plain[1:]])
    files["png with text behind its pixels, then padding"] = png([*plain[:-1], (b"tIME", bytes(7)), plain[-1]]) + bytes(
        99
    )
    whole = b"".join(data for name, data in plain if name == b"IDAT")
    bits = [(b"IDAT", whole[at : at + 7]) for at in range(0, len(whole), 7)]
    files["png of many small chunks, some empty"] = png([plain[0], (b"IDAT", b""), *bits, (b"IDAT", b""), plain[-1]])
    baseline = files["pillow jpeg 95"]
    files["jpeg with padding behind it"] = baseline + bytes(999)
    files["two jpegs"] = baseline + files["pillow jpeg progressive"]
    files["jpeg without tables, as MJPEG"] = b"".join(s for s in jpeg_segments(files["pillow jpeg 50"]) if s[1] != 0xC4)
    files["jpeg with filling before its end"] = baseline[:-2] + b"\xff\xff\xff\xd9"
    return files  # fmt: skip


def damaged(seed: int, count: int) -> Iterator[bytes]:
    """Good files with damage: flipped, cut, shuffled, repeated, crossed, with lengths and markers that are not so."""
    chance, files = random.Random(seed), list(good(picture(19, 23)).values())
    for _ in range(count):
        file = chance.choice(files)
        how = chance.randrange(8)
        if how == 0:
            yield _flipped(chance, file)
        elif how == 1:
            yield file[: chance.randrange(len(file))] + bytes(chance.randrange(3) * 50)
        elif how == 2:
            at, size = chance.randrange(len(file)), chance.randrange(1, 60)
            yield file[:at] + chance.randbytes(size) + file[at + chance.choice((0, size)) :]
        elif file.startswith(PNG):
            yield _other_png(chance, file)
        else:
            yield _other_jpeg(chance, file, chance.choice(files))


def _flipped(chance: random.Random, file: bytes) -> bytes:
    if not file:
        return b"?"
    data, reach = bytearray(file), chance.choice((40, 300, 10**6))
    for _ in range(chance.choice((1, 1, 2, 8, 30))):
        data[chance.randrange(min(len(data), reach))] = chance.choice((0, 1, 255, 254, 216, chance.randrange(256)))
    return bytes(data)


def _other_png(chance: random.Random, file: bytes) -> bytes:
    """Every checksum is right here: what is behind them is under test."""
    chunks = png_chunks(file)
    for _ in range(chance.choice((1, 1, 2, 4))):
        at, kind = chance.randrange(len(chunks)), chance.randrange(9)
        name, data = chunks[at]
        if kind == 0:
            chunks.insert(at, chance.choice(chunks))
        elif kind == 1 and len(chunks) > 1:
            del chunks[at]
        elif kind == 2:
            chance.shuffle(chunks)
        elif kind == 3:
            name = chance.choice(
                (b"acTL", b"fcTL", b"fdAT", b"PLTE", b"tRNS", b"iCCP", b"sPLT", b"eXIf", b"CgBI", b"XXXX", b"IDAT")
            )
            chunks.insert(at, (name, chance.randbytes(chance.choice((0, 4, 8, 26, 300)))))
        elif kind == 4 and data:
            chunks[at] = (name, _flipped(chance, data))
        elif kind == 5 and chunks[0][0] == b"IHDR":
            sides = [chance.choice((0, 1, 8, 19, 23, 24, 2**31 - 1, 2**32 - 1, 5000)) for _ in range(2)]
            bits, colour = chance.choice((1, 2, 4, 8, 8, 8, 16, 3)), chance.choice((0, 2, 3, 4, 6, 1, 7))
            chunks[0] = header(sides[0], sides[1], bits, colour, rest=(0, 0, chance.choice((0, 0, 1, 2))))
        elif kind == 6:
            raw = bytes(chance.choice((0, 1, 1000, 1_000_000))) + chance.randbytes(chance.choice((0, 5, 500)))
            chunks[at] = (b"IDAT", zlib.compress(raw, chance.randrange(10)))
        elif kind == 7:
            chunks[at] = (name, data[: chance.randrange(len(data) + 1)])
        else:
            chunks[at] = (bytes([chance.choice(b"aZ9\0" + name), *name[1:]]), data)
    return png(chunks)  # fmt: skip


def _other_jpeg(chance: random.Random, file: bytes, other: bytes) -> bytes:
    parts = jpeg_segments(file)
    for _ in range(chance.choice((1, 1, 2, 4))):
        at, kind = chance.randrange(len(parts)), chance.randrange(9)
        if kind == 0:
            parts.insert(at, chance.choice(parts))
        elif kind == 1 and len(parts) > 1:
            del parts[at]
        elif kind == 2:
            inner = parts[1:-1]
            chance.shuffle(inner)
            parts[1:-1] = inner
        elif kind == 3:
            parts[at] = b"\xff" + bytes([chance.randrange(0xC0, 0x100)]) + parts[at][2:]
        elif kind == 4:
            parts[at] = parts[at][:2] + struct.pack(">H", chance.choice((0, 1, 2, 3, 8, 17, 65535))) + parts[at][4:]
        elif kind == 5 and not other.startswith(PNG):
            parts.insert(at, chance.choice(jpeg_segments(other)))
        elif kind == 6:
            parts[at] = _flipped(chance, parts[at])
        elif kind == 7:
            parts.insert(at, b"\xff" * chance.choice((1, 3, 2000)))
        else:
            scans = [part for part in parts if part[1:2] == b"\xda"] or parts[-1:]
            parts[-1:-1] = [chance.choice(scans)] * chance.choice((1, 5, 100))
        if not parts:
            return b""
    return b"".join(parts)
