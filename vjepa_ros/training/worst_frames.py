"""The pictures of the worst forecasts: what the model saw last, and what came. Clips in, PNGs out."""

from __future__ import annotations

from collections.abc import Sequence

from vjepa_ros.images.preprocess import pixels
from vjepa_ros.training import pictures
from vjepa_ros.training.figures import Worst
from vjepa_ros.training.latents import Clips
from vjepa_ros.training.runs import Dataset


def of(worst: Sequence[Worst], data: Dataset, clips: Clips | None) -> list[tuple[bytes, ...]]:
    """For each a PNG of the last frame seen, and one of the last frame of the step that was forecast.

    Args:
        worst: of ``data``.
        data: whose rows are numbered as the units of ``clips``.
        clips: of the units, in order, from a number on; None where there are no frames, and so no pictures.
    """
    if clips is None:
        return [() for _ in worst]
    units = [
        [data.newest_row(one.sample.run, one.sample.newest + ahead) // data.kept for ahead in (0, one.ahead)]
        for one in worst
    ]
    wanted = sorted({unit for pair in units for unit in pair})
    if not wanted:
        return []
    found: dict[int, bytes] = {}
    for unit, clip in enumerate(clips(wanted[0]), wanted[0]):
        if unit in wanted:
            found[unit] = pictures.frame(pixels(clip[:, -1]))
        if unit == wanted[-1]:
            break
    return [(found[seen], found[came]) for seen, came in units]
