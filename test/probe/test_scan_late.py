"""A scan finds by how much a simulated camera is late: with the trained preset, among offsets half a step apart."""

from __future__ import annotations

import json
from pathlib import Path

from support import bags, late_camera

from vjepa_ros.commands import probe
from vjepa_ros.simulation.plan import World

SETTINGS = ("preset=tiny", "device=cpu", "threads=1")
WORLD = World(seed=902, frames=24, variation="fixed")
SCANS = (("-0.3,-0.2,-0.1,0,0.1", -0.1), ("-0.22,-0.08,0.06", -0.08))


def test_a_camera_that_is_late_by_100_ms_is_found(tmp_path: Path) -> None:
    bag = late_camera.write(tmp_path, 100 * bags.MS, WORLD, episodes=5)
    for number, (offsets, nearest) in enumerate(SCANS):
        out = tmp_path / f"out{number}"
        options = ("--points", "5", "--windows", "16", "--no-picture", "--set", *SETTINGS)
        assert probe.main([str(bag), "-o", str(out), "--scan", f"time.offset_s.image={offsets}", *options]) == 0
        found = json.loads((out / "scan.json").read_text(encoding="utf-8"))
        for row in found["values"]:
            print(row["value"], *(f"{row[name]:.4g}" for name in found["best"]))
        assert found["best"] == {name: [nearest] for name in ("distance", "rank", "error_over_no_change")}
        (row,) = (row for row in found["values"] if row["value"] == nearest)
        assert row["error_over_no_change"] < 0.6 and row["rank"] < 6, "of 25: the forecasts are worth something"
