"""What libjpeg, libpng and OpenCV print while they decode: taken off stderr, one line per damaged image else.

They write to the process's file descriptor 2, which no Python object stands for, so that is led into a file in memory
meanwhile. Whatever another thread writes there at the same moment is handed on, the last of it with the next image. It
knows no images and no log.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_STDERR = 2
_MOST_SAID = 10  # lines about one image
_LONGEST = 100_000  # bytes that wait for the end of their line
_LARGEST = 1_000_000  # bytes of the file in memory: then it is emptied
_ONE_AT_A_TIME = threading.Lock()
# How the messages begin that libjpeg prints (its jerror.h), libpng and OpenCV.
_OURS = (
    b"Corrupt JPEG data", b"Premature end of JPEG file", b"Inconsistent progression sequence",
    b"Invalid SOS parameters", b"Unknown Adobe color transform", b"Warning: unknown JFIF revision",
    b"Application transferred too", b"libpng ", b"libjpeg", b"[ WARN:", b"[ERROR:", b"[ INFO:", b"[DEBUG:", b"OpenCV",
)  # fmt: skip
# Of hardware that pads its pictures, which harms nothing: some cameras do it to every one.
_HARMLESS = b"extraneous bytes before marker"


@contextmanager
def caught(said: list[str]) -> Iterator[None]:
    """Keep what decoders print from stderr.

    Args:
        said: gets each line of it, but for what is harmless.
    """
    with _ONE_AT_A_TIME:
        try:
            behind = _memory()
            real = os.dup(_STDERR)
        except OSError:  # no stderr at all, or no descriptor left: nothing to be kept from anywhere
            yield
            return
        try:
            os.dup2(behind, _STDERR)
            try:
                yield
            finally:
                os.dup2(real, _STDERR)
            _sort(behind, real, said)
        finally:
            os.close(real)


_open: list[int] = []  # the file in memory, once it is needed
_read = 0  # bytes of it that have been dealt with


def _memory() -> int:
    if not _open:
        _open.append(os.memfd_create("decoder_messages", os.MFD_CLOEXEC))
        fcntl.fcntl(_open[0], fcntl.F_SETFL, os.O_APPEND)  # several threads may write
    return _open[0]


def _sort(behind: int, real: int, said: list[str]) -> None:
    """Take what is new in the file: decoders' lines go to the list, others' to where they were meant to go."""
    global _read
    size = os.fstat(behind).st_size
    if size == _read:
        return
    text = os.pread(behind, size - _read, _read)
    if len(text) < _LONGEST:
        text = text[: text.rfind(b"\n") + 1]  # the rest may be half a line that somebody is just writing
    _read += len(text)
    for line in text.splitlines(keepends=True):
        if not line.startswith(_OURS):
            os.write(real, line)
        elif _HARMLESS not in line and len(said) < _MOST_SAID:
            said.append(line.decode("utf-8", "replace").strip())
    if _read == size > _LARGEST:
        os.ftruncate(behind, 0)
        _read = 0
