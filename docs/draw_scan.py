"""Draws docs/probe_scan.png, a scan of a simulated camera that is 100 ms late: ``python -m docs.draw_scan``."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from support import late_camera

from vjepa_ros.probe import scanning
from vjepa_ros.probe.plan import SCAN_PICTURE, ScanPlan

PICTURE = Path(__file__).with_name("probe_scan.png")


def main() -> None:
    """Write it, and print what the scan says."""
    values = {"preset": "tiny", "device": "cpu", "dtype": "float32"}
    with TemporaryDirectory() as folder:
        bag = late_camera.write(Path(folder))
        out = Path(folder) / "out"
        tried = {"parameter": "time.offset_s.image", "tried": late_camera.OFFSETS_S}
        plan = ScanPlan([bag], values, out, **late_camera.GRID, **tried)
        report = scanning.scan(plan)
        shutil.copyfile(out / SCAN_PICTURE, PICTURE)
    for row in report["values"]:
        figures = (row[name] for name in report["best"])
        print(row["value"], *(f"{figure:.3g}" for figure in figures))
    print(*report["says"], sep="\n")


if __name__ == "__main__":
    main()
