"""What sqlite3 has left beside a file, its write-ahead log above all: read together with it, or refused, and said."""

from __future__ import annotations

import re
import shutil
import sqlite3
from pathlib import Path

import pytest
from support.sqlites import WANTED, read

from vjepa_ros.errors import BagError
from vjepa_ros.recordings.bag import Recording


def write_ahead(file: Path, folder: Path, checkpoint: bool = False) -> Path:
    """A copy as a recorder that was killed leaves it: half of the messages in the -wal file."""
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    rows = connection.execute("SELECT * FROM messages ORDER BY timestamp").fetchall()
    half = rows[len(rows) // 2 :]
    connection.execute("DELETE FROM messages WHERE timestamp >= ?", (half[0][2],))
    connection.commit()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for start in range(0, len(half), 20):
        connection.executemany("INSERT INTO messages VALUES (?, ?, ?, ?)", half[start : start + 20])
        connection.commit()
    if checkpoint:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    folder.mkdir()
    for path in file.parent.glob(f"{file.name}*"):
        shutil.copy(path, folder)
    connection.close()
    return folder / file.name


@pytest.mark.parametrize(
    "name", ["run_0.db3", "50 % done?#1 &mode=rw.db3", "für äpfel.db3", "a b'c;d.db3", "%00%2e.db3"]
)
@pytest.mark.parametrize("shared", [True, False])
def test_a_write_ahead_log_is_read_too(tmp_path: Path, file: Path, name: str, shared: bool) -> None:
    wal = write_ahead(file.rename(tmp_path / name), tmp_path / "of # ? % robot")
    if not shared:
        wal.with_name(f"{wal.name}-shm").unlink()
    found, missing, notes = read(wal)
    assert (found, missing) == (WANTED, [])
    assert notes == [f"{wal}: is read together with {name}-wal"]


def test_it_is_read_where_nothing_may_be_written(tmp_path: Path, file: Path) -> None:
    wal = write_ahead(file, tmp_path / "bag")
    for path in wal.parent.iterdir():
        path.chmod(0o444)
    wal.parent.chmod(0o555)
    try:
        assert read(wal)[0] == WANTED
    finally:
        wal.parent.chmod(0o755)


@pytest.mark.parametrize("where", [0.01, 0.3, 0.6, 0.95])
def test_a_damaged_write_ahead_log_is_said(tmp_path: Path, file: Path, where: float) -> None:
    wal = write_ahead(file, tmp_path / "bag")
    log = wal.with_name(f"{wal.name}-wal")
    data = bytearray(log.read_bytes())
    data[int(len(data) * where)] ^= 0x10
    log.write_bytes(data)
    found, missing, _ = read(wal)
    assert found == WANTED[: len(found)] and 300 <= len(found) < 600
    assert any(re.match(r"run_0\.db3-wal beside it (is damaged|ends) behind its frame [\d,]+", m.what) for m in missing)


def test_a_write_ahead_log_that_was_cut_or_is_none_is_said(tmp_path: Path, file: Path) -> None:
    wal = write_ahead(file, tmp_path / "bag")
    log = wal.with_name(f"{wal.name}-wal")
    whole = log.read_bytes()
    for content, what in (
        (whole[:-100], "ends behind its frame "),
        (whole[: len(whole) // 2], "ends behind its frame "),
        (whole[:20], "is cut off: what it held is missing"),
        (b"no log" * 1000, "is damaged: what it held is missing"),
    ):
        log.write_bytes(content)
        found, missing, _ = read(wal)
        assert found == WANTED[: len(found)] and 300 <= len(found) < 600
        assert missing[0].what.startswith(f"run_0.db3-wal beside it {what}")


def test_an_index_without_its_log_says_that_something_is_missing(tmp_path: Path, file: Path) -> None:
    wal = write_ahead(file, tmp_path / "bag")
    wal.with_name(f"{wal.name}-wal").unlink()
    found, missing, _ = read(wal)
    assert found == WANTED[:300]
    assert [m.what for m in missing] == [
        "run_0.db3-shm lies beside it without the -wal that belongs to it: what that held is missing"
    ]


def test_a_log_that_went_into_the_file_is_no_loss(tmp_path: Path, file: Path) -> None:
    wal = write_ahead(file, tmp_path / "bag", checkpoint=True)
    assert wal.with_name(f"{wal.name}-wal").stat().st_size == 0
    assert read(wal) == (WANTED, [], [])


def test_a_change_that_was_never_finished_is_refused_by_name(tmp_path: Path, file: Path) -> None:
    (folder := tmp_path / "bag").mkdir()
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("BEGIN")
    connection.execute("UPDATE messages SET timestamp = timestamp + 1")
    for path in file.parent.glob("run_0.db3*"):
        shutil.copy(path, folder)
    connection.execute("ROLLBACK")
    connection.close()
    assert (folder / "run_0.db3-journal").stat().st_size > 0
    with pytest.raises(
        BagError, match=r"run_0\.db3: cannot be read: run_0\.db3-journal beside it has a change that was "
    ):
        Recording([folder / "run_0.db3"])
    (folder / "run_0.db3-journal").write_bytes(bytes(512))  # as it is left where it is kept for the next time
    shutil.copy(file, folder)
    assert read(folder / "run_0.db3") == (WANTED, [], [])
