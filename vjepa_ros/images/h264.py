"""H.264 byte streams of strangers: whether a packet can be decoded after those before it, told by its headers alone.

A picture refers to those before it: without one of them it becomes a wrong one, which looks like a picture. Reference
pictures are numbered in the stream (``frame_num``, ITU-T H.264, 7.4.3), so that a gap shows; a picture that needs none
(IDR) begins anew. Only byte streams with start codes (Annex B) are read.

Bytes in, numbers out; it knows no messages and decodes no picture.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from vjepa_ros.errors import InputError
from vjepa_ros.images.sizes import damaged

_SLICE, _PARTITIONS, _IDR, _SPS, _PPS = 1, (2, 3, 4), 5, 7, 8
_CODE = b"\0\0\0\1"
_START = re.compile(rb"\x00\x00\x01")
_MOST_UNITS = 2_000  # in a packet: every macroblock row of a tall picture could be a slice
_HEADER_BYTES = 64  # of a slice: what is read of it takes fewer
_PARAMETER_BYTES = 1_000  # of a parameter set
_LONGEST_CODE = 32  # bits of an Exp-Golomb code
_HIGH = (44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244)  # profiles whose sets say more
_MOST_SETS = 32, 256
_LARGEST_SIDE = 2**16  # px


@dataclass(frozen=True)
class Sequence:
    """What a sequence parameter set says.

    Attributes:
        width, height: of the coded pictures, in px; what is shown may be cropped.
        frame_num_bits: how many ``frame_num`` has.
        has_planes: whether slices name the colour plane that they are of.
        in_order: whether pictures are shown in the order in which they are coded.
        is_whole: whether there are no fields, which are half a picture.
        order_bits: how many a picture's place in the order in which they are shown has; 0 where it is not told so.
    """

    width: int
    height: int
    frame_num_bits: int
    has_planes: bool
    in_order: bool
    is_whole: bool = True
    order_bits: int = 0


@dataclass(frozen=True)
class Picture:
    """What the headers of a packet say of its picture.

    Attributes:
        is_key: whether it needs no other one.
        is_reference: whether others may need it.
        number: its ``frame_num``.
        sequence: the parameter set that it goes by.
        place: in the order in which pictures are shown, from the keyframe on, without the higher bits.
    """

    is_key: bool
    is_reference: bool
    number: int
    sequence: Sequence
    place: int = 0


class Headers:
    """Reads the headers of packets, and keeps the parameter sets that they refer to."""

    def __init__(self) -> None:
        self._sequences: dict[int, Sequence] = {}
        self._pictures: dict[int, int] = {}  # the sequence of each picture parameter set
        self._sets: dict[tuple[int, int], bytes] = {}  # by kind and number
        self._stream: bytes | None = b""

    @property
    def sets(self) -> bytes:
        """The newest of all parameter sets, as a byte stream; the same object until one of them changes."""
        if self._stream is None:
            self._stream = b"".join(_CODE + self._sets[which] for which in sorted(self._sets))
        return self._stream

    def read(self, data: memoryview) -> Picture | None:
        """The picture of a packet; None where there is none, or its parameter sets have not come.

        Raises:
            InputError: ``undecodable_image``.
        """
        found: Picture | None = None
        for unit in _units(data):
            kind = unit[0] & 31
            try:
                if kind in (_SPS, _PPS):
                    self._keep(kind, bytes(unit[: _PARAMETER_BYTES + 1]).rstrip(b"\0"))
                elif kind in (_SLICE, _IDR) and found is None:
                    found = self._slice(_Bits(unit[1:_HEADER_BYTES]), unit[0], is_key=kind == _IDR)
            except IndexError:
                raise damaged("a header of an H.264 stream ends too early") from None
            if kind in _PARTITIONS:
                raise damaged("H.264 with data partitioning, which is not read")
        return found

    def _keep(self, kind: int, unit: bytes) -> None:
        if len(unit) > _PARAMETER_BYTES:
            raise damaged(f"a parameter set of more than {_PARAMETER_BYTES:,} bytes in an H.264 stream")
        bits = _Bits(memoryview(unit)[1:])
        number = self._sequence(bits) if kind == _SPS else self._picture(bits)
        if self._sets.get((kind, number)) != unit:
            self._sets[kind, number], self._stream = unit, None

    def _sequence(self, bits: _Bits) -> int:
        profile = bits.take(8)
        bits.take(16)  # constraints and level
        number, chroma, has_planes = bits.number(), 1, False
        if profile in _HIGH:
            chroma = bits.number()
            has_planes = chroma == 3 and bool(bits.take(1))
            bits.number(), bits.number()  # bits of luma and chroma
            bits.take(1)
            if bits.take(1):
                for index in range(8 if chroma != 3 else 12):
                    if bits.take(1):
                        _skip_scaling_list(bits, 16 if index < 6 else 64)
        frame_num_bits = bits.number() + 4
        order, order_bits = bits.number(), 0
        if order == 0:
            order_bits = bits.number() + 4
        elif order == 1:
            bits.take(1), bits.number(), bits.number()
            for _ in range(min(bits.number(), 255)):
                bits.number()
        bits.number(), bits.take(1)  # reference frames, and whether gaps in frame_num mean nothing
        width, rows = 16 * (bits.number() + 1), 16 * (bits.number() + 1)
        is_whole = bool(bits.take(1))
        height = rows * (1 if is_whole else 2)
        fits = number < _MOST_SETS[0] and max(frame_num_bits, order_bits) <= 16 and max(width, height) <= _LARGEST_SIDE
        if not fits:
            raise damaged("a sequence parameter set of an H.264 stream makes no sense")
        known = Sequence(width, height, frame_num_bits, has_planes, order == 2, is_whole, order_bits)
        self._sequences[number] = known
        return number

    def _picture(self, bits: _Bits) -> int:
        number, sequence = bits.number(), bits.number()
        if number >= _MOST_SETS[1] or sequence >= _MOST_SETS[0]:
            raise damaged("a picture parameter set of an H.264 stream makes no sense")
        self._pictures[number] = sequence
        return number

    def _slice(self, bits: _Bits, header: int, *, is_key: bool) -> Picture | None:
        bits.number(), bits.number()  # its first macroblock, its type
        sequence = self._sequences.get(self._pictures.get(bits.number(), -1))
        if sequence is None:
            return None
        if sequence.has_planes:
            bits.take(2)
        number = bits.take(sequence.frame_num_bits)
        if not sequence.is_whole and bits.take(1):
            bits.take(1)
        if is_key:
            bits.number()
        return Picture(is_key, bool(header >> 5 & 3), number, sequence, bits.take(sequence.order_bits))


def has_slices(data: memoryview) -> bool:
    """Whether there is anything of a picture in a packet, and not parameter sets, delimiters and messages alone."""
    return any(unit[0] & 31 in (_SLICE, *_PARTITIONS, _IDR) for unit in _units(data))


class Continuity:
    """Whether pictures follow each other without a reference missing.

    Attributes:
        waits: whether nothing can be decoded before the next picture that needs no other one.
    """

    def __init__(self) -> None:
        self.waits = True
        self._last = 0  # number of the last reference

    def follows(self, picture: Picture) -> bool:
        """Whether a picture can be decoded after those before it; one that cannot makes all later ones wait."""
        wanted = 0 if picture.is_key else (self._last + 1) % 2**picture.sequence.frame_num_bits
        if not picture.is_key and (self.waits or picture.number != wanted):
            self.waits = True
            return False
        self.waits = False
        if picture.is_reference:
            self._last = picture.number
        return True

    def interrupt(self) -> None:
        """Something is missing, whatever the numbers say."""
        self.waits = True


class _Bits:
    """The bits of a unit, without the bytes that only keep start codes out of it."""

    def __init__(self, unit: memoryview) -> None:
        self._bytes = bytes(unit).replace(b"\x00\x00\x03", b"\x00\x00")
        self._at = 0

    def take(self, count: int) -> int:
        """An unsigned number of so many bits.

        Raises:
            IndexError: where there are no more.
        """
        value = 0
        for at in range(self._at, self._at + count):
            value = value << 1 | self._bytes[at >> 3] >> (7 - (at & 7)) & 1
        self._at += count
        return value

    def number(self) -> int:
        """An Exp-Golomb code (9.1): as it is, without the sign that some have."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > _LONGEST_CODE:
                raise damaged("a header of an H.264 stream makes no sense")
        return (1 << zeros) - 1 + self.take(zeros)


def _units(data: memoryview) -> Iterator[memoryview]:
    starts = [match.end() for _, match in zip(range(_MOST_UNITS + 1), _START.finditer(data), strict=False)]
    if len(starts) > _MOST_UNITS:
        raise InputError("image_too_large", f"more than {_MOST_UNITS:,} units in one packet of H.264")
    if not starts or starts[0] > 4:
        raise damaged("no H.264 byte stream with start codes (Annex B)")
    for start, end in zip(starts, [*(start - 3 for start in starts[1:]), len(data)], strict=True):
        if start < end:
            yield data[start:end]


def _skip_scaling_list(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            code = bits.number()
            delta = (code + 1) // 2 if code & 1 else -(code // 2)
            following = (last + delta) % 256
        last = following or last
