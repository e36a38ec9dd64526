"""Frames out of videos: those of a time, in whichever way the episodes came to lie in one file, and no others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support import lerobot

from vjepa_ros.recordings.lerobot_video import Video

LENGTHS = (11, 7, 13)
# Every frame is one grey, 12 from the one before: no codec takes one for another.
PARTS = [
    np.repeat(np.arange(n, dtype=np.uint8) * 12 + k * 4, 96 * 128 * 3).reshape(n, 96, 128, 3)
    for k, n in enumerate(LENGTHS)
]


def greys(video: Video, spans: list[tuple[float, float]], fps: float) -> list[list[int | None]]:
    """The grey of each frame of each part; None where there is none."""
    found = []
    for (from_s, to_s), length in zip(spans, LENGTHS, strict=True):
        frames = [video.frame(from_s + k / fps, 0.5 / fps, from_s, to_s) for k in range(length)]
        found.append([None if frame is None else round(float(frame.mean())) for frame in frames])
    return found


@pytest.mark.parametrize("fps", [30, 7])
@pytest.mark.parametrize(
    "codec",
    [
        ("libx264", "yuv420p", {"g": "2", "crf": "1"}),
        ("libx264", "yuv420p", {"bf": "3", "crf": "1"}),
        ("libx265", "yuv420p", {"crf": "1", "x265-params": "log-level=none"}),
    ],
)  # fmt: skip
def test_episodes_that_were_joined_without_encoding_them_again(
    tmp_path: Path, codec: tuple[str, str, dict[str, str]], fps: float
) -> None:
    """As lerobot does. Frames hang on later ones, and durations are rounded to the file's own units."""
    files = [tmp_path / f"part_{number}.mp4" for number in range(len(PARTS))]
    for file, part in zip(files, PARTS, strict=True):
        lerobot.encode(file, [part], fps, codec)
    spans = lerobot.join(tmp_path / "joined.mp4", files)
    video = Video(tmp_path / "joined.mp4")
    for got, part in zip(greys(video, spans, fps), PARTS, strict=True):
        assert None not in got
        assert np.abs(np.array(got) - part[:, 0, 0, 0]).max() <= 5
    assert video.damaged == 0
    video.close()


def test_a_frame_is_the_nearest_one_within_half_a_period_and_within_its_episode(tmp_path: Path) -> None:
    lerobot.encode(tmp_path / "video.mp4", [PARTS[0]], 10)
    video = Video(tmp_path / "video.mp4")

    def grey(time_s: float, within_s: float, from_s: float, to_s: float) -> int | None:
        frame = video.frame(time_s, within_s, from_s, to_s)
        return None if frame is None else int(frame[0, 0, 0])

    assert grey(0.0, 0.05, 0.0, 1.1) == 0
    assert grey(0.04, 0.05, 0.0, 1.1) == 0
    assert grey(0.06, 0.05, 0.0, 1.1) == 12
    assert grey(0.26, 0.01, 0.0, 1.1) is None  # too far from both
    assert grey(0.3, 0.05, 0.0, 0.3) is None  # the first of the next episode
    assert grey(0.3, 0.05, 0.3, 1.1) == 36
    assert grey(0.3, 0.05, 0.3, 1.1) == 36  # again
    assert video.asked_s == 0.3
    assert grey(1.0, 0.05, 0.3, 1.1) == 120  # what lies between is passed over
    assert grey(1.1, 0.05, 0.3, 1.2) is None  # behind the last one
    video.close()
