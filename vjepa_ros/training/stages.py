"""Stages of a training on disk: each in a folder of its own, with a key of what it was made from; resumed or skipped.

A stage's folder has ``stage.json``, which is replaced as a whole and says how far the stage has come: what it speaks of
has been seen on the disk before. Whatever else lies there, a killed run has left; the next one cuts it off and goes on.
It knows nothing of what a stage computes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from vjepa_ros import files, work_folder
from vjepa_ros.documents import Unreadable, from_json, read_text, to_json
from vjepa_ros.errors import OutputError, place
from vjepa_ros.training.plan import TOOL

FORMAT = 1
MARKER = "stage.json"


@contextmanager
def entered(folder: Path, output: Path) -> Iterator[Path]:
    """The folder beside a model, made where it is not there, for this run alone until the block ends.

    What is in it stays. It bears the mark of work folders: one of its name that has not is refused, and left alone.

    Args:
        folder: it.
        output: the model.

    Raises:
        OutputError: where another run is in it, or something else has its name.
        OSError: where it cannot be made.
    """
    files.require_free(output, force=True)
    with work_folder.entered(folder, output, TOOL):
        yield folder


def key_of(**inputs: Any) -> str:
    """64 hex digits that stand for all that a stage is made from: values that JSON has, by name."""
    return hashlib.sha256(to_json(inputs, sort_keys=True).encode()).hexdigest()


class Stage:
    """One stage of a training.

    Args:
        folder: the training's.
        name: of the stage, and of its folder.
        key: of what it is made from, see :func:`key_of`; what was made from something else counts for nothing.

    Attributes:
        path: its folder.
    """

    def __init__(self, folder: Path, name: str, key: str) -> None:
        self.path = folder / name
        self._key = key

    @property
    def result(self) -> dict[str, Any] | None:
        """What :meth:`finish` was given, None where the stage is not done; done is only what has all of its files."""
        marker = self._marker()
        if marker is None or "result" not in marker:
            return None
        with suppress(OSError):
            if all((self.path / name).stat().st_size == size for name, size in marker["files"].items()):
                result: dict[str, Any] = marker["result"]
                return result
        return None

    def begin(self) -> int:
        """Go on where the stage was, or begin it: the units that are done already. Nothing else is kept.

        Raises:
            OSError: where the disk is full or fails; it names the file.
        """
        marker = self._marker()
        if marker is not None and "result" not in marker:
            return int(marker["units"])
        if self.path.is_symlink() or self.path.is_file():
            raise OutputError(f"{place(self.path)}: is in the way, and is no folder; move it away")
        if self.path.exists():
            (self.path / MARKER).unlink(missing_ok=True)  # first: without it nothing that is left looks like anything
            shutil.rmtree(self.path)
        self.path.mkdir()
        self.mark(0)
        return 0

    def mark(self, units: int) -> None:
        """Write down that so many units are on the disk."""
        self._write({"units": units})

    def finish(self, result: Mapping[str, Any]) -> None:
        """Write down that the stage is done: whatever is in its folder is seen on the disk first.

        Args:
            result: to be found again; values that JSON has.
        """
        sizes = {}
        for file in sorted(self.path.iterdir()):
            if file.name != MARKER and not file.name.startswith("."):
                with file.open("rb") as opened, files.naming(file):
                    os.fsync(opened.fileno())
                sizes[file.name] = file.stat().st_size
        self._write({"files": sizes, "result": dict(result)})

    def _marker(self) -> dict[str, Any] | None:
        try:
            marker = from_json(read_text(self.path / MARKER, 2**28))
            fits = marker["format"] == FORMAT and marker["key"] == self._key
            fits = fits and (isinstance(marker.get("units"), int) or isinstance(marker["files"], dict))
            return marker if fits else None
        except (Unreadable, LookupError, TypeError, AttributeError):
            return None

    def _write(self, content: Mapping[str, Any]) -> None:
        files.write_whole(self.path / MARKER, to_json({"format": FORMAT, "key": self._key, **content}).encode())


class Rows:
    """A file that grows by whole units: what :meth:`commit` has not seen on the disk is cut off when it is next opened.

    Args:
        stage: that it belongs to; begun.
        name: of the file, in the stage's folder.
        unit_bytes: of a unit.
        done: units that are on the disk already, as :meth:`Stage.begin` says.

    Attributes:
        units: so many are in the file.

    Raises:
        OSError: by every method, where the disk is full or fails; it names the file.
    """

    def __init__(self, stage: Stage, name: str, unit_bytes: int, done: int) -> None:
        self._stage = stage
        self._path = stage.path / name
        self._unit_bytes = unit_bytes
        if self._path.is_file() and self._path.stat().st_size < done * unit_bytes:
            done = 0  # somebody has shortened it
        self.units = done
        with files.naming(self._path):
            # Not buffered: an error of writing comes where it happens, and not once more when the file is closed.
            self._file = self._path.open("r+b" if self._path.is_file() else "w+b", buffering=0)
            self._file.truncate(done * unit_bytes)
            self._file.seek(done * unit_bytes)

    def append(self, content: bytes | memoryview) -> None:
        """Add whole units."""
        rest = memoryview(content).cast("B")
        count, left = divmod(len(rest), self._unit_bytes)
        assert left == 0, "units are whole"
        with files.naming(self._path):
            while rest:
                rest = rest[self._file.write(rest) :]
        self.units += count

    def commit(self) -> None:
        """See all units on the disk, and write down that they are."""
        with files.naming(self._path):
            os.fsync(self._file.fileno())
        self._stage.mark(self.units)

    def __enter__(self) -> Rows:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()
