"""The sample as an mcap, and what is read of one."""

from __future__ import annotations

from pathlib import Path

from support import bags, mcaps
from support.mcaps import Raw
from vjepa_ros.recordings.bag import Recording
from vjepa_ros.recordings.missing import Missing

SAMPLE = mcaps.sample()

SHORT = SAMPLE[:600]

WANTED = [raw for raw in SHORT if raw.topic in bags.TOPICS]

Found = tuple[str, int, bytes]


def key(raw: Raw) -> Found:
    return raw.topic, raw.received_ns, raw.data


def read(path: Path, topics: tuple[str, ...] = bags.TOPICS) -> tuple[list[Found], list[Missing], list[str]]:
    """What came out, what is missing, what was noted; and it comes out twice alike."""
    with Recording([path]) as recording:
        found = [(m.topic, m.received_ns, m.data) for m in recording.messages(topics)]
        missing, notes = list(recording.incomplete), list(recording.notes)
        assert [(m.topic, m.received_ns, m.data) for m in recording.messages(topics)] == found
        assert (recording.incomplete, recording.notes) == (missing, notes)
    return found, missing, notes
