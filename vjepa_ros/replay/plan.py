"""What a replay is asked for, with the defaults, and how its outputs are called. Nothing heavy is imported for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vjepa_ros.recordings.reading import Reading

TOOL = "vjepa_replay"
REPORT, WINDOWS, EXPORT, HTML, RRD = "report.json", "windows.jsonl", "export", "replay.html", "replay.rrd"
"""Names in the folder of a replay: the report's, and those of outputs that are given no other place."""


@dataclass(frozen=True)
class Plan(Reading):
    """What to replay, and where to: ``out`` is the folder for the bag of latents and the report, with ``windows_only``
    for the report alone.

    Attributes:
        node_name: full name of the node whose topics are written.
        windows_only: leave the model out.
        dump: file for a line of JSON per window; in ``out``, or elsewhere.
        export: folder for safetensors shards, see :mod:`vjepa_ros.replay.export`; in ``out``, or elsewhere.
        html: file for a page that shows the replay; in ``out``, or elsewhere.
        rrd: file for the viewer Rerun; in ``out``, or elsewhere.
    """

    node_name: str = "/vjepa_predictor"
    windows_only: bool = False
    dump: Path | None = None
    export: Path | None = None
    html: Path | None = None
    rrd: Path | None = None

    @property
    def beside(self) -> list[Path]:
        """The places of what is written besides the bag and the report."""
        return [place for place in (self.dump, self.export, self.html, self.rrd) if place is not None]
