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
MOST_IMAGES = 200  # in all: each is kept as numbers, 786 kB at 256 x 256 px
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
    goals: list[tuple[str, list[Path]]] = []
    for entry in _listed(root):
        if entry.is_dir():
            goals.append((entry.name, [file for file in _listed(entry) if _is_image(file)]))
            if not goals[-1][1]:
                raise ConfigError(_PARAMETER, f"{place(entry)} has no PNG or JPEG file")
        elif _is_image(entry):
            goals.append((entry.name, [entry]))
    count = sum(len(files) for _, files in goals)
    if not 1 <= count <= MOST_IMAGES:
        raise ConfigError(
            _PARAMETER,
            f"{place(root)} has {count} goal images (PNG and JPEG files) where 1 to {MOST_IMAGES} are needed",
        )
    return tuple(GoalImages(name, tuple(_read(file, prepare, most_bytes) for file in files)) for name, files in goals)


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
