"""What the ``meta/info.json`` of a LeRobotDataset says: layout, rate, where its files lie, and what its features are.

Of the dataset's features some are rows of numbers with names, which are read as joints; some are cameras; whatever else
there is (texts, depth, blocks of numbers) is named with the reason why it is not read. It opens no other file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from vjepa_ros import documents
from vjepa_ros.errors import brief, quoted
from vjepa_ros.recordings.storage import Unreadable, named

NAME, VERSION = "meta/info.json", "v3.0"
COUNTED = frozenset({"timestamp", "frame_index", "episode_index", "index", "task_index"})
"""Columns that every dataset has, and that count its rows."""
MOST_NAMES = 1000  # of a row of numbers; the default of messages.max_joints
MOST_NAME_CHARACTERS = 256

_LAYOUT = re.compile(r"v?(\d{1,4})\.(\d{1,4})(\.\d{1,4})?", re.ASCII)
_FIELD = re.compile(r"\{(chunk_index|file_index|video_key)(?::0(\d)d)?\}")
_SLOWEST_HZ, _FASTEST_HZ = 1e-3, 1e4
_NUMBERS = re.compile(r"(float|u?int)(16|32|64|8)")


@dataclass(frozen=True)
class Info:
    """What it says.

    Attributes:
        fps: rows per second.
        episodes, frames: how many it announces; None where it does not.
        rows: names of the numbers, by feature, for those that are rows of them.
        made_up: features of ``rows`` whose numbers have no names, and so are called ``dim_0``, ``dim_1``, ...
        cameras: whether the frames are in videos, rather than in the tables, by feature.
        unusable: why a feature is not read, by name, as the rest of a sentence that begins with it.
        strange: how many features have names that no topic can have.
    """

    fps: float
    episodes: int | None
    frames: int | None
    rows: Mapping[str, tuple[str, ...]]
    cameras: Mapping[str, bool]
    unusable: Mapping[str, str]
    strange: int = 0
    made_up: tuple[str, ...] = ()
    _templates: Mapping[str, str | None] = field(default_factory=dict)

    def table(self, chunk: int, file: int) -> str:
        """Where a table of rows lies, relative to the dataset's folder.

        Raises:
            Unreadable: for a place outside of it.
        """
        return _filled("data_path", self._templates["data_path"], chunk, file)

    def video(self, camera: str, chunk: int, file: int) -> str:
        """Where a video lies, relative to the dataset's folder.

        Raises:
            Unreadable: for a place outside of it.
        """
        return _filled("video_path", self._templates["video_path"], chunk, file, camera)


def read(folder: Path) -> Info:
    """Read it.

    Raises:
        Unreadable: where it is another layout, or says nothing that can be understood.
    """
    try:
        content = documents.from_json(documents.read_text(folder / NAME))
    except documents.Unreadable as error:
        raise Unreadable(f"its {NAME} {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("features"), dict):
        raise Unreadable(f"its {NAME} does not describe a dataset")
    _require_layout(content.get("codebase_version"))
    rows: dict[str, tuple[str, ...]] = {}
    cameras: dict[str, bool] = {}
    unusable: dict[str, str] = {}
    made_up, strange = [], 0
    for key, feature in content["features"].items():
        if key in COUNTED:
            continue
        if named(key, "", "") is None:
            strange += 1
            continue
        kind, shape = (feature.get("dtype"), feature.get("shape")) if isinstance(feature, dict) else (None, None)
        if kind in ("video", "image"):
            if _is_depth(feature):
                unusable[key] = "holds depth, not colours"
            elif "/" in key:
                unusable[key] = "has a slash in its name"
            else:
                cameras[key] = kind == "video"
        elif isinstance(kind, str) and _NUMBERS.fullmatch(kind) and (width := _width(shape)):
            names = _names(feature.get("names"), width)
            if isinstance(names, str):
                unusable[key] = names
                continue
            rows[key] = names
            if feature.get("names") is None:
                made_up.append(key)
        else:
            unusable[key] = f"is {brief(kind, 40)} of shape {brief(shape, 60)}, neither a camera nor a row of numbers"
    templates = {name: content.get(name) for name in ("data_path", "video_path")}
    info = Info(
        _rate(content.get("fps")), _count(content, "total_episodes"), _count(content, "total_frames"),
        rows, cameras, unusable, strange, tuple(made_up), templates,
    )  # fmt: skip
    info.table(0, 0)
    for camera in (key for key, is_video in cameras.items() if is_video):
        info.video(camera, 0, 0)
    return info


def _require_layout(version: Any) -> None:
    found = _LAYOUT.fullmatch(version) if isinstance(version, str) else None
    if found is None:
        raise Unreadable(f"its {NAME} has codebase_version {brief(version, 40)}, and {VERSION} is what is read")
    if int(found[1]) < 3:
        raise Unreadable(
            f"its layout is {version}, and {VERSION} is what is read: convert it with convert_dataset_v21_to_v30, "
            "which lerobot brings, and give what that writes"
        )
    if int(found[1]) > 3:
        raise Unreadable(f"its layout is {version}, and {VERSION} is what is read")


def _rate(fps: Any) -> float:
    if isinstance(fps, (int, float)) and not isinstance(fps, bool) and _SLOWEST_HZ <= fps <= _FASTEST_HZ:
        return fps
    raise Unreadable(f"its {NAME} has fps {brief(fps, 40)}, no rate from {_SLOWEST_HZ:g} to {_FASTEST_HZ:g} Hz")


def _count(content: Mapping[str, Any], name: str) -> int | None:
    value = content.get(name)
    return value if type(value) is int and 0 <= value < 2**53 else None


def _width(shape: Any) -> int:
    """How many numbers a row has; 0 for what is no row of numbers."""
    is_row = isinstance(shape, list) and len(shape) == 1 and type(shape[0]) is int and shape[0] > 0
    return int(shape[0]) if is_row else 0


def _is_depth(feature: Mapping[str, Any]) -> bool:
    details = [found for name in ("info", "video_info") if isinstance(found := feature.get(name), dict)]
    return any(found.get(name) for found in details for name in ("is_depth_map", "video.is_depth_map"))


def _names(given: Any, count: int) -> tuple[str, ...] | str:
    """The names of a row's numbers; or why it has none that can be used.

    They are a list, a list under a heading of any name (``motors``, ``axes``), or places by name.
    """
    if count > MOST_NAMES:
        return f"has {count:,} numbers a row, more than {MOST_NAMES:,}"
    if given is None:
        return tuple(f"dim_{index}" for index in range(count))
    names = given
    if isinstance(given, dict):
        places = list(given.values())
        if all(type(place) is int for place in places) and sorted(places) == list(range(count)):
            names = sorted(given, key=lambda name: int(given[name]))
        elif len(places) == 1:
            (names,) = places
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return f"has names in {NAME} that are no list of texts: {brief(given, 80)}"
    if len(names) != count:
        return f"has {len(names):,} names in {NAME} for {count:,} numbers"
    if not all(0 < len(name) <= MOST_NAME_CHARACTERS and name.isprintable() for name in names):
        return f"has names in {NAME} that are empty, too long or cannot be printed"
    twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if twice is not None:
        return f"has the name {quoted(twice)} twice in {NAME}: give each of its numbers a name of its own there"
    return tuple(names)


def _filled(what: str, template: str | None, chunk: int, file: int, camera: str = "") -> str:
    """A template with its fields filled in: nothing else of Python's formats, which a stranger could make costly."""
    if not isinstance(template, str) or len(template) > MOST_NAME_CHARACTERS:
        raise Unreadable(f"its {NAME} has no {what} that can be used: {brief(template, 80)}")
    values = {"chunk_index": str(chunk), "file_index": str(file), "video_key": camera}
    filled = _FIELD.sub(lambda found: values[found[1]].zfill(int(found[2] or 0)), template)
    if "{" in _FIELD.sub("", template) or "}" in _FIELD.sub("", template):
        raise Unreadable(f"its {NAME} has a {what} with other fields than are known: {quoted(template)}")
    path = PurePosixPath(filled)
    if not filled.isprintable():
        raise Unreadable(f"its {NAME} has a {what} that cannot be printed: {quoted(filled)}")
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise Unreadable(f"its {NAME} has a {what} that leaves the dataset's folder: {quoted(filled)}")
    return str(path)


def grid_ns(frame: int, fps: float) -> int:
    """How long after an episode's start a row is, in ns: the rate decides, not the rounded times in the table."""
    return round(frame * 10**9 / fps)


def seconds(frames: int, fps: float) -> int:
    """How long so many rows last, in whole seconds rounded up."""
    return math.ceil(frames / fps)
