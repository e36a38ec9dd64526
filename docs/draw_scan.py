"""Draws docs/probe_scan.png, a scan of a simulated camera that is 100 ms late: ``python -m docs.draw_scan``."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from support import late_camera

from vjepa_ros.probe import scanning
from vjepa_ros.probe.plan import SCAN_PICTURE, ScanPlan
from vjepa_ros.simulation.plan import World

PICTURE = Path(__file__).with_name("probe_scan.png")
LATE_NS = 100_000_000
OFFSETS_S = (-0.3, -0.2, -0.1, 0.0, 0.1)


def main() -> None:
    """Write it, and print what the scan says."""
    values = {"preset": "tiny", "device": "cpu", "dtype": "float32"}
    with TemporaryDirectory() as folder:
        bag = late_camera.write(Path(folder), LATE_NS, World(seed=901, variation="fixed"), episodes=8)
        out = Path(folder) / "out"
        plan = ScanPlan([bag], values, out, windows=32, parameter="time.offset_s.image", tried=OFFSETS_S)
        report = scanning.scan(plan)
        shutil.copyfile(out / SCAN_PICTURE, PICTURE)
    for row in report["values"]:
        figures = (row[name] for name in report["best"])
        print(row["value"], *(f"{figure:.3g}" for figure in figures))
    print(*report["says"], sep="\n")


if __name__ == "__main__":
    main()
