"""Reads a sqlite3 file of rosbag2's: read-only, together with its write-ahead log, and as far as its pages are whole.

It knows rosbag2's two tables, and channels and times, not what messages mean.
"""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

from vjepa_ros.recordings import sqlite_log
from vjepa_ros.recordings.storage import (
    CDR,
    MOST_RECEIVED_NS,
    Channel,
    Flaw,
    Storage,
    Stored,
    Unreadable,
    named,
    reason,
)

MAGIC = b"SQLite format 3\0"
_JOURNAL_MAGIC = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
_COLUMNS = {
    "topics": {"id", "name", "type", "serialization_format"},
    "messages": {"topic_id", "timestamp", "data"},
}
_ROW = "topic_id, timestamp, data"
# Of sqlite3's machine, for one query: a row takes some 25 of them and at least 20 bytes.
_STEPS, _STEPS_PER_BYTE = 10**6, 10
_LEAST_ROW_BYTES = 12
_ERRORS = (sqlite3.Error, UnicodeDecodeError)  # that of a message that quotes what is damaged


class SqliteFile(Storage):
    """A sqlite3 file.

    Args:
        path: the file.
        called: what people know it as, where it is another: one that was decompressed.

    Raises:
        Unreadable: for a file that is no recording, is damaged where it begins, or was left in the middle of a change.
        OSError: where it cannot be opened.
    """

    def __init__(self, path: Path, called: Path | None = None) -> None:
        super().__init__(called or path)
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise Unreadable("it is not a database of sqlite3")
        companions = _companions(self.path)
        self._bytes = sum(file.stat().st_size for file in (path, *companions.values()))
        self._most_steps = _STEPS + _STEPS_PER_BYTE * self._bytes
        self._steps = 0
        self._connection = self._connect(path, companions)
        self._connection.set_progress_handler(self._is_too_much, _STEPS // 10)
        try:
            self._open()
        except _ERRORS as error:
            self.close()
            raise Unreadable(reason(error)) from error
        except BaseException:
            self.close()
            raise

    def _connect(self, path: Path, companions: dict[str, Path]) -> sqlite3.Connection:
        journal, log = companions.get("-journal"), companions.get("-wal")
        if journal is not None and _begins_with(journal, _JOURNAL_MAGIC):
            # To roll back means to write, and to delete a file that the journal names.
            raise Unreadable(
                f"{journal.name} beside it has a change that was never finished: let sqlite3 roll it back, "
                "on a copy of both"
            )
        if log is None and "-shm" in companions:  # which is deleted last, and is never alone where all went well
            alone = companions["-shm"].name
            self.flaw(
                Flaw(
                    f"{alone} lies beside it without the -wal that belongs to it: what that held is missing",
                    whatever=True,
                )
            )
        if log is not None and (log.parent != path.parent or log.name != f"{path.name}-wal"):
            raise Unreadable(f"{log.name} beside it cannot be read together with a compressed file: decompress it")
        # Without locks, and with its index in memory, a log is read where nothing may be written, and leaves no trace.
        how = "immutable=1" if log is None else "vfs=unix-none"
        uri = f"file:{quote(os.fsencode(path.absolute()))}?mode=ro&{how}"
        try:
            connection = sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None)
        except _ERRORS as error:
            raise Unreadable(reason(error)) from error
        connection.text_factory = lambda text: text.decode("utf-8", "replace")
        try:
            connection.execute("PRAGMA trusted_schema = OFF")
            if log is not None:
                connection.execute("PRAGMA locking_mode = EXCLUSIVE")
                connection.execute("PRAGMA page_count").fetchone()  # reads the log, or fails
                self._compare_log(log)
        except _ERRORS as error:
            connection.close()
            raise Unreadable(reason(error)) from error
        return connection

    def _compare_log(self, log: Path) -> None:
        what = sqlite_log.trouble(log)
        if what:
            self.flaw(Flaw(f"{log.name} beside it {what}", whatever=True))
        else:
            self.notes.append(f"is read together with {log.name}")

    def _is_too_much(self) -> bool:
        """Stop what takes more steps than there can be rows: pages of a damaged file may stand in each other."""
        self._steps += _STEPS // 10
        return self._steps > self._most_steps

    def close(self) -> None:
        self._connection.close()

    # -- what there is

    def _open(self) -> None:
        for table, wanted in _COLUMNS.items():
            self._require(table, wanted)
        columns = {row[1] for row in self._all("PRAGMA table_info(topics)")}
        digest = "type_description_hash" if "type_description_hash" in columns else "''"
        definitions = self._definitions()
        self._by_number: dict[int, Channel] = {}
        strange = 0
        for number, topic, kind, encoding, hashed in self._all(
            f"SELECT id, name, type, serialization_format, {digest} FROM topics ORDER BY id"
        ):
            language, text = definitions.get(str(kind), ("", ""))
            channel = named(
                str(topic), str(kind), str(encoding), digest=str(hashed), definition=text, definition_format=language
            )
            if channel is None or type(number) is not int:
                strange += 1
            else:
                self._by_number[number] = channel
        if strange:
            self.notes.append(f"{strange:,} of its topics have names that ROS does not know, and are left out")
        self.channels = list(dict.fromkeys(self._by_number.values()))
        self._count()

    def _all(self, query: str) -> list[Any]:
        self._steps = 0
        return self._connection.execute(query).fetchall()

    def _require(self, table: str, wanted: set[str]) -> None:
        """A table, and no view, virtual table or column that is computed, which could cost anything."""
        query = "SELECT type, sql FROM sqlite_master WHERE name = ?"
        found = self._connection.execute(query, (table,)).fetchone()
        # The last column says whether one is hidden (1) or computed (2, 3).
        columns = {row[1]: row[-1] for row in self._all(f"PRAGMA table_xinfo({table})")}
        if found is None or found[0] != "table" or not str(found[1]).upper().startswith("CREATE TABLE"):
            raise Unreadable(f"it has no table of {table}, so is not a recording")
        if not wanted <= set(columns) or any(columns[name] for name in wanted):
            raise Unreadable(f"its table of {table} is not one of a recording")

    def _definitions(self) -> dict[str, tuple[str, str]]:
        """(language, text) by type, of files that have them."""
        try:
            rows = self._all("SELECT topic_type, encoding, encoded_message_definition FROM message_definitions")
        except _ERRORS:  # older files have no such table
            return {}
        return {str(kind): (str(language), str(text)) for kind, language, text in rows}

    def _count(self) -> None:
        """What the table has by topic, and whether the index of times has as much."""
        is_whole = True
        try:
            rows = self._all("SELECT topic_id, COUNT(*) FROM messages GROUP BY topic_id")
        except _ERRORS as error:
            self.flaw(Flaw(f"its table of messages is damaged: {reason(error)}"))
            rows, is_whole = list(Counter(number for (number,) in self._one_by_one("topic_id")).items()), False
        found: Counter[str] = Counter()
        lost = 0
        for number, count in rows:
            if number in self._by_number:
                found[self._by_number[number].topic] += count
            else:
                lost += count
        self.counts = found
        if is_whole:
            self.announced = found
        if lost:
            self.flaw(Flaw(f"{lost:,} messages belong to no topic that it has", whatever=True, announced=lost, read=0))

    # -- messages

    def messages(self, topics: Collection[str]) -> Iterator[Stored]:
        channels = self._by_number
        wanted = {n for n, c in channels.items() if c.topic in topics and c.encoding == CDR and c.kind}
        strange = 0
        left = self._bytes  # no more can come of a file than is in it, unless its pages stand in each other
        for number, received_ns, data in self._rows(wanted):
            if not (type(data) is bytes and type(received_ns) is int and 0 <= received_ns <= MOST_RECEIVED_NS):
                strange += 1
                continue
            left -= len(data) + _LEAST_ROW_BYTES
            if left < 0:
                self.flaw(Flaw("its pages stand in each other: more would come of it than is in it", whatever=True))
                break
            yield received_ns, channels[number], data
        if strange:
            said = f"{strange:,} messages have no bytes, or a time of recording before or beyond all time"
            self.flaw(Flaw(f"{said}, and are left out", announced=strange, read=0))

    def _rows(self, wanted: Collection[int]) -> Iterator[Any]:
        """(number of the topic, time, bytes) of these topics' messages, in the order of time; each once."""
        numbers = ", ".join(map(str, sorted(wanted)))
        given = self._steps = 0
        try:
            for row in self._connection.execute(
                f"SELECT {_ROW} FROM messages WHERE topic_id IN ({numbers}) ORDER BY timestamp, rowid"
            ):
                given += 1
                yield row
            return
        except _ERRORS as error:
            self.flaw(Flaw(f"its table of messages is damaged: {reason(error)}"))
        # What lies behind a page that is damaged.
        yield from islice((row for row in self._one_by_one(_ROW) if row[0] in wanted), given, None)

    def _one_by_one(self, columns: str) -> Iterator[Any]:
        """The rows that can be read, in the order of time, as the index of times has them."""
        lost, self._steps = 0, 0
        most = self._bytes // _LEAST_ROW_BYTES
        try:
            for (number,) in self._connection.execute(
                f"SELECT rowid FROM messages ORDER BY timestamp, rowid LIMIT {most}"
            ):
                try:
                    query = f"SELECT {columns} FROM messages WHERE rowid = ?"
                    row = self._connection.execute(query, (number,)).fetchone()
                except _ERRORS:
                    lost += 1
                    continue
                if row is not None:
                    yield row
        except _ERRORS as error:
            self.flaw(Flaw(f"its index of times is damaged: {reason(error)}"))
        if lost:
            self.flaw(Flaw(f"{lost:,} messages lie on pages that are damaged", announced=lost, read=0))


def _companions(path: Path) -> dict[str, Path]:
    """The files with something in them that sqlite3 has left beside one, by ending."""
    name = path.with_suffix("") if path.suffix == ".zstd" else path
    beside = {ending: name.with_name(name.name + ending) for ending in ("-wal", "-shm", "-journal")}
    found = {ending: file for ending, file in beside.items() if file.is_file() and file.stat().st_size}
    if beside["-wal"].exists():  # empty, where all of it went into the file
        found.pop("-shm", None)
    return found


def _begins_with(path: Path, magic: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(magic)) == magic
