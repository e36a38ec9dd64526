"""What the ``metadata.yaml`` of a bag says: which files there are, and how many messages of which topics.

Of all that stands in it, as recorders of many versions write it, only this is read: quality of service, times and
versions decide nothing here. It opens no other file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from vjepa_ros.recordings.storage import Unreadable, reason

NAME = "metadata.yaml"
MOST_BYTES = 2**20
_DEEPEST = 50
_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast


@dataclass(frozen=True)
class Metadata:
    """What it says.

    Attributes:
        files: their names, in order, without folders: they lie beside it.
        counts: messages by topic, of all files together.
        file_counts: messages by name of the file, where it has them.
        digests: of the types' definitions, by topic, where it has them.
        total: messages of all topics, where it says.
    """

    files: tuple[str, ...]
    counts: Mapping[str, int]
    file_counts: Mapping[str, int] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    total: int | None = None


class _Loader(_BASE):  # type: ignore[misc]
    """Without merge keys, which can make a page of text into anything."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Do not."""


def read(path: Path) -> Metadata:
    """Read it.

    Raises:
        Unreadable: where it says nothing that can be understood.
        OSError: where it cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise Unreadable(f"it is larger than {MOST_BYTES:,} bytes")
    try:
        _require_shallow(data)
        content = yaml.load(data, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError, TypeError) as error:
        raise Unreadable(f"it is not YAML: {' '.join(reason(error).split())}") from error
    bag = content.get("rosbag2_bagfile_information") if isinstance(content, dict) else None
    if not isinstance(bag, dict):
        raise Unreadable("it does not describe a bag")
    counts: Counter[str] = Counter()
    digests: dict[str, str] = {}
    for entry in _dictionaries(bag.get("topics_with_message_count")):
        topic = entry.get("topic_metadata")
        if not isinstance(topic, dict):
            continue
        name = topic.get("name")
        if isinstance(name, str) and isinstance(entry.get("message_count"), int):
            counts[name] += max(0, entry["message_count"])
            digest = topic.get("type_description_hash")
            if isinstance(digest, str) and digest:
                digests[name] = digest
    names = bag.get("relative_file_paths")
    named = [_name(name) for name in names if isinstance(name, str)] if isinstance(names, list) else []
    file_counts = {
        _name(entry["path"]): entry["message_count"]
        for entry in _dictionaries(bag.get("files"))
        if isinstance(entry.get("path"), str) and isinstance(entry.get("message_count"), int)
    }
    total = bag.get("message_count")
    total = total if isinstance(total, int) and not isinstance(total, bool) else None
    return Metadata(tuple(dict.fromkeys(named)), counts, file_counts, digests, total)


def _require_shallow(data: bytes) -> None:
    """Refuse what is nested so deep that building it would be the end of the process.

    Raises:
        Unreadable: for that.
        yaml.YAMLError: for what is not YAML.
    """
    depth = 0
    for event in yaml.parse(data, _BASE):
        depth += isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent))
        depth -= isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent))
        if depth > _DEEPEST:
            raise Unreadable(f"it is nested deeper than {_DEEPEST} times")


def _dictionaries(value: Any) -> list[dict[Any, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _name(path: str) -> str:
    """Its last part."""
    return PurePosixPath(path).name
