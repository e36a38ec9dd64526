"""Recordings with anything wrong with them: one sentence or what is left of them, and never less than announced without
a word.
"""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from support import bags, damage, mcaps
from support.mcaps import Form, Raw

from vjepa_ros.errors import BagError, InputError
from vjepa_ros.recordings.bag import Recording

ROUNDS = int(os.environ.get("VJEPA_ROS_FUZZ", "40"))
"""Of each kind; docs/security.md says how many were tried."""
FOUND = {"mcap, not in chunks": (255, 1598), "sqlite3": (419,), "sqlite3, file compressed": (585,)}
"""Rounds that found something once."""
SHORT = [raw for raw in mcaps.sample() if raw.topic in bags.TOPICS][:100]
MESSAGES = [message for message in bags.sample() if message.topic in bags.TOPICS][:100]
MOST_S = 20.0


def form(**changes: object) -> Callable[[Path], Path]:
    return lambda folder: Form(**{"chunk_messages": 30, **changes}).write(folder / "bag.mcap", SHORT)  # type: ignore[arg-type]


def bag(plugin: str, compression: str, pattern: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        return next(bags.write(folder / "bag", MESSAGES, plugin, compression).glob(pattern))

    return write


def logged(folder: Path) -> Path:
    """A database with a write-ahead log, which is what is damaged."""
    import sqlite3

    file = bag("sqlite3", "", "*.db3")(folder)
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    rows = connection.execute("SELECT * FROM messages").fetchall()
    for row in rows[50:]:
        connection.execute("DELETE FROM messages WHERE id = ?", row[:1])
        connection.execute("INSERT INTO messages VALUES (?, ?, ?, ?)", row)
        connection.commit()
    (to := folder / "wal").mkdir()
    for path in file.parent.glob("*.db3*"):
        shutil.copy(path, to)
    connection.close()
    return to / "bag.db3-wal"


KINDS: dict[str, Callable[[Path], Path]] = {
    "mcap": form(),
    "mcap, zstd": form(compression="zstd"),
    "mcap, lz4": form(compression="lz4"),
    "mcap, not in chunks": form(chunk_messages=0),
    "mcap, no statistics": form(statistics=False),
    "mcap, no summary": form(summary=False),
    "mcap, no index": form(message_index=False, chunk_index=False),
    "mcap in a folder": bag("mcap", "zstd", "*.mcap"),
    "mcap, messages compressed": bag("mcap", "message", "*.mcap"),
    "mcap, file compressed": bag("mcap", "file", "*.zstd"),
    "sqlite3": bag("sqlite3", "", "*.db3"),
    "sqlite3, file compressed": bag("sqlite3", "file", "*.zstd"),
    "sqlite3, its log": logged,
    "metadata.yaml": bag("mcap", "", "metadata.yaml"),
}
WITH_CHECKSUMS = {
    kind for kind in KINDS if kind.startswith("mcap") and "folder" not in kind and "compressed" not in kind
}


def read(path: Path) -> tuple[list[Raw], bool]:
    """The messages, and whether something is said to be missing."""
    with Recording([path]) as recording:
        topics = [topic for topic in bags.TOPICS if topic in recording.topics]
        found = []
        for recorded in recording.messages(topics):
            found.append(Raw(recorded.topic, recorded.kind, recorded.received_ns, recorded.data))
            with suppress(InputError):
                recorded.message()
        assert all("\n" not in note for note in recording.notes)
        return found, bool(recording.incomplete) or topics != list(bags.TOPICS)


@pytest.mark.parametrize("kind", KINDS)
def test_anything_may_be_wrong_with_a_recording(tmp_path: Path, kind: str) -> None:
    file = KINDS[kind](tmp_path)
    whole = file.read_bytes()
    path = file.parent if file.parent != tmp_path else file
    want, is_missing = read(path)
    assert len(want) == 100 and not is_missing
    for number in [*range(ROUNDS), *FOUND.get(kind, ())]:
        rng = random.Random(f"{kind} {number}")
        file.write_bytes(damage.damaged(whole, rng))
        began_s = time.monotonic()
        try:
            found, is_missing = read(path)
        except BagError as error:
            assert "\n" not in str(error), (kind, number)
            continue
        assert time.monotonic() - began_s < MOST_S, (kind, number)
        if kind in ("sqlite3", "sqlite3, its log"):  # whose pages may come to stand in each other
            assert sum(len(raw.data) for raw in found) < sum(p.stat().st_size for p in file.parent.iterdir())
        if not is_missing:
            assert len(found) >= len(want) or kind in ("mcap, no summary",), (kind, number)
        if not is_missing and kind in WITH_CHECKSUMS:
            assert found == want, (kind, number)
