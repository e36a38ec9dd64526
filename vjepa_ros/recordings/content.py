"""What stands for the contents of a recording, wherever it lies: hashes of its files. It reads no messages."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from vjepa_ros import files

_PIECE = 2**20  # bytes that are hashed at once


def content_hash(path: Path, on_bytes: Callable[[int], None] = lambda count: None) -> str:
    """64 hex digits that stand for a file, or for the files of a folder with their places in it.

    Args:
        path: of either.
        on_bytes: is told how many more bytes were read.

    Raises:
        OSError: for what cannot be read; it names it.
    """
    if not path.is_dir():
        return _file_hash(path, on_bytes)
    lines = [
        f"{file.relative_to(path).as_posix()} {_file_hash(file, on_bytes)}\n"
        for file in sorted(path.rglob("*"))
        if file.is_file()
    ]
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def file_sizes(path: Path) -> dict[str, int]:
    """The regular files of a folder, or the one file, by resolved name, with their sizes in bytes."""
    found = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    return {str(file.resolve()): file.stat().st_size for file in found}


def _file_hash(path: Path, on_bytes: Callable[[int], None]) -> str:
    digest = hashlib.sha256()
    with files.naming(path), path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
            on_bytes(len(piece))
    return digest.hexdigest()
