"""Files and folders that are there whole or not at all: written beside their places, and moved there at the end.

However the program ends, what lies at an output's place is complete, and where a move fails, all is as it was before.
What a killed run leaves beside the places, the next one clears: that, and nothing else of the same name. It knows
nothing of what is written.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from vjepa_ros import work_folder
from vjepa_ros.errors import OutputError
from vjepa_ros.errors import place as shown

_NEW, _OLD = "new", "old"  # in a work folder
_LONGEST_PATH, _LONGEST_NAME = 4095, 255  # bytes, on Linux


@dataclass(frozen=True)
class _Group:
    """Places in one folder, and the work folder beside them, which has room for their new and their old contents."""

    places: tuple[Path, ...]
    work: Path

    def new(self, place: Path) -> Path:
        return self.work / _NEW / place.name

    def old(self, place: Path) -> Path:
        return self.work / _OLD / place.name

    def put_back(self) -> None:
        """Where a run ended between its moves, bring back what it had moved away; in the order of the places."""
        if all(map(os.path.lexists, self.places)):
            return
        for place in self.places:
            if os.path.lexists(self.old(place)):
                _remove(place)
                self.old(place).rename(place)

    def clear(self) -> None:
        """Remove what is in the work folder, but for the lock."""
        for left_over in self.work.iterdir():
            if left_over.name != work_folder.LOCK:
                _remove(left_over)

    def leave(self) -> None:
        """Remove the work folder, the lock last: what lies in a folder without one nobody would clear."""
        with suppress(OSError):  # on NFS, the open lock keeps an empty folder there
            self.clear()
            (self.work / work_folder.LOCK).unlink()
            self.work.rmdir()


@contextmanager
def whole(*groups: Sequence[Path], tool: str, force: bool) -> Iterator[dict[Path, Path]]:
    """Paths to write files or folders at, which are moved to their places when the block ends without an exception.

    They appear in the order in which they are given, after everything that lay there has gone: a run that is killed
    between the moves leaves the first ones, and the next run to the same places brings back what the others replaced.

    Args:
        groups: places; those of one group lie in one folder, and while they are written too.
        tool: the program, as it is called.
        force: replace what lies there.

    Yields:
        Where to write each output, by its place; under the same name, in an absolute folder.

    Raises:
        OutputError: if something lies there already, the folder around it is missing, or another run is writing it.
        OSError: where the disk is full or fails; it names the place.
    """
    with ExitStack() as stack:
        entered: list[_Group] = []
        try:
            for places in groups:
                entered.append(stack.enter_context(_work_folder(places, tool, force)))
            yield {
                place: group.new(absolute)
                for places, group in zip(groups, entered, strict=True)
                for place, absolute in zip(places, group.places, strict=True)
            }
            _publish(entered)
        except OSError as error:
            error.filename = _named(error.filename, entered)
            raise


def require_free(place: Path, *, force: bool) -> None:
    """Refuse a place that has no folder around it, or where something lies that must not be replaced: a pipe, a socket
    or a device never, nor a link to one.

    Raises:
        OutputError: saying which.
        OSError: for a folder that one may not enter; it names it.
    """
    _require_name(place)
    if not place.parent.is_dir():
        raise OutputError(f"{shown(place)}: there is no folder {shown(place.parent)}")
    if _is_special(place):
        raise OutputError(f"{shown(place)}: is a pipe, a socket or a device, which is never replaced; choose another")
    if os.path.lexists(place) and not force:
        raise OutputError(f"{shown(place)}: is there already; `force` replaces it")


def _is_special(place: Path) -> bool:
    """Whether something lies there, or where it leads to, that is neither a file nor a folder."""
    try:
        mode = os.stat(place).st_mode
    except OSError:  # nothing is there, or a link that leads nowhere or in a circle
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _require_name(place: Path) -> None:
    try:
        name = os.fsencode(place)
    except UnicodeEncodeError:  # half of a character
        name = b"\0"
    if b"\0" in name:
        raise OutputError(f"{shown(place)}: is no name of a file")
    if len(name) > _LONGEST_PATH or max(map(len, name.split(b"/"))) > _LONGEST_NAME:
        raise OutputError(f"{shown(place)}: is too long for the name of a file")


@contextmanager
def _work_folder(places: Sequence[Path], tool: str, force: bool) -> Iterator[_Group]:
    """The group with its work folder, which belongs to this run alone until the block ends, and is gone then."""
    absolute = tuple(Path(os.path.abspath(place)) for place in places)  # "." has no name to write beside
    last = absolute[-1]
    require_free(last, force=True)
    group = _Group(absolute, last.with_name(f"{last.name}.{tool}"))
    with work_folder.entered(group.work, last, tool):
        try:
            group.put_back()
            group.clear()
            for place in absolute:
                require_free(place, force=force)
            for name in (_NEW, _OLD):
                (group.work / name).mkdir()
            yield group
        finally:
            group.put_back()  # an interrupt may have come in the middle of undoing
            group.leave()


def _publish(groups: Sequence[_Group]) -> None:
    """Move everything to its place, or where that fails, nothing."""
    outputs = [(group, place) for group in groups for place in group.places]
    for group, place in outputs:
        sync(group.new(place))
    moves: list[tuple[Path, Path]] = []
    try:
        for group, place in reversed(outputs):
            if os.path.lexists(place):
                moves.append((place, group.old(place)))
                place.rename(group.old(place))  # a folder cannot be put over another one
        for group, place in outputs:
            moves.append((group.new(place), place))
            group.new(place).rename(place)
            _sync_one(place.parent)
    except BaseException:
        for source, target in reversed(moves):
            if os.path.lexists(target) and not os.path.lexists(source):
                target.rename(source)
        raise


def _named(name: object, groups: Sequence[_Group]) -> object:
    """The place that a file in a work folder is meant for; other names as they are."""
    for group in groups:
        new = group.work / _NEW
        if isinstance(name, str | Path) and Path(name).is_relative_to(new):
            return str(group.work.parent / Path(name).relative_to(new))
    return name


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Have an OSError name this path if it names none: one of writing, as on a full disk, does not by itself."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file as a whole: however the program or the machine ends, it has its old or its new content.

    Raises:
        OSError: where the disk is full or fails; it names the file, which is as it was.
    """
    new = path.with_name(f".{path.name}.new")
    try:
        with naming(path):
            with new.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
            _sync_one(path.parent)
    except OSError:
        with suppress(OSError):
            new.unlink(missing_ok=True)
        raise


def require_apart(outputs: Sequence[Path], inputs: Sequence[Path]) -> None:
    """Refuse outputs that would replace an input, or each other.

    Raises:
        OutputError: naming both.
    """
    for output in outputs:
        _require_name(output)
    for index, output in enumerate(outputs):
        place = _resolved(output)
        for other in (*inputs, *outputs[:index], *outputs[index + 1 :]):
            beside = _resolved(other)
            if place == beside or place in beside.parents or (other not in inputs and beside in place.parents):
                raise OutputError(f"{shown(output)}: would replace, or lie in, {shown(other)}; choose another place")


def _resolved(path: Path) -> Path:
    """Where a path leads; one that leads nowhere is refused by whoever opens it."""
    try:
        return Path(os.path.realpath(path))
    except ValueError:  # no name of a file
        return path


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """See a file, or a folder with everything in it, on the disk."""
    if path.is_dir():
        for inner in path.iterdir():
            sync(inner)
    _sync_one(path)


def _sync_one(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with naming(path):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
