"""Scans of simulated recordings with the trained preset: how late a camera is, and which rate is the model's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support import bags, late_camera

from vjepa_ros.commands import probe, simulate
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


def test_the_rates_that_v_jepa_2_ac_may_have_been_trained_at(tmp_path: Path) -> None:
    """The command of docs/models.md, on a recording that is long enough for its lowest rate; then the model's own."""
    bag, out = tmp_path / "bag", tmp_path / "out"
    world = ("--episodes", "2", "--frames", "240", "--seed", "903", "--variation", "fixed", "--drawn", "64")
    assert simulate.main(["-o", str(bag), *world]) == 0
    own = ("--no-picture", "--force", "--set", *SETTINGS, "override_convention=true")

    def scanned(rates: str, *options: str) -> dict[float, dict[str, Any]]:
        assert probe.main([str(bag), "-o", str(out), "--scan", f"frame_rate={rates}", *options, *own]) == 0
        return {row["value"]: row for row in json.loads((out / "scan.json").read_text(encoding="utf-8"))["values"]}

    found = scanned("0.5,0.94,2,4", "--points", "3", "--windows", "4")
    assert [len(row["windows"]) for row in found.values()] == [4, 4, 4, 4]
    assert [row["latent_info"]["step_period_s"] for row in found.values()] == [2 / rate for rate in found]
    found = scanned("4,10,20", "--points", "5", "--windows", "12")
    for name in ("distance", "rank", "error_over_no_change"):
        print(name, *(f"{row[name]:.3g}" for row in found.values()))
        assert min(found, key=lambda rate: found[rate][name]) == 10.0
