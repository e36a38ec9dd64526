"""Outputs are whole or not there, several together or none: whatever fails, whenever it fails."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from vjepa_ros import files
from vjepa_ros.errors import OutputError

TOOL = "tool"


def contents(folder: Path) -> dict[str, str]:
    """The files under a folder, by their paths in it."""
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def write(places: list[Path], text: str, *, force: bool = True) -> None:
    """A pair of files in one group, and a folder in another, all with this text."""
    *pair, other = places
    with files.whole(pair, [other], tool=TOOL, force=force) as new:
        for place in pair:
            new[place].write_text(text)
        new[other].mkdir()
        (new[other] / "inside").write_text(text)


def disk_full() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Failing:
    """Raises at a call of a function of the disk, the first, second, ... of the run; None: at none."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: Callable[[], BaseException]) -> None:
        self.at: int | None = None
        self.calls = 0
        for owner, name in ((Path, "rename"), (os, "fsync")):
            monkeypatch.setattr(owner, name, self._wrapped(getattr(owner, name), error))

    def _wrapped(self, function: Callable[..., object], error: Callable[[], BaseException]) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            self.calls += 1
            if self.calls - 1 == self.at:
                raise error()
            return function(*arguments)

        return call


@pytest.mark.parametrize("before", ["nothing", "old outputs", "some of them"])
@pytest.mark.parametrize("error", [disk_full, KeyboardInterrupt])
def test_a_failure_at_any_step_leaves_all_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, error: Callable[[], BaseException]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    places = [folder / name for name in ("sidecar", "weights", "export")]
    if before != "nothing":
        write(places, "old")
    if before == "some of them":
        (folder / "weights").unlink()
    old = contents(folder)
    failing = Failing(monkeypatch, error)
    steps = 0
    while True:
        failing.at, failing.calls = steps, 0
        try:
            write(places, "new")
        except (OSError, KeyboardInterrupt):
            assert contents(folder) == old
        else:
            break
        steps += 1
    assert steps == 4 + 3 + 3 + {"nothing": 0, "old outputs": 3, "some of them": 2}[before]
    assert contents(folder) == {"sidecar": "new", "weights": "new", "export/inside": "new"}
    assert len(list(folder.iterdir())) == 3


def test_an_error_names_the_place_and_not_the_work_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = [tmp_path / name for name in ("sidecar", "weights", "export")]
    failing = Failing(monkeypatch, disk_full)
    named = []
    for step in range(4):
        failing.at, failing.calls = step, 0
        with pytest.raises(OSError, match="No space left") as caught:
            write(places, "new")
        named.append(caught.value.filename)
    assert named == [str(path) for path in (*places[:2], places[2] / "inside", places[2])]
    with pytest.raises(FileNotFoundError) as missing, files.whole(places, tool=TOOL, force=False) as new:
        (new[places[0]] / "deeper").write_text("no")
    assert missing.value.filename == str(places[0] / "deeper")
    with pytest.raises(OSError, match="elsewhere"), files.whole(places, tool=TOOL, force=False):
        (tmp_path / "elsewhere" / "file").read_text()


def test_an_error_of_writing_gets_a_name_and_keeps_its_own() -> None:
    with pytest.raises(OSError, match="No space left on device: '/out'"), files.naming(Path("/out")):
        raise disk_full()
    with pytest.raises(FileNotFoundError, match="/nowhere/in"), files.naming(Path("/out")):
        Path("/nowhere/in").read_text()


def test_what_a_run_that_was_killed_between_the_moves_had_replaced_comes_back(tmp_path: Path) -> None:
    """As such a run leaves it: of the pair the first is new, the second still in the work folder, as the old are."""
    places = [tmp_path / name for name in ("sidecar", "weights")]
    old = tmp_path / "weights.tool" / "old"
    (old.parent / "new").mkdir(parents=True)
    old.mkdir()
    places[0].write_text("new")
    (old.parent / "new" / "weights").write_text("new")
    for name in ("sidecar", "weights"):
        (old / name).write_text("old")
    with pytest.raises(OutputError, match="is there already"), files.whole(places, tool=TOOL, force=False):
        raise AssertionError("not reached")
    assert contents(tmp_path) == {"sidecar": "old", "weights": "old"}


def test_two_runs_do_not_write_one_output(tmp_path: Path) -> None:
    place = tmp_path / "out"
    with files.whole([place], tool=TOOL, force=False) as new:
        with (
            pytest.raises(OutputError, match="another tool is writing it"),
            files.whole([place], tool=TOOL, force=False),
        ):
            raise AssertionError("not reached")
        new[place].write_text("whole")
    assert contents(tmp_path) == {"out": "whole"}


@pytest.mark.parametrize("name", ["lock", "new", "old"])
def test_any_name_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    for text in ("first", "second"):
        with files.whole([Path(name)], tool=TOOL, force=True) as new:
            new[Path(name)].write_text(text)
        assert contents(tmp_path) == {name: text}
