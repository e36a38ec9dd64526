"""sqlite3 files: used as far as their pages are whole, refused where they are no recordings, never written to."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from support import bags, mcaps
from support.sqlites import WANTED, execute, read

from vjepa_ros.errors import BagError
from vjepa_ros.recordings.bag import Recording


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
