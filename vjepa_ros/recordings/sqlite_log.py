"""Whether sqlite3 takes in all of a write-ahead log: it stops without a word at the first frame that is damaged.

After the description of the format: a header, then frames of a page each, every one with a checksum over all before it.
It knows no tables.
"""

from __future__ import annotations

import os
import struct
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

_MAGIC = {0x377F0682: "<u4", 0x377F0683: ">u4"}  # and of which words the checksums are made
_HEAD = struct.Struct(">IIII8s8s")  # magic, version, bytes of a page, checkpoints, salts, checksum
_FRAME = struct.Struct(">II8s8s")  # page, pages of the database after a commit (else 0), salts, checksum
_SUMMED = 8  # bytes of a frame's head that its checksum is over
_PAGES = frozenset(2**n for n in range(9, 17))


def trouble(log: Path) -> str:
    """What of a log sqlite3 does not take in, as the end of a sentence; empty where it takes all.

    Raises:
        OSError: where it cannot be read.
    """
    with log.open("rb") as file:
        descriptor = file.fileno()
        head = os.pread(descriptor, _HEAD.size, 0)
        if len(head) < _HEAD.size:
            return "is cut off: what it held is missing"
        magic, _, page_bytes, _, salts, checksum = _HEAD.unpack(head)
        if magic not in _MAGIC or page_bytes not in _PAGES or _sum(b"\0" * 8, head[:24], _MAGIC[magic]) != checksum:
            return "is damaged: what it held is missing"
        position, frames, committed, is_damaged = _HEAD.size, 0, 0, False
        size = os.fstat(descriptor).st_size
        while position + _FRAME.size + page_bytes <= size:
            start = os.pread(descriptor, _FRAME.size, position)
            _, pages_after, its_salts, its_checksum = _FRAME.unpack(start)
            if its_salts == salts and is_damaged:
                return f"is damaged behind its frame {committed:,}: what comes then is missing"
            if its_salts == salts:
                page = os.pread(descriptor, page_bytes, position + _FRAME.size)
                checksum = _sum(checksum, start[:_SUMMED] + page, _MAGIC[magic])
                is_damaged = checksum != its_checksum
                frames += 1
                committed = frames if pages_after and not is_damaged else committed
            else:  # left over from before, unless one of this time follows
                is_damaged = True
            position += _FRAME.size + page_bytes
        if frames > committed or (position < size and not is_damaged):
            return f"ends behind its frame {committed:,} with a change that was not finished: what that held is missing"
        return ""


def _sum(before: bytes, data: bytes, words: str) -> bytes:
    """The checksum over data, continued; as sqlite3 writes it.

    For every two words x, y it is s += x + t; t += y + s, that is (s, t) = A (s, t) + B (x, y): with powers of A all of
    it is done at once.
    """
    first, second = struct.unpack(">II", before)
    numbers = np.frombuffer(data, words).astype(np.uint32).reshape(-1, 2)
    weights, power = _weights(len(numbers))
    start = np.array([first, second], np.uint32)
    total = (weights * numbers[:, None, :]).sum(axis=(0, 2), dtype=np.uint32)
    total += (power * start).sum(axis=1, dtype=np.uint32)
    return struct.pack(">II", *total.tolist())


@cache
def _weights(count: int) -> tuple[Any, Any]:
    """(A^(count-1-i) B for each i, A^count), modulo 2^32."""
    step, own = np.array([[1, 1], [1, 2]], np.uint32), np.array([[1, 0], [1, 1]], np.uint32)
    power = np.eye(2, dtype=np.uint32)
    weights = np.empty((count, 2, 2), np.uint32)
    for i in reversed(range(count)):
        weights[i] = power @ own
        power = power @ step
    return weights, power
