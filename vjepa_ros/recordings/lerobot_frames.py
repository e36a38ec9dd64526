"""The frames of one camera of a LeRobotDataset, row by row, over all its videos; and what of them is missing.

It knows where episodes lie in videos, and leaves decoding to :mod:`~vjepa_ros.recordings.lerobot_video`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.recordings.lerobot_episodes import FOLDER, Episodes, Part
from vjepa_ros.recordings.lerobot_video import Video
from vjepa_ros.recordings.storage import Flaw, Unreadable

_MOST_BACK = 100  # times that a video is begun anew, because episodes lie in it in disorder


class Frames:
    """The frames of a camera, video after video.

    Args:
        folder: the dataset's.
        episodes: which parts of which videos are whose.
        camera: the feature.
        fps: rows per second.
        flaw: is told what is wrong.
        stack: closes the videos.
    """

    def __init__(
        self, folder: Path, episodes: Episodes, camera: str, fps: float, flaw: Callable[[Flaw], None], stack: ExitStack
    ) -> None:
        self._folder = folder
        self._episodes = episodes
        self._camera = camera
        self._period_s = 1 / fps
        self._tell = flaw
        self._path = ""
        self._video: Video | None = None
        self._part: tuple[int, Part | None] = (-1, None)
        self._back = self._nowhere = 0
        self._missing: Counter[str] = Counter()
        stack.callback(self._close)

    def at(self, place: int, index: int) -> NDArray[np.uint8] | None:
        """The frame of a row of the episode at a place; None where it cannot be had, which is counted."""
        if self._part[0] != place:
            self._part = (place, self._episodes.part(place, self._camera))
        part = self._part[1]
        if part is None:
            self._nowhere += 1
            return None
        time_s = part.from_s + index * self._period_s
        if part.path != self._path or (self._video is not None and time_s < self._video.asked_s):
            self._open(part.path)
        found = None
        if self._video is not None:
            found = self._video.frame(time_s, self._period_s / 2, part.from_s, part.to_s)
        if found is None:
            self._missing[part.path] += 1
        return found

    def _open(self, path: str) -> None:
        if path == self._path:
            self._back += 1
            if self._back > _MOST_BACK:
                return
        self._close()
        self._path = path
        try:
            self._video = Video(self._folder / path)
        except Unreadable as error:
            self._flaw(f"{path}: {error}")

    def _close(self) -> None:
        if self._video is None:
            return
        if self._video.damaged:
            self._flaw(f"{self._path}: {self._video.damaged:,} of its packets or frames are damaged")
        if self._video.repeats:
            self._flaw(f"{self._path}: its pieces stand in each other: more would come of it than is in it")
        self._video.close()
        self._video = None

    def tell(self) -> None:
        """Say what was missing, behind the last row."""
        self._close()
        for path, count in self._missing.items():
            self._flaw(f"{path}: {count:,} frames that {FOLDER} places in it are not there", count)
        if self._nowhere:
            said = f"{self._camera}: {self._nowhere:,} frames have no place in a video in {FOLDER}"
            self._flaw(said, self._nowhere)
        if self._back > _MOST_BACK:
            self._flaw(f"{self._camera}: episodes lie in its videos in disorder, and not all of them are read")

    def _flaw(self, what: str, missing: int | None = None) -> None:
        read = None if missing is None else 0
        self._tell(Flaw(what, frozenset([self._camera]), missing, read))
