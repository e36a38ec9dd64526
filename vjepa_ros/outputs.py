"""Files and folders that are there whole or not at all: written beside their place, and moved there at the end.

However the program ends, what lies at an output's place is complete. What a killed run leaves beside it, the next one
clears. It knows nothing of what is written.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from vjepa_ros.errors import BagError

_SUFFIX = ".vjepa_replay"


@contextmanager
def whole(place: Path, *, force: bool) -> Iterator[Path]:
    """A path to write a file or folder at, which is moved to ``place`` when the block ends without an exception.

    Args:
        place: where the output is to lie.
        force: replace what lies there.

    Raises:
        BagError: if something lies there already, the folder around it is missing, or another run is writing it.
        OSError: where the disk is full or fails.
    """
    place = Path(os.path.abspath(place))  # "." has no name to write beside
    if os.path.lexists(place) and not force:
        raise BagError(f"{place}: is there already; --force replaces it")
    if not place.parent.is_dir():
        raise BagError(f"{place}: there is no folder {place.parent}")
    work = place.with_name(place.name + _SUFFIX)
    work.mkdir(exist_ok=True)
    with (work / "lock").open("w") as lock:  # the kernel drops the lock with the process, however that ends
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BagError(f"{place}: another vjepa_replay is writing it") from error
        try:
            new, old = work / place.name, work / "replaced"
            if os.path.lexists(old) and not os.path.lexists(place):
                old.rename(place)  # a killed run had got no further
            for left_over in work.iterdir():
                if left_over.name != "lock":
                    _remove(left_over)
            yield new
            sync(new)
            if os.path.lexists(place):
                place.rename(old)  # a folder cannot be put over another one
            new.rename(place)
            _sync_one(place.parent)
        finally:
            if os.path.lexists(old) and not os.path.lexists(place):
                old.rename(place)  # interrupted between the two: what was there is there again
            shutil.rmtree(work, ignore_errors=True)  # on NFS, the open lock keeps an empty folder there


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def require_apart(outputs: Sequence[Path], inputs: Sequence[Path]) -> None:
    """Refuse outputs that would replace an input, or each other.

    Raises:
        BagError: naming both.
    """
    for index, output in enumerate(outputs):
        place = output.resolve()
        for other in (*inputs, *outputs[:index], *outputs[index + 1 :]):
            beside = other.resolve()
            if place == beside or place in beside.parents or (other not in inputs and beside in place.parents):
                raise BagError(f"{output}: would replace, or lie in, {other}; choose another place")


def sync(path: Path) -> None:
    """See a file, or a folder with everything in it, on the disk."""
    if path.is_dir():
        for inner in path.iterdir():
            sync(inner)
    _sync_one(path)


def _sync_one(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
