"""Scans of simulated recordings with the trained preset: how late a camera is, and which rate is the model's."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from support import late_camera

from vjepa_ros.commands import probe, simulate

SETTINGS = ("preset=tiny", "device=cpu", "threads=1")
PAGE = (Path(__file__).parents[2] / "docs" / "probe.md").read_text(encoding="utf-8")
SCANS = ((",".join(map(str, late_camera.OFFSETS_S)), -0.1), ("-0.22,-0.08,0.06", -0.08))


def test_a_camera_that_is_late_by_100_ms_is_found(tmp_path: Path) -> None:
    bag, shown = late_camera.write(tmp_path), {}
    for number, (offsets, nearest) in enumerate(SCANS):
        out = tmp_path / f"out{number}"
        grid = (f"--{name}={value}" for name, value in late_camera.GRID.items())
        options = (*grid, "--no-picture", "--set", *SETTINGS)
        assert probe.main([str(bag), "-o", str(out), "--scan", f"time.offset_s.image={offsets}", *options]) == 0
        found = json.loads((out / "scan.json").read_text(encoding="utf-8"))
        for row in found["values"]:
            print(row["value"], *(f"{row[name]:.4g}" for name in found["best"]))
        assert found["best"] == {name: [nearest] for name in ("distance", "rank", "error_over_no_change")}
        (row,) = (row for row in found["values"] if row["value"] == nearest)
        assert row["error_over_no_change"] < 0.6 and row["rank"] < 6, "of 25: the forecasts are worth something"
        shown = shown or {row["value"]: row for row in found["values"]}
    sentence = r"minimum is (\S+) rad .*? there, (\S+) without .*? ranks at (\S+) of 25 instead of (\S+)\. Its"
    said = re.search(sentence, " ".join(PAGE.split()))
    assert said is not None
    figures = [shown[offset][name] for name in ("distance", "rank") for offset in (-0.1, 0.0)]
    assert [float(figure) for figure in said.groups()] == pytest.approx(figures, rel=0.05)


def test_the_rates_on_the_page_are_what_the_commands_there_give(tmp_path: Path) -> None:
    """The rates of docs/models.md, on a recording that is long enough for the lowest; then the model's own."""
    section = PAGE.split("**A rate.**")[1].split("\n## ")[0]
    (simulated, *probed) = (line.split()[1:] for line in section.splitlines() if line.startswith("vjepa_"))
    assert simulate.main([str(tmp_path / word) if word == "sim" else word for word in simulated]) == 0
    found: dict[float, dict[str, Any]] = {}
    for number, words in enumerate(probed):
        paths = {"sim": str(tmp_path / "sim"), words[2]: str(tmp_path / f"out{number}")}
        assert probe.main([*(paths.get(word, word) for word in words), *SETTINGS[1:], "--no-picture"]) == 0
        report = json.loads((tmp_path / f"out{number}" / "scan.json").read_text(encoding="utf-8"))
        assert report["best"] == {name: [report["values"][(3, 1)[number]]["value"]] for name in report["best"]}
        found |= {row["value"]: row for row in report["values"]}
    assert "frame_rate=0.5,0.94,2,4" in probed[0] and [*found] == [0.5, 0.94, 2, 4, 5, 10, 20]
    assert [row["latent_info"]["step_period_s"] for row in found.values()] == [2 / rate for rate in found]
    for line in section.split("|---|---|---|---|---|\n")[1].split("\n\n")[0].splitlines():
        rate, windows, *figures = (float(cell.strip(" *")) for cell in line.strip("|").split("|"))
        row = found[rate]
        assert len(row["windows"]) == windows
        for figure, name in zip(figures, ("distance", "rank", "error_over_no_change"), strict=True):
            assert row[name] == pytest.approx(figure, rel=0.02), (rate, name)
