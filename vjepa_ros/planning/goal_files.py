"""A folder of goal images: sub-goals in the order of their names. Files in, images out; it knows no model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.documents import Unreadable, open_regular
from vjepa_ros.errors import ConfigError, InputError, place
from vjepa_ros.planning.aims import GoalImages

FORMATS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg"}
MOST_GOALS, MOST_IMAGES = 1000, 100  # sub-goals, and images of one
_PARAMETER = "planner.goals"

Prepare = Callable[[Any], NDArray[np.float32]]
"""What makes (3, H, W) of an object with the fields of a CompressedImage; raises InputError."""


def read_goals(folder: str, prepare: Prepare, most_bytes: int) -> tuple[GoalImages, ...]:
    """The sub-goals of a folder.

    Args:
        folder: with PNG and JPEG files, and folders of such for goals of several images; whatever else lies there, and
            names that begin with a dot, is left alone.
        prepare: decodes and preprocesses.
        most_bytes: of a file.

    Raises:
        ConfigError: naming the file that is wrong.
    """
    root = Path(folder).expanduser()
    entries = [entry for entry in _listed(root) if _is_image(entry) or entry.is_dir()]
    if not 1 <= len(entries) <= MOST_GOALS:
        raise ConfigError(_PARAMETER, f"{place(root)} has {len(entries)} goals (PNG and JPEG files, or folders of them)"
                          f" where 1 to {MOST_GOALS} are needed")  # fmt: skip
    goals = []
    for entry in entries:
        files = [file for file in _listed(entry) if _is_image(file)] if entry.is_dir() else [entry]
        if not 1 <= len(files) <= MOST_IMAGES:
            raise ConfigError(
                _PARAMETER, f"{place(entry)} has {len(files)} PNG and JPEG files where 1 to {MOST_IMAGES} are needed"
            )
        goals.append(GoalImages(entry.name, tuple(_read(file, prepare, most_bytes) for file in files)))
    return tuple(goals)


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(_PARAMETER, f"{place(folder)} cannot be read as a folder ({reason})") from error


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in FORMATS


def _read(file: Path, prepare: Prepare, most_bytes: int) -> NDArray[np.float32]:
    try:
        with open_regular(file) as opened:
            data = opened.read(most_bytes + 1)  # one too many is refused by who decodes it
        return prepare(SimpleNamespace(format=FORMATS[file.suffix.lower()], data=data))
    except (Unreadable, InputError, OSError) as error:
        raise ConfigError(_PARAMETER, f"{place(file)}: {error}") from error
