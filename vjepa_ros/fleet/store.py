"""The folder of a fleet: which recordings are done, which failed and why; each there whole, or not at all.

``windows/recording=NAME/`` is moved to its place as a whole when all rows of a recording are on the disk: whoever looks
sees all of them or none, and a second worker with the same recording finds them there. What is being written lies in
``.work``, which the next run clears. It knows names and values, and neither recordings nor tables.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from vjepa_ros import files, work_folder
from vjepa_ros.documents import Unreadable, from_json, read_text, to_json
from vjepa_ros.errors import OutputError, place
from vjepa_ros.fleet.plan import FAILED, MANIFEST, RECORDINGS, TOOL, WINDOWS

FORMAT = 1
TABLE, REPORT, VIDEO, EPISODES = "part-0.parquet", "_report.json", "_frames.mp4", "_episodes.jsonl"
"""Names in the folder of a recording; who reads tables leaves out what begins with ``_``."""
PARTITION = "recording="
OF_LATENTS = ("vjepa_ros", "info_id", "encoder_hash", "predictor_hash")
"""What all latents of a fleet have in common."""
_WORK, _LATENTS, _INFO = ".work", "latents", "info.json"


class Store:
    """A fleet's folder, as workers and readers see it.

    Args:
        out: the folder.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.windows = out / WINDOWS
        self.work = out / _WORK
        self._failed, self._latents = out / FAILED, out / _LATENTS

    def folder(self, name: str) -> Path:
        """Where the rows of a recording lie, once they are there."""
        return self.windows / f"{PARTITION}{name}"

    def report(self, name: str, *, frames: bool = False) -> dict[str, Any] | None:
        """The report of a recording that is done; None of one that is not.

        Args:
            name: of the recording.
            frames: with what a dataset needs besides the table, ``frame_px`` and ``episodes``, see
                :class:`~vjepa_ros.fleet.frames.FrameWriter`; then None of one whose frames are not there.
        """
        report = _read(self.folder(name) / REPORT)
        if report is None or not frames:
            return report
        try:
            with (self.folder(name) / EPISODES).open(encoding="utf-8") as file:
                first, *episodes = map(from_json, file)
        except (OSError, ValueError):
            return None
        return {**report, **first, "episodes": episodes}

    def failure(self, name: str) -> dict[str, Any] | None:
        """Why a recording failed when it was last tried; None where it did not."""
        return _read(self._failed / f"{name}.json")

    def names(self) -> list[str]:
        """Of the recordings that are done, sorted."""
        if not self.windows.is_dir():
            return []
        found = (entry.removeprefix(PARTITION) for entry in os.listdir(self.windows) if entry.startswith(PARTITION))
        return sorted(name for name in found if (self.folder(name) / REPORT).is_file())

    def agreed(self, latents: Mapping[str, Any]) -> Mapping[str, Any]:
        """What all latents of the fleet are of: what the first worker said, whoever asks.

        Args:
            latents: what those of the caller are of.

        Raises:
            OSError: where the disk is full or fails.
        """
        there = self.latents()
        if there is not None:
            return there
        new = self.work / f"{_LATENTS}.{uuid4().hex[:8]}"
        new.mkdir()
        files.write_whole(new / _INFO, to_json(latents).encode())
        try:
            new.rename(self._latents)
        except OSError:
            if self.latents() is None:  # else another worker was faster
                raise
        return self.latents() or latents

    def latents(self) -> dict[str, Any] | None:
        """See :meth:`agreed`; None where no worker has said it yet."""
        return _read(self._latents / _INFO)

    def settle(self) -> None:
        """See that it is known what the latents are of where there are some, and forgotten where there are none."""
        reports = (report for name in self.names() if (report := self.report(name)) is not None)
        first = next(reports, None)
        if self._latents.is_dir() and (first is None or self.latents() is None):
            _remove(self._latents)
        if first is not None:
            self.agreed({name: first.get(name) for name in OF_LATENTS})

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """A folder to write a recording's files into, which goes when the block ends, unless it was published."""
        new = self.work / f"{name}.{uuid4().hex[:8]}"
        new.mkdir()
        try:
            yield new
        finally:
            if new.exists():
                shutil.rmtree(new, ignore_errors=True)

    def publish(self, new: Path, name: str, report: Mapping[str, Any]) -> bool:
        """Move what :meth:`writing` gave to its place, once all of it is seen on the disk.

        Args:
            new: it.
            name: of the recording.
            report: what became of it.

        Returns:
            Whether it did; not where another worker was faster.
        """
        with files.naming(new / REPORT):
            (new / REPORT).write_text(to_json(report, indent=2) + "\n", encoding="utf-8")
        files.sync(new)
        if _read(new / REPORT) is None:
            raise OutputError(f"its report is too long to be read again: {place(self.folder(name))} was not written")
        there = self.folder(name)
        if there.exists() and self.report(name) is None:  # damaged, and nobody's any more
            there.rename(self.work / f"{name}.{uuid4().hex[:8]}.damaged")
        try:
            new.rename(there)
        except OSError:
            if self.report(name) is None:  # a folder that has something in it is never replaced
                raise
            return False
        (self._failed / f"{name}.json").unlink(missing_ok=True)
        return True

    def publish_frames(self, new: Path, name: str) -> None:
        """Move the frames of a recording, in what :meth:`writing` gave, beside the rows that are there."""
        files.sync(new)
        for file in (VIDEO, EPISODES):  # the last one says that both are there
            if (new / file).exists():
                (new / file).replace(self.folder(name) / file)
        (self._failed / f"{name}.json").unlink(missing_ok=True)

    def fail(self, name: str, said: Mapping[str, Any]) -> None:
        """Write down why a recording failed."""
        files.write_whole(self._failed / f"{name}.json", to_json(said).encode())

    def begun(self, name: str) -> int:
        """Count another beginning of a recording in this run; how many there are with it."""
        count = self.work / f"{name}.begun"
        with files.naming(count), count.open("ab") as file:
            file.write(b".")
            return file.tell()

    def ended(self, name: str) -> None:
        """A recording has come to an end, whatever it was: its beginnings count no more."""
        (self.work / f"{name}.begun").unlink(missing_ok=True)

    def manifest(self) -> dict[str, Any]:
        """What the folder was made by.

        Raises:
            OutputError: where it is no folder of a fleet.
        """
        found = _read(self.out / MANIFEST)
        if found is None or found.get("tool") != TOOL or found.get("format") != FORMAT:
            raise OutputError(f"{place(self.out)}: is no folder of {TOOL}, or of another version of it")
        return found

    def lines(self) -> Iterator[dict[str, Any]]:
        """What was asked for when the folder was last worked on, a recording each: ``name`` and ``recording``; where
        that run came to its end, with what became of it."""
        try:
            with (self.out / RECORDINGS).open(encoding="utf-8") as file:
                for line in file:
                    yield from_json(line)
        except (OSError, ValueError) as error:
            raise OutputError(f"{place(self.out / RECORDINGS)}: cannot be read ({error})") from error


@contextmanager
def opened(out: Path, *, force: bool) -> Iterator[Store]:
    """A fleet's folder for a run alone, made where it is not there; what a killed run has left is cleared.

    Raises:
        OutputError: where something else lies there, or another run is at it.
        OSError: where the disk is full or fails.
    """
    store = Store(out)
    is_ours = (_read(out / MANIFEST) or {}).get("tool") == TOOL
    if is_ours and not force:
        store.manifest()
    if not is_ours and os.path.lexists(out) and not _is_begun(out):
        files.require_free(out, force=force)
        _remove(out)
    if not out.is_dir():
        files.require_free(out, force=False)
        out.mkdir()
    with work_folder.entered(store.work, out, TOOL):
        _clear(store.work, {work_folder.LOCK})
        if is_ours and force:
            _clear(out, {_WORK})
        store.windows.mkdir(exist_ok=True)
        (out / FAILED).mkdir(exist_ok=True)
        store.settle()
        try:
            yield store
        finally:
            with suppress(OSError):  # a worker that was killed may not be gone yet; else the next run clears it
                _clear(store.work, {work_folder.LOCK})


def write_episodes(folder: Path, frame_px: Sequence[int], episodes: Iterable[Mapping[str, Any]]) -> None:
    """Write what a dataset needs besides table and video, a line for each episode: there may be many."""
    with files.naming(folder / EPISODES), (folder / EPISODES).open("w", encoding="utf-8") as file:
        for line in ({"frame_px": list(frame_px)}, *episodes):
            file.write(to_json(line) + "\n")


def write_lines(out: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Replace the list of recordings, line by line: it may be long.

    Raises:
        OSError: where the disk is full or fails; the list is as it was.
    """
    new = out / _WORK / RECORDINGS
    with files.naming(out / RECORDINGS):
        with new.open("w", encoding="utf-8") as file:
            for line in lines:
                file.write(to_json(line) + "\n")
        new.replace(out / RECORDINGS)


def write_manifest(out: Path, manifest: Mapping[str, Any]) -> None:
    """Replace the manifest as a whole.

    Raises:
        OSError: where the disk is full or fails; it is as it was.
    """
    files.write_whole(out / MANIFEST, (to_json({"tool": TOOL, "format": FORMAT, **manifest}, indent=2) + "\n").encode())


def _is_begun(out: Path) -> bool:
    """Whether nothing lies there but what a run makes first."""
    if not out.is_dir() or not set(os.listdir(out)) <= {_WORK, WINDOWS, FAILED}:
        return False
    return not any(name.is_dir() and os.listdir(name) for name in (out / WINDOWS, out / FAILED))


def _clear(folder: Path, kept: set[str]) -> None:
    for entry in folder.iterdir():
        if entry.name not in kept:
            _remove(entry)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _read(path: Path) -> dict[str, Any] | None:
    with suppress(Unreadable):
        found = from_json(read_text(path, 10_000_000))
        return found if isinstance(found, dict) else None
    return None
