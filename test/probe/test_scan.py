"""vjepa_probe --scan: each value against a probe with that value alone, its files, and what it refuses."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support import bags, probes, replays
from support.probes import NORMALISED, SHORT, refused, run

from vjepa_ros.commands.arguments import values_parsed
from vjepa_ros.forecast.forecaster import load_model
from vjepa_ros.probe import scanning

GRID = ("--points", 3, "--span", "2,3", "--windows", 2, "--dims", "panda_joint6,0")
OFFSET = "time.offset_s.image"
FIGURES = ("distance", "rank", "error_over_no_change")


def report(out: Path, name: str = "scan.json") -> dict[str, Any]:
    return probes.report(out, name)


@pytest.fixture(scope="module")
def scanned(bag: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That bag, scanned with two offsets of the camera; what is set otherwise does not count."""
    out = tmp_path_factory.mktemp("scanned") / "out"
    assert run(bag, "-o", out, *GRID, *NORMALISED, f"{OFFSET}=9", "--scan", f"{OFFSET}=-0.1,5e-2") == 0
    return out


def test_each_value_is_a_probe_with_it(bag: Path, scanned: Path, tmp_path: Path) -> None:
    found = report(scanned)
    assert (found["parameter"], [row["value"] for row in found["values"]]) == (OFFSET, [-0.1, 0.05])
    for row in found["values"]:
        out = tmp_path / str(row["value"])
        assert run(bag, "-o", out, *GRID, "--no-picture", *NORMALISED, f"{OFFSET}={row['value']}") == 0
        alone = report(out, "probe.json")
        assert row["windows_there"] == alone["windows_there"]
        assert row["parameters"] == alone["parameters"] and row["parameters"][OFFSET] == row["value"]
        assert (row["latent_info"], row["topics"]) == (alone["latent_info"], alone["topics"])
        assert found["dims"] == alone["dims"] and found["points"] == alone["points"]
        for window, other in zip(row["windows"], alone["windows"], strict=True):
            assert {name: other[name] for name in window if name != "distance"} == {
                name: value for name, value in window.items() if name != "distance"
            }
    actions = [[window["recorded_panda_joint1"] for window in row["windows"]] for row in found["values"]]
    assert actions[0] != actions[1], "or the offset would change nothing"


def test_the_figures_are_those_of_the_windows(scanned: Path) -> None:
    found = report(scanned)
    figures: dict[str, list[float]] = {name: [] for name in FIGURES}
    for row in found["values"]:
        offsets = [(window["offset_panda_joint6"], window["offset_panda_joint1"]) for window in row["windows"]]
        assert [window["distance"] for window in row["windows"]] == [pytest.approx(np.hypot(*pair)) for pair in offsets]
        sums = {
            name: sum(window[name] for window in row["windows"]) for name in ("energy_recorded", "energy_no_change")
        }
        figures["distance"].append(np.mean([np.hypot(*pair) for pair in offsets]))
        figures["rank"].append(np.mean([window["rank"] for window in row["windows"]]))
        figures["error_over_no_change"].append(sums["energy_recorded"] / sums["energy_no_change"])
        for name in FIGURES:
            assert row[name] == pytest.approx(figures[name][-1], rel=1e-12)
    for name in FIGURES:
        values = [row["value"] for row in found["values"] if row[name] == min(row[name] for row in found["values"])]
        assert found["best"][name] == values
    assert found["says"][0].startswith("UNTRAINED: ")


def test_the_picture_has_a_panel_for_each_figure(scanned: Path) -> None:
    assert sorted(path.name for path in scanned.iterdir()) == ["scan.json", "scan.png"]
    picture = cv2.imread(str(scanned / "scan.png"))
    assert picture.shape[0] > 300 and picture.shape[1] > 900
    for third in np.array_split(picture, 3, axis=1):
        assert (np.abs(third.astype(int) - (0, 0, 255)).sum(axis=2) == 0).sum() > 20, "a red circle around the lowest"


def test_the_model_is_loaded_again_for_a_value_of_its_own_only(
    bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded: list[int] = []

    def counted(config: Any) -> Any:
        loaded.append(config.weights.seed)
        return load_model(config)

    monkeypatch.setattr(scanning, "load_model", counted)
    options = (*GRID[:4], "--windows", 1, "--no-picture", "--force", "-o", tmp_path / "out")
    assert run(bag, *options, "--scan", "actions.phase=first,last") == 0
    assert loaded == [0]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["scan.json"]
    assert run(bag, *options, "--scan", "seed=3,4") == 0
    assert loaded == [0, 3, 4]
    first, second = (row["windows"][0]["energy_recorded"] for row in report(tmp_path / "out")["values"])
    assert first != second
    said = capsys.readouterr()
    assert "seed" in said.out and "error / no change" in said.out and " *" in said.out
    told = [line for line in said.err.splitlines() if "UNTRAINED" in line]
    assert len(told) == 2, "once a run, whatever the number of values"


def test_it_tells_how_far_it_has_come_and_the_dimensions_that_move_most_are_scanned(bag: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    values = {"joint_names": list(replays.recorded.JOINTS), "device": "cpu", "threads": 1}
    plan = scanning.ScanPlan(
        [bag], values, tmp_path / "out", points=3, windows=2, draws=False, parameter="frame_rate",
        tried=(0.0, 2.0, 20.0),
    )  # fmt: skip
    found = scanning.scan(plan, lambda *progress: told.append(progress))
    messages = 2 * 3 * sum(m.topic in bags.TOPICS for m in SHORT)
    for what, total in (("messages", messages), ("forecasts", 2 * 2 * 9)):
        done = [step for name, step, of in told if name == what and of == total]
        assert done == sorted(done) and done[-1] == total
    windows = replays.expected(bag)
    moves = sum(np.abs(np.subtract(later["actions"][-1], later["actions"][-2])) for later in windows[1:])
    assert [axis["index"] for axis in found["dims"]] == sorted(np.argsort(moves)[-2:].tolist())


def test_the_page_names_every_figure_and_key(scanned: Path) -> None:
    page = (replays.PARAMS.parents[1] / "docs" / "probe.md").read_text(encoding="utf-8")
    found = report(scanned)
    section = page.split("## Which value goes with the robot")[1].split("\n## ")[0]
    assert set(FIGURES) == set(re.findall(r"^\| `(\w+)` ", section, re.MULTILINE))
    files = page.split("With `--scan` there are")[1]
    for key in {*found, *found["values"][0], "distance"} - {"vjepa_ros", *FIGURES[1:]}:
        assert f"`{key}`" in files, key


def test_a_value_without_windows_is_reported_and_the_others_are_scanned(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two seconds are too short for windows of sixteen frames, two a second."""
    options = (*GRID, *NORMALISED, "--force", "-o", tmp_path / "out")
    assert run(bag, *options, "--scan", "frame_rate=0,20") == 0
    without = report(tmp_path / "out")
    for values in ("2,0,20", "0,20,2"):
        assert run(bag, *options, "--scan", f"frame_rate={values}") == 0
        assert re.search(r"^\W*2\.0 +\W+ +0 \W+ +- \W+ +- \W+ +- ", capsys.readouterr().out, re.MULTILINE)
        found = report(tmp_path / "out")
        (row,) = (row for row in found["values"] if row["value"] == 2.0)
        assert {row[name] for name in (*FIGURES, "latent_info")} == {None}
        assert (row["windows_there"], row["windows"]) == (0, []) and row["parameters"]["frame_rate"] == 2.0
        assert [row for row in found["values"] if row["value"] != 2.0] == without["values"]
        assert (found["best"], found["dims"]) == (without["best"], without["dims"])
        *said, why = found["says"]
        assert said == without["says"]
        assert why.startswith("With frame_rate 2.0 no window is followed by one that observes its next step: ")
        assert cv2.imread(str(tmp_path / "out" / "scan.png")) is not None


# -- refusals


def test_what_makes_no_sense_is_refused_in_one_sentence(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*scan: str) -> str:
        return refused(capsys, bag, "-o", tmp_path / "out", "--scan", *scan)

    assert said("hop=2,4") == "--scan: hop is set by the probe itself: windows end at every step, one forecast"
    assert said("frame_rate=4") == "--scan: frame_rate needs two values at least, to be compared"
    assert said("frame_rate=4,8,4.0") == "--scan: frame_rate has 4.0 twice"
    assert said("hops=2,4") == "hops: there is no such parameter"
    assert said("frame_rate=4,2000") == "frame_rate: 2000.0 is more than 1000.0 Hz"
    assert said("view.flip=none,sideways").startswith("view.flip: 'sideways' is not one of none, ")
    names = list(replays.recorded.JOINTS)
    others = [*names[:-1], "elbow"]
    assert said(f"joint_names={names},{others}").endswith("their grids do not compare")
    nothing = "with frame_rate 0.5 no window is followed by one that observes its next step: "
    assert said("frame_rate=0.5,0.94").startswith(nothing)
    assert not (tmp_path / "out").exists()
    for wrong in ("frame_rate", "frame_rate=[1", "=1,2"):
        with pytest.raises(SystemExit) as stopped:
            run(bag, "-o", tmp_path / "out", "--scan", wrong)
        assert stopped.value.code == 2
        assert "argument --scan: " in capsys.readouterr().err


def test_commas_part_values_and_not_the_elements_of_lists() -> None:
    assert values_parsed("frame_rate=0.5,1,2e1") == ("frame_rate", [0.5, 1.0, 20.0])
    assert values_parsed("view.roi=[0, 0, 64, 64],[]") == ("view.roi", [[0, 0, 64, 64], []])
    assert values_parsed("checkpoint=a.pt,") == ("checkpoint", ["a.pt", ""])
    with pytest.raises(argparse.ArgumentTypeError, match="is not parameter=value,value"):
        values_parsed("frame_rate")
