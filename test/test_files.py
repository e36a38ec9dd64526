"""Outputs are whole or not there, several together or none: whatever fails, whenever it fails."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from vjepa_ros import files
from vjepa_ros.errors import OutputError
from vjepa_ros.work_folder import LOCK

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


def work_folder_of(place: Path, mode: int = 0o700) -> Path:
    """As a run of the tool makes it beside a place, before it puts anything into it."""
    work = place.with_name(f"{place.name}.{TOOL}")
    work.mkdir(mode=mode)
    (work / LOCK).write_text("vjepa_ros work folder 1\n")
    return work


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
    old = work_folder_of(tmp_path / "weights") / "old"
    (old.parent / "new").mkdir()
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


# -- work folders of others


def refused(place: Path, *, force: bool = True) -> str:
    """The sentence with which an output is refused; one line, and nothing has changed in the folder around it."""
    before = {path: os.lstat(path) for path in sorted(place.parent.rglob("*"))}
    with pytest.raises(OutputError) as caught, files.whole([place], tool=TOOL, force=force):
        raise AssertionError("not reached")
    after = {path: os.lstat(path) for path in sorted(place.parent.rglob("*"))}
    assert {path: (status.st_ino, status.st_size, status.st_mtime_ns) for path, status in after.items()} == {
        path: (status.st_ino, status.st_size, status.st_mtime_ns) for path, status in before.items()
    }
    message = str(caught.value)
    assert "\n" not in message and message.startswith(f"{place}.{TOOL}: is in the way and ")
    assert message.endswith("move it away, or choose another place")
    return message


@pytest.mark.parametrize("force", [True, False])
def test_a_folder_of_somebodys_is_not_cleared(tmp_path: Path, force: bool) -> None:
    (tmp_path / "out.tool" / "deep").mkdir(parents=True)
    (tmp_path / "out.tool" / "deep" / "thesis.tex").write_text("precious")
    assert "has other things in it" in refused(tmp_path / "out", force=force)
    (tmp_path / "out.tool" / LOCK).write_text("of something else")
    assert "does not bear the mark" in refused(tmp_path / "out", force=force)
    (tmp_path / "out.tool" / LOCK).write_text("")  # nor does one without anything in it, where there is more
    assert "does not bear the mark" in refused(tmp_path / "out", force=force)
    (tmp_path / "out.tool" / LOCK).write_text("vjepa_ros work folder 2\n")
    assert "does not bear the mark" in refused(tmp_path / "out", force=force)


def test_what_earlier_versions_left_is_not_cleared_either(tmp_path: Path) -> None:
    """They had no mark, so nobody can tell whose it is."""
    for name in ("new", "old"):
        (tmp_path / "out.tool" / name).mkdir(parents=True)
    (tmp_path / "out.tool" / "lock").touch()
    assert "has other things in it" in refused(tmp_path / "out")


@pytest.mark.parametrize("kind", ["link to a folder", "dangling link", "file", "pipe"])
def test_what_is_no_folder_is_neither_followed_nor_replaced(tmp_path: Path, kind: str) -> None:
    work = tmp_path / "out.tool"
    if kind == "file":
        work.write_text("precious")
    elif kind == "pipe":
        os.mkfifo(work)
    else:
        work.symlink_to(tmp_path / "elsewhere")
        if kind == "link to a folder":
            (tmp_path / "elsewhere").mkdir()
    assert "is a link or a file" in refused(tmp_path / "out")
    assert os.path.lexists(work)


@pytest.mark.parametrize("force", [True, False])
def test_pipes_and_devices_are_never_replaced(tmp_path: Path, force: bool) -> None:
    """Once `--dump /dev/null --force` of an administrator made a file of the device."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/null")
    for place in (tmp_path / "pipe", tmp_path / "link"):
        with pytest.raises(OutputError) as caught, files.whole([place], tool=TOOL, force=force):
            raise AssertionError("not reached")
        assert str(caught.value) == f"{place}: is a pipe, a socket or a device, which is never replaced; choose another"
    assert stat.S_ISFIFO(os.lstat(tmp_path / "pipe").st_mode) and os.readlink(tmp_path / "link") == "/dev/null"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe"]


@pytest.mark.parametrize("kind", ["link", "hard link", "pipe", "folder"])
def test_a_lock_that_is_none_is_neither_followed_nor_emptied(tmp_path: Path, kind: str) -> None:
    """A link to a file: opened for writing, as it once was, it emptied what it led to."""
    precious = tmp_path / "precious"
    precious.write_text("vjepa_ros work folder 1\n")
    lock = tmp_path / "out.tool" / LOCK
    lock.parent.mkdir(mode=0o700)
    {"link": lambda: lock.symlink_to(precious), "hard link": lambda: lock.hardlink_to(precious),
     "pipe": lambda: os.mkfifo(lock), "folder": lock.mkdir}[kind]()  # fmt: skip
    assert "has a lock that is none" in refused(tmp_path / "out")
    assert precious.read_text() == "vjepa_ros work folder 1\n"


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_folder_that_others_may_write_in_is_refused(tmp_path: Path, mode: int) -> None:
    work_folder_of(tmp_path / "out").chmod(mode)
    assert "can be written by other users" in refused(tmp_path / "out")


def test_a_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root gives it to somebody; who may not is taken for somebody else."""
    work = work_folder_of(tmp_path / "out")
    if os.geteuid() == 0:
        os.chown(work, 12345, 12345)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert "belongs to another user" in refused(tmp_path / "out")


@pytest.mark.parametrize("left", ["nothing", "no mark yet", "half of it", "more"])
def test_what_a_killed_run_leaves_is_cleared(tmp_path: Path, left: str) -> None:
    work = work_folder_of(tmp_path / "out")
    if left == "nothing":
        (work / LOCK).unlink()
    elif left != "more":
        os.truncate(work / LOCK, 0 if left == "no mark yet" else 9)
    else:
        (work / "new").mkdir()
        (work / "new" / "link").symlink_to(tmp_path)
        (work / "unknown").write_text("left over")
    write([tmp_path / "a", tmp_path / "b", tmp_path / "out"], "whole", force=False)
    assert contents(tmp_path) == {"a": "whole", "b": "whole", "out/inside": "whole"}
    assert len(list(tmp_path.iterdir())) == 3


def test_nobody_else_may_look_into_a_work_folder(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with files.whole([tmp_path / "out"], tool=TOOL, force=False) as new:
            assert stat.S_IMODE(os.stat(tmp_path / "out.tool").st_mode) == 0o700
            assert stat.S_IMODE(os.stat(tmp_path / "out.tool" / LOCK).st_mode) == 0o600
            new[tmp_path / "out"].mkdir()
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(tmp_path / "out").st_mode) == 0o777  # the output itself is as ever


# -- names


NO_NAMES = {"zero byte": "a\0b", "half a character": "\ud800", "too long": "n" * 256, "with the tool's": "n" * 252,
            "long path": "n/" * 3000}  # fmt: skip


@pytest.mark.parametrize("name", NO_NAMES.values(), ids=NO_NAMES)
def test_a_name_that_no_file_can_have_is_one_sentence(tmp_path: Path, name: str) -> None:
    def enter() -> None:
        with files.whole([tmp_path / name], tool=TOOL, force=False):
            raise AssertionError("not reached")

    checks = [enter]
    if len(name) != 252:  # which is a name, but leaves no room for one beside it
        checks += [lambda: files.require_apart([tmp_path / name], []),
                   lambda: files.require_free(tmp_path / name, force=False)]  # fmt: skip
    for check in checks:
        with pytest.raises(OutputError, match="is no name of a file|is too long") as caught:
            check()
        assert len(str(caught.value)) < 1_500 and "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_links_that_go_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    files.require_apart([tmp_path / "a" / "out"], [tmp_path / "b"])
    with pytest.raises(OutputError, match="there is no folder"):
        files.require_free(tmp_path / "a" / "out", force=False)
    with pytest.raises(OutputError, match="is there already"):
        files.require_free(tmp_path / "a", force=False)


def test_inputs_of_impossible_names_are_left_to_those_who_open_them(tmp_path: Path) -> None:
    files.require_apart([tmp_path / "out"], [Path("a\0b")])
