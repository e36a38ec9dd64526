"""sqlite3 files: read together with their companions or refused, used as far as their pages are whole, never written
to.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from support import bags, mcaps

from vjepa_ros.errors import BagError
from vjepa_ros.recordings.bag import Recording
from vjepa_ros.recordings.missing import Missing

SHORT = [message for message in bags.sample() if message.topic in bags.TOPICS][:600]
WANTED = [(m.topic, m.received_ns) for m in SHORT]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (written,) = bags.write(tmp_path / "written", SHORT, "sqlite3").glob("*.db3")
    return written.rename(tmp_path / "run_0.db3")


def read(path: Path) -> tuple[list[tuple[str, int]], list[Missing], list[str]]:
    """What came out, what is missing, what was noted; nothing beside it is changed or left."""
    before = {p.name: p.read_bytes() for p in path.parent.iterdir() if p.is_file()}
    with Recording([path]) as recording:
        found = [(m.topic, m.received_ns) for m in recording.messages(bags.TOPICS)]
        assert {p.name: p.read_bytes() for p in path.parent.iterdir() if p.is_file()} == before
        return found, recording.incomplete, recording.notes


def execute(file: Path, *statements: str) -> None:
    connection = sqlite3.connect(file)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


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


def test_of_a_damaged_page_what_is_before_and_after_is_used(file: Path) -> None:
    data = bytearray(file.read_bytes())
    page_bytes = int.from_bytes(data[16:18], "big")
    connection = sqlite3.connect(file)
    (first, last) = connection.execute("SELECT min(id), max(id) FROM messages").fetchone()
    (middle,) = connection.execute("SELECT data FROM messages WHERE id = ?", ((first + last) // 2,)).fetchone()
    connection.close()
    page = data.index(middle[:200]) // page_bytes
    data[page * page_bytes : page * page_bytes + 100] = b"\xff" * 100
    file.write_bytes(data)
    found, missing, notes = read(file)
    assert found == [message for message in WANTED if message in found] and 560 < len(found) < 600
    assert found[0] == WANTED[0] and found[-1] == WANTED[-1]
    assert any(m.announced == 600 - len(found) and "pages that are damaged" in m.what for m in missing)
    assert any("its table of messages is damaged: database disk image is malformed" in note for note in notes)


def test_an_index_of_times_that_lost_messages_is_said(file: Path) -> None:
    connection = sqlite3.connect(file)
    (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'timestamp_idx'").fetchone()
    connection.execute("PRAGMA writable_schema = ON")
    execute(file, "CREATE TABLE empty (a INTEGER)", "CREATE INDEX other ON empty (a)")
    (other,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'other'").fetchone()
    connection.execute("UPDATE sqlite_master SET rootpage = ? WHERE name = 'timestamp_idx'", (other,))
    connection.execute("UPDATE sqlite_master SET rootpage = ? WHERE name = 'other'", (root,))
    connection.commit()
    connection.close()
    found, missing, _ = read(file)
    assert len(found) < 600
    assert {m.topic: m.announced for m in missing if m.topic} == {
        topic: sum(t == topic for t, _ in WANTED) for topic in bags.TOPICS
    }


@pytest.mark.parametrize(
    ("statements", "why"),
    [
        (["DROP TABLE messages"], "it has no table of messages"),
        (["DROP TABLE topics"], "it has no table of topics"),
        (["ALTER TABLE topics RENAME TO t", "CREATE VIEW topics AS SELECT * FROM t"], "it has no table of topics"),
        (
            [
                "ALTER TABLE messages RENAME TO m",
                "CREATE VIEW messages AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) "
                "SELECT x AS id, 1 AS topic_id, x AS timestamp, zeroblob(9) AS data FROM c",
            ],
            "it has no table of messages",
        ),
        (
            [
                "DROP TABLE messages",
                "CREATE TABLE messages (id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER, "
                "data BLOB AS (zeroblob(900000000)))",
                "INSERT INTO messages (topic_id, timestamp) VALUES (1, 1)",
            ],
            "its table of messages is not one of a recording",
        ),
        (["ALTER TABLE messages RENAME COLUMN data TO bytes"], "its table of messages is not one of a recording"),
    ],
)
def test_what_is_no_recording_is_refused(file: Path, statements: list[str], why: str) -> None:
    execute(file, *statements)
    with pytest.raises(BagError, match=f"{file.name}: cannot be read: {why}"):
        Recording([file])


def test_rows_that_are_no_messages_are_left_out_and_said(file: Path) -> None:
    changes = ["timestamp = -5", "timestamp = 'noon'", "timestamp = 1.5", "data = NULL", "data = 'text'", "data = 7"]
    execute(file, "CREATE TABLE m AS SELECT * FROM messages", "DROP TABLE messages", "ALTER TABLE m RENAME TO messages")
    execute(file, *[f"UPDATE messages SET {change} WHERE id = {10 * n}" for n, change in enumerate(changes, start=1)])
    found, missing, _ = read(file)
    assert sorted(found) == sorted(pair for i, pair in enumerate(WANTED, start=1) if i not in range(10, 61, 10))
    (said,) = [m for m in missing if m.topic is None]
    assert (said.announced, said.read) == (6, 0) and "no bytes, or a time of recording before or beyond" in said.what


def test_messages_of_no_topic_are_said_and_strange_topics_left_out(file: Path) -> None:
    execute(file, "CREATE TABLE t AS SELECT * FROM topics WHERE name NOT LIKE '%commands'", "DROP TABLE topics",
            "ALTER TABLE t RENAME TO topics",
            "INSERT INTO topics SELECT '1) UNION SELECT 1, 2, 3 --', '/sql', type, 'cdr', '', '' FROM topics LIMIT 1"
            )  # fmt: skip
    with Recording([file]) as recording:
        assert len(list(recording.messages([bags.TOPICS[0]]))) == sum(t == bags.TOPICS[0] for t, _ in WANTED)
        (said,) = recording.incomplete
        lost = sum(t.endswith("commands") for t, _ in WANTED)
        assert said.what == f"{said.announced:,} messages belong to no topic that it has" and said.announced == lost


def test_pages_that_stand_in_each_other_come_to_an_end(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tree of pages whose branches all lead to the same leaf has more rows than atoms; damaged files do that too."""
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA page_size = 512")
    connection.execute("DELETE FROM message_definitions")
    connection.execute("UPDATE messages SET data = x'00'")
    connection.executemany("INSERT INTO messages VALUES (?, 1, ?, x'00')", [(i, i) for i in range(10**4, 10**5)])
    connection.commit()
    connection.execute("VACUUM")
    (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'messages'").fetchone()
    connection.close()
    data = bytearray(file.read_bytes())

    def cells(page: int) -> list[int]:
        start = (page - 1) * 512
        count = int.from_bytes(data[start + 3 : start + 5], "big")
        at = [int.from_bytes(data[start + 12 + 2 * i : start + 14 + 2 * i], "big") for i in range(count)]
        return [start + offset for offset in at]

    level = [root]
    while data[(level[0] - 1) * 512] == 5:  # inner pages: all their branches become the first
        below = []
        for page in level:
            first = int.from_bytes(data[cells(page)[0] : cells(page)[0] + 4], "big")
            for cell in [*cells(page), (page - 1) * 512 + 8]:
                data[cell : cell + 4] = first.to_bytes(4, "big")
            below.append(first)
        level = below
    file.write_bytes(data)
    try:
        read(file)
    except BagError as error:
        assert "\n" not in str(error)


def test_other_serialisations_are_ignored_unless_they_are_asked_for(file: Path) -> None:
    execute(file, "UPDATE topics SET serialization_format = 'cbor' WHERE name LIKE '%states'")
    with Recording([file]) as recording:
        assert recording.unusable == {bags.TOPICS[2]: "is recorded as 'cbor', not as cdr, which is all that ROS 2 has"}
        assert len(list(recording.messages(bags.TOPICS[:2]))) == sum(t in bags.TOPICS[:2] for t, _ in WANTED)
        assert recording.incomplete == []


def test_text_that_is_none_and_quality_of_service_of_any_kind_decide_nothing(file: Path) -> None:
    for qos in ("''", "x'ff00fe'", "'- history: 99\n  depth: many'", "'[{'", "7"):
        execute(file, f"UPDATE topics SET offered_qos_profiles = {qos}")
        assert read(file) == (WANTED, [], [])


FOREIGN: list[Callable[[str], str]] = [
    lambda text: text.replace("offered_qos_profiles: []", "offered_qos_profiles: [{history: keep_last, depth: -1}]"),
    lambda text: text.replace("offered_qos_profiles: []", "offered_qos_profiles: ''"),
    lambda text: text.replace("offered_qos_profiles: []", "offered_qos_profiles: '- history: 3\n\n  depth: 2'"),
    lambda text: text.replace("offered_qos_profiles: []", "offered_qos_profiles: 12"),
    lambda text: re.sub(r" *offered_qos_profiles: \[\]\n", "", text),
    lambda text: text.replace("version: 9", "version: 10").replace("identifier: mcap", "identifier: other"),
    lambda text: text.replace("version: 9", "version: 4").replace("custom_data: null", "custom_data: {a: b}"),
    lambda text: re.sub(r"nanoseconds(\w*): \d+", r"nanoseconds\1: -99999999999999999999999", text),
    lambda text: text.replace("serialization_format: cdr", "serialization_format: other"),
    lambda text: re.sub(r"type: \w.*", "type: other/msg/Type", text),
    lambda text: re.sub(r"- (panda_pick.mcap)", r"- some/folder/\1\n  - \1", text),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(FOREIGN)))
def test_what_metadata_says_beside_files_and_counts_decides_nothing(tmp_path: Path, number: int) -> None:
    from support.recorded import BAG

    shutil.copytree(BAG, tmp_path / "bag")
    metadata = tmp_path / "bag" / "metadata.yaml"
    text = metadata.read_text()
    metadata.write_text(FOREIGN[number](text))
    assert metadata.read_text() != text
    found, missing, notes = read(tmp_path / "bag")
    assert len(found) == sum(raw.topic in bags.TOPICS for raw in mcaps.sample())
    assert (missing, notes) == ([], [])


def test_links_and_folders_with_the_name_of_a_file_are_no_trouble(tmp_path: Path, file: Path) -> None:
    (bag := tmp_path / "bag").mkdir()
    os.symlink(file, bag / "run_0.db3")
    (bag / "other.mcap").mkdir()
    os.symlink(tmp_path / "nowhere", bag / "gone.db3")
    assert read(bag)[0] == WANTED
