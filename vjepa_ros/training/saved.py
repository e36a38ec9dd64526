"""The state of a training on disk: one file, whole or not there, from which it goes on to the same result.

It knows no modules and no data: tensors, numbers and texts by name.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import IO, Any, cast

import torch

from vjepa_ros import files
from vjepa_ros.errors import OutputError, place

TOOL = "vjepa_train"
_FORMAT = 1


def save(path: Path, key: str, state: dict[str, Any]) -> None:
    """Write a state to its place, where another one may lie; however this ends, a whole one lies there or none.

    Args:
        path: its place.
        key: what it belongs to, see :func:`load`.
        state: tensors on any device, numbers, texts, lists and dictionaries.

    Raises:
        OSError: where the disk is full or fails; it names the place.
        OutputError: where another run is writing it.
    """
    with files.whole([path], tool=TOOL, force=True) as new, files.naming(path):
        content = {"format": _FORMAT, "key": key, **state}
        with open(new[path], "wb") as file:
            sink = _Sink(file)
            try:
                torch.save(content, cast(IO[bytes], sink))
            except RuntimeError as error:  # torch's words for a disk that is full
                raise sink.failure or error from error


def load(path: Path) -> tuple[str, dict[str, Any]] | None:
    """The key and the state that were saved, on the CPU; None where there is none.

    Raises:
        OutputError: where the file is no such state.
    """
    if not path.exists():
        return None
    refusal = OutputError(f"{place(path)}: is no state of a training; remove it to begin anew")
    if not zipfile.is_zipfile(path):  # torch says of a cut one that the system failed
        raise refusal
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError) as error:
        raise refusal from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise OutputError(f"{place(path)}: is no state of this training's version; remove it to begin anew")
    return content["key"], content


class _Sink(io.RawIOBase):
    """A file that remembers why writing it failed, which torch says in words of its own."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file
        self.failure: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            count: int = self._file.write(data)
            return count
        except OSError as error:
            self.failure = error
            raise

    def flush(self) -> None:
        self._file.flush()
