"""Stages on disk: what is whole is found again, what is not never looks whole; nobody else's files are touched."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import trainings

from vjepa_ros.errors import OutputError
from vjepa_ros.recordings import content
from vjepa_ros.training import stages
from vjepa_ros.training.stages import Rows, Stage

UNIT = 4096

# Units that tell which they are, written until killed; every fifth is committed.
WRITER = """
import sys
from pathlib import Path
from vjepa_ros.training.stages import Rows, Stage
stage = Stage(Path(sys.argv[1]), "units", "key")
with Rows(stage, "units.bin", 4096, stage.begin()) as rows:
    while True:
        rows.append(bytes([rows.units % 251]) * 4096)
        if rows.units % 5 == 0:
            rows.commit()
            print(rows.units, flush=True)
"""


def units(count: int) -> bytes:
    return b"".join(bytes([number % 251]) * UNIT for number in range(count))


def test_a_stage_is_done_with_its_key_and_all_of_its_files(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "one", "key")
    assert stage.result is None and stage.begin() == 0
    (stage.path / "a").write_bytes(b"abc")
    assert stage.result is None
    stage.finish({"units": 3})
    assert Stage(tmp_path, "one", "key").result == {"units": 3}
    assert Stage(tmp_path, "one", "other").result is None
    (stage.path / "a").write_bytes(b"ab")
    assert stage.result is None, "it was shortened"
    (stage.path / "a").unlink()
    assert stage.result is None
    (stage.path / "left").write_bytes(b"")
    assert stage.begin() == 0 and [file.name for file in stage.path.iterdir()] == [stages.MARKER]


def test_what_was_made_from_something_else_is_begun_anew(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "one", "key")
    stage.begin()
    with Rows(stage, "units.bin", UNIT, 0) as rows:
        rows.append(units(3))
        rows.commit()
    assert Stage(tmp_path, "one", "key").begin() == 3
    assert Stage(tmp_path, "one", "other").begin() == 0
    assert not (stage.path / "units.bin").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"format": 1, "key": "key"}', b'{"format": 2}', b"\xff\0"])
def test_a_marker_that_is_none_counts_for_nothing(tmp_path: Path, content: bytes) -> None:
    stage = Stage(tmp_path, "one", "key")
    stage.begin()
    (stage.path / stages.MARKER).write_bytes(content)
    assert stage.result is None and stage.begin() == 0


def test_units_that_were_not_seen_on_the_disk_are_cut_off(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "one", "key")
    with Rows(stage, "units.bin", UNIT, stage.begin()) as rows:
        rows.append(units(3))
        rows.commit()
        rows.append(units(2))
    path = stage.path / "units.bin"
    with path.open("ab") as file:
        file.write(b"half a unit")
    done = Stage(tmp_path, "one", "key").begin()
    with Rows(stage, "units.bin", UNIT, done) as rows:
        assert rows.units == 3 and path.stat().st_size == 3 * UNIT
    path.write_bytes(units(2))  # by whoever
    with Rows(stage, "units.bin", UNIT, done) as rows:
        assert rows.units == 0 and path.stat().st_size == 0


def test_a_killed_writer_is_gone_on_from_and_comes_to_the_same(tmp_path: Path) -> None:
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        said = [int(writer.stdout.readline()) for _ in range(3)]
        time.sleep(0.01)
        writer.kill()
        assert writer.wait() == -signal.SIGKILL
        writer.stdout.close()
        stage = Stage(tmp_path, "units", "key")
        assert stage.result is None
        done = stage.begin()
        assert done >= said[-1]
        with Rows(stage, "units.bin", UNIT, done) as rows:
            assert rows.units == done
        assert (stage.path / "units.bin").read_bytes() == units(done)


def test_a_full_disk_is_said_with_the_file_and_what_was_committed_stays(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "one", "key")
    with Rows(stage, "units.bin", UNIT, stage.begin()) as rows:
        rows.append(units(2))
        rows.commit()
        with trainings.largest_file(3 * UNIT + 100), pytest.raises(OSError) as caught:
            rows.append(units(4)[2 * UNIT :])
    assert str(caught.value.filename) == str(stage.path / "units.bin")
    assert stage.result is None and stage.begin() == 2
    with Rows(stage, "units.bin", UNIT, 2) as rows:
        rows.append(units(4)[2 * UNIT :])
        rows.commit()
    assert (stage.path / "units.bin").read_bytes() == units(4)


def test_a_marker_that_there_is_no_room_for_leaves_the_old_one(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "one", "key")
    stage.begin()
    stage.mark(7)
    with trainings.largest_file(20), pytest.raises(OSError) as caught:
        stage.mark(8)
    assert str(caught.value.filename) == str(stage.path / stages.MARKER)
    assert stage.begin() == 7 and [file.name for file in stage.path.iterdir()] == [stages.MARKER]


def test_the_folder_is_for_one_run_and_nobody_elses_is_touched(tmp_path: Path) -> None:
    output = tmp_path / "model.safetensors"
    folder = tmp_path / "model.train"
    with stages.entered(folder, output) as entered:
        Stage(entered, "one", "key").begin()
        with pytest.raises(OutputError, match="another vjepa_train is writing it"), stages.entered(folder, output):
            pass
    with stages.entered(folder, output):
        assert (folder / "one" / stages.MARKER).is_file(), "what is in it stays"
    precious = tmp_path / "other.train"
    precious.mkdir()
    (precious / "thesis").write_text("mine")
    with (
        pytest.raises(OutputError, match="other things in it"),
        stages.entered(precious, tmp_path / "other.safetensors"),
    ):
        pass
    assert [file.name for file in precious.iterdir()] == ["thesis"]
    with (
        pytest.raises(OutputError, match="there is no folder"),
        stages.entered(folder, tmp_path / "no" / "m.safetensors"),
    ):
        pass
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "thesis").write_text("mine")
    (folder / "two").symlink_to(elsewhere)
    with pytest.raises(OutputError, match="is no folder"):
        Stage(folder, "two", "key").begin()
    assert (elsewhere / "thesis").read_text() == "mine"


def test_content_hashes_see_names_and_bytes_and_not_the_place(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "deep" / "x").write_bytes(b"1" * 3_000_000)
        (tmp_path / name / "y").write_bytes(b"2")
    read: list[int] = []
    first = content.content_hash(tmp_path / "a", read.append)
    assert sum(read) == 3_000_001
    assert content.content_hash(tmp_path / "b") == first
    (tmp_path / "b" / "y").rename(tmp_path / "b" / "z")
    assert content.content_hash(tmp_path / "b") != first
    (tmp_path / "a" / "y").write_bytes(b"3")
    assert content.content_hash(tmp_path / "a") != first
    with pytest.raises(OSError) as caught:
        content.content_hash(tmp_path / "nowhere")
    assert caught.value.filename == str(tmp_path / "nowhere")
    assert stages.key_of(a=1, b=[2.5]) == stages.key_of(b=[2.5], a=1) != stages.key_of(a=1, b=[2.25])
