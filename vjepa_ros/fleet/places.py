"""Where recordings lie: in folders, by patterns, in list files, on a disk or behind an address; and brought here.

Everything goes through fsspec, a path of this machine too. It looks at names only, and opens no recording.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from vjepa_ros.errors import BagError, ConfigError, brief, listed, place
from vjepa_ros.fleet.names import is_address
from vjepa_ros.recordings import metadata, zstd_bag
from vjepa_ros.recordings.opening import DATASET, SUFFIXES

LISTS = (".txt", ".list")
"""Of files that name a recording in each line."""
_MOST_LIST_BYTES = 100_000_000
_OF_THIS_MACHINE = re.compile(r"^(file|local)://(?=/)", re.IGNORECASE)  # before a path
_PATTERN = re.compile(r"[*?\[]")


def find(given: Sequence[str]) -> list[str]:
    """The recordings that are meant, in the order given, each once: absolute paths, and addresses.

    A folder that is a bag or a dataset is one recording; of any other the bags and datasets in it, at any depth, are. A
    file is a recording; one that ends in ``.txt`` or ``.list`` names one in each line, as seen from its folder.

    Raises:
        BagError: for what is not there, or has no recording in it.
        ConfigError: for an address that nothing here can read.
    """
    found: dict[str, None] = {}
    for text in given:
        found.update(dict.fromkeys(_found(text, listing=False)))
    return list(found)


@contextmanager
def brought(recording: str, folder: Path | None = None) -> Iterator[Path]:
    """A recording as a path of this machine; one behind an address is copied, and the copy goes when the block ends.

    Args:
        recording: of :func:`find`.
        folder: where the copy lies; None for the folder for temporary files.

    Raises:
        BagError: where it is not there, or cannot be had.
        ConfigError: for an address that nothing here can read.
        OSError: where there is no room for it.
    """
    if not is_address(recording):
        yield Path(recording)
        return
    system, path = _opened(recording)
    with TemporaryDirectory(prefix="vjepa_ros_", dir=folder) as own:
        copy = Path(own) / (posixpath.basename(path.rstrip("/")) or "recording")
        with _asked(recording):
            is_folder = bool(system.isdir(path))
            system.get(f"{path.rstrip('/')}/" if is_folder else path, str(copy) + "/" * is_folder, recursive=is_folder)
        yield copy


def _opened(text: str) -> tuple[Any, str]:
    """(file system, path in it)."""
    if not is_address(text):
        return LocalFileSystem(), os.path.abspath(text)
    if "::" in text:
        raise ConfigError("bags", f"{place(text)}: is an address in an address, which is not read")
    try:
        system, path = fsspec.core.url_to_fs(text)
    except ImportError as error:
        raise ConfigError("bags", f"{place(text)}: nothing here reads such an address ({error})") from error
    except ValueError as error:
        raise ConfigError("bags", f"{place(text)}: {brief(str(error))}") from error
    return system, path


@contextmanager
def _asked(text: str) -> Iterator[None]:
    """Have whatever a file system raises name the place: each has exceptions of its own."""
    try:
        yield
    except (BagError, ConfigError):
        raise
    except FileNotFoundError as error:
        raise BagError(f"{place(text)}: there is no such bag") from error
    except OSError as error:
        if not is_address(text) or error.errno is not None:
            raise
        raise BagError(f"{place(text)}: cannot be read: {brief(str(error))}") from error
    except Exception as error:
        raise BagError(f"{place(text)}: cannot be read: {brief(str(error) or type(error).__name__)}") from error


def _found(text: str, *, listing: bool) -> list[str]:
    text = _OF_THIS_MACHINE.sub("", text)
    system, path = _opened(text)
    shown = _prefixed(system, text, path)
    with _asked(text):
        if _PATTERN.search(path) and not system.exists(path):
            matches = sorted(system.glob(path))
            if not matches:
                raise BagError(f"{place(text)}: nothing is called so")
            found = [one for match in matches for one in _inside(system, match, shown, required=False)]
            if not found:
                raise BagError(f"{place(text)}: nothing that is called so is a recording, or has one in it")
            return found
        if path.endswith(LISTS) and not system.isdir(path):
            if listing:
                raise BagError(f"{place(text)}: is a list in a list: name recordings there")
            return _listed(system, path, shown)
        return _inside(system, path, shown, required=True)


def _prefixed(system: Any, text: str, path: str) -> Callable[[str], str]:
    """What makes an address of a path in a file system: what stood before the path in the one that was given, a host
    too, where that is plain to see."""
    if not is_address(text):
        return str
    given = text.rstrip("/")
    before = given.removesuffix(path.rstrip("/"))
    if is_address(before) and before != given:
        return lambda at: before + at
    return lambda at: str(system.unstrip_protocol(at))


def _listed(system: Any, path: str, shown: Callable[[str], str]) -> list[str]:
    """What a list file names; lines that are empty, or begin with ``#``, name nothing."""
    if not system.exists(path):
        raise BagError(f"{place(shown(path))}: there is no such list")
    if system.size(path) > _MOST_LIST_BYTES:
        raise BagError(f"{place(shown(path))}: is larger than any list of recordings")
    try:
        lines = system.cat_file(path).decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise BagError(f"{place(shown(path))}: is no text that names recordings") from error
    folder, found = posixpath.dirname(path), []
    for line in map(str.strip, lines):
        if line and not line.startswith("#"):
            absolute = line.startswith("/") or is_address(line)
            found += _found(line if absolute else shown(posixpath.join(folder, line)), listing=True)
    if not found:
        raise BagError(f"{place(shown(path))}: names no recording")
    return found


def _inside(system: Any, path: str, shown: Callable[[str], str], *, required: bool) -> list[str]:
    """The recording that something is, or those in it."""
    if not system.exists(path):
        raise BagError(f"{place(shown(path))}: there is no such bag")
    if not system.isdir(path):
        return [shown(path)] if required or _is_storage(path) else []
    root = path.rstrip("/")
    below = list(_files_here(root)) if isinstance(system, LocalFileSystem) else list(map(str, system.find(root)))
    datasets = {posixpath.dirname(posixpath.dirname(file)) for file in below if file.endswith(f"/{DATASET.as_posix()}")}
    bags = {
        folder
        for file in below
        if (_is_storage(file) or posixpath.basename(file) == metadata.NAME)
        and not _is_within(folder := posixpath.dirname(file), datasets)
    }
    found = sorted(datasets | bags)
    if root in found:
        return [shown(root)]
    if not found and required:
        others = sorted({posixpath.splitext(file)[1] or posixpath.basename(file) for file in below})
        raise BagError(f"{place(shown(path))}: has no recording in it; what lies there: {listed(others, 5)}")
    return [shown(folder) for folder in found]


def _files_here(root: str) -> Iterator[str]:
    """Every file below a folder of this machine, links followed, each folder once."""
    seen: set[str] = set()
    for folder, inner, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen and folder != root:
            inner.clear()
            continue
        seen.add(real)
        inner.sort()
        yield from (f"{folder.rstrip('/')}/{file}" for file in files)


def _is_within(folder: str, others: set[str]) -> bool:
    return any(folder == other or folder.startswith(f"{other}/") for other in others)


def _is_storage(path: str) -> bool:
    name = posixpath.basename(path)
    return name.removesuffix(zstd_bag.SUFFIX).endswith(SUFFIXES) and not name.startswith(".")
