"""What a probe is asked for, with the defaults, and how its outputs are called. Nothing heavy is imported for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vjepa_ros.recordings.reading import Reading

TOOL = "vjepa_probe"
PICTURE, TABLE, REPORT = "probe.png", "probe.csv", "probe.json"
SCAN_PICTURE, SCAN_REPORT = "scan.png", "scan.json"


@dataclass(frozen=True)
class Plan(Reading):
    """What to probe, and where to: ``out`` is the folder for the picture, the table and the report. ``hop`` is a step,
    whatever the values say, and ``latents.horizon`` is 1.

    Attributes:
        dims: names or indices of the two dimensions of the action to scan; empty for those that move most.
        spans: how far to scan to either side along each, in the units of the actions as they are read.
        points: grid points along each, an odd number of at least 3.
        windows: how many windows to probe, evenly spread over the recording.
        draws: whether to draw the picture.
    """

    dims: Sequence[str] = ()
    spans: tuple[float, float] = (0.075, 0.075)  # that of the public V-JEPA 2-AC example, in m
    points: int = 9
    windows: int = 8
    draws: bool = True


@dataclass(frozen=True)
class ScanPlan(Plan):
    """The same with one value of a parameter after another; ``out`` is the folder for picture and report.

    Attributes:
        parameter: its name.
        tried: its values, at least two, in the order in which they are shown.
    """

    parameter: str = ""
    tried: Sequence[Any] = ()
