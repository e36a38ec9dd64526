"""Damages files of recordings in the ways of disks, copies and strangers; seeded, so that a run can be repeated."""

from __future__ import annotations

import random

EXTREMES = (0, 1, 7, 8, 2**8, 2**16 - 1, 2**31, 2**32 - 1, 2**32, 2**40, 2**63 - 1, 2**63, 2**64 - 1)


def damaged(data: bytes, rng: random.Random) -> bytes:
    """The bytes with one to three things wrong with them."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if len(out) > 16:
            rng.choice(_WAYS)(out, rng)
    return bytes(out)


def _place(out: bytearray, rng: random.Random, most: int = 4096) -> tuple[int, int]:
    start = rng.choice(
        (rng.randrange(len(out)), rng.randrange(min(400, len(out))), len(out) - 1 - rng.randrange(min(900, len(out))))
    )
    return start, min(len(out), start + 1 + rng.randrange(rng.choice((4, 40, most))))


def _flip(out: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)


def _replace(out: bytearray, rng: random.Random) -> None:
    start, end = _place(out, rng)
    out[start:end] = rng.randbytes(end - start) if rng.random() < 0.5 else bytes([rng.choice((0, 255))]) * (end - start)


def _number(out: bytearray, rng: random.Random) -> None:
    size = rng.choice((1, 2, 4, 8))
    start = _place(out, rng)[0]
    number = rng.choice(EXTREMES) if rng.random() < 0.7 else len(out) + rng.randrange(-300, 300)
    out[start : start + size] = (max(0, number) % 2 ** (8 * size)).to_bytes(size, rng.choice(("little", "big")))


def _cut(out: bytearray, rng: random.Random) -> None:
    del out[rng.choice((rng.randrange(len(out)), len(out) - 1 - rng.randrange(min(300, len(out) - 1)))) :]


def _remove(out: bytearray, rng: random.Random) -> None:
    start, end = _place(out, rng)
    del out[start:end]


def _repeat(out: bytearray, rng: random.Random) -> None:
    start, end = _place(out, rng, len(out))
    at = rng.randrange(len(out))
    out[at:at] = out[start:end]


def _swap(out: bytearray, rng: random.Random) -> None:
    a, b = sorted((_place(out, rng)[0], _place(out, rng)[0]))
    size = min(rng.choice((8, 100, 5000)), b - a, len(out) - b)
    out[a : a + size], out[b : b + size] = out[b : b + size], out[a : a + size]


def _insert(out: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(out))
    out[at:at] = rng.randbytes(rng.choice((1, 9, 500)))


_WAYS = (_flip, _flip, _replace, _number, _number, _cut, _remove, _repeat, _swap, _insert)
