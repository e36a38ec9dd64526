"""sqlite3 files of rosbag2's for tests: the beginning of the sample bag, changed with sqlite3, and read again."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from support import bags
from vjepa_ros.recordings.bag import Recording
from vjepa_ros.recordings.missing import Missing

SHORT = [message for message in bags.sample() if message.topic in bags.TOPICS][:600]
WANTED = [(m.topic, m.received_ns) for m in SHORT]
"""What comes out of a whole file."""


def written(folder: Path) -> Path:
    """A file of these messages."""
    (file,) = bags.write(folder / "written", SHORT, "sqlite3").glob("*.db3")
    return file.rename(folder / "run_0.db3")


def read(path: Path) -> tuple[list[tuple[str, int]], list[Missing], list[str]]:
    """What came out, what is missing, what was noted; nothing beside it is changed or left."""
    before = {p.name: p.read_bytes() for p in path.parent.iterdir() if p.is_file()}
    with Recording([path]) as recording:
        found = [(m.topic, m.received_ns) for m in recording.messages(bags.TOPICS)]
        assert {p.name: p.read_bytes() for p in path.parent.iterdir() if p.is_file()} == before
        return found, recording.incomplete, recording.notes


def execute(file: Path, *statements: str) -> None:
    """Change a file."""
    connection = sqlite3.connect(file)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
