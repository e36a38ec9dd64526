"""Decompresses what strangers compressed, and never to more than was agreed: zstd and lz4, as recorders use them.

It knows bytes, neither files nor records.
"""

from __future__ import annotations

import sys

import lz4.frame  # rosbags brings it

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd  # rosbags brings it

__all__ = ["METHODS", "ZSTD_MAGIC", "ExpandError", "expand", "zstd"]

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
METHODS = ("", "lz4", "zstd")
"""The ways of compression by the names that mcap has for them."""


class ExpandError(Exception):
    """Bytes that are damaged, cut, or more than was agreed when they are decompressed."""


def expand(data: bytes, method: str, most_bytes: int) -> bytes:
    """Decompress bytes.

    Args:
        data: one frame, or several in a row.
        method: one of ``METHODS``.
        most_bytes: that much is made of them and no more, whatever they say of themselves.

    Raises:
        ExpandError: where they are damaged, cut or too large.
    """
    if method not in METHODS:
        raise ExpandError(f"its compression is {method[:20]!r}, which is none of lz4 and zstd")
    if not method:
        if len(data) > most_bytes:
            raise ExpandError(f"it is larger than {most_bytes:,} bytes")
        return data
    parts, size = [], 0
    while data:
        frame = zstd.ZstdDecompressor() if method == "zstd" else lz4.frame.LZ4FrameDecompressor()
        while not frame.eof:
            try:
                part = frame.decompress(data, most_bytes - size + 1)
            except (zstd.ZstdError, RuntimeError, ValueError, EOFError) as error:
                raise ExpandError("its compressed data is damaged") from error
            size += len(part)
            parts.append(part)
            if not (part or data or frame.eof):
                raise ExpandError("its compressed data is cut off")
            if size > most_bytes:
                raise ExpandError(f"it decompresses to more than {most_bytes:,} bytes")
            if not frame.eof and frame.needs_input:
                raise ExpandError("its compressed data is cut off")
            data = b""  # what is left of it, the decompressor has
        data = frame.unused_data or b""
    return parts[0] if len(parts) == 1 else b"".join(parts)
