"""The commands on a LeRobotDataset: windows of the oracle, the same hashes twice, exit status 3, refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import lerobot, oracle, recorded, replays
from support.lerobot import CAMERAS, Form

from vjepa_ros.commands import probe

EPISODES = [lerobot.episode(length, seed) for seed, length in enumerate((36, 15, 30))]
FRONT, WRIST = CAMERAS
CAMERA = ("--image", FRONT)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Form().write(tmp_path_factory.mktemp("dataset") / "dataset", EPISODES)


def expected() -> list[dict[str, Any]]:
    """The oracle's windows of each episode for itself."""
    found = []
    for epoch, (one, start_ns) in enumerate(zip(EPISODES, lerobot.starts_ns(EPISODES, 20), strict=True)):
        stamps = [start_ns + k * lerobot.S // 20 for k in range(len(one))]
        joints = (list(zip(stamps, values.astype(np.float64), strict=True)) for values in (one.action, one.state))
        windows = oracle.windows([(stamp,) for stamp in stamps], *joints, **recorded.oracle_arguments())
        found += [{**window, "epoch": epoch} for window in windows]
    return found


def test_windows_and_hashes_are_the_oracle_s(dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert replays.run(dataset, *CAMERA, "-o", out, "--windows-only", "--dump") == 0
    want = expected()
    assert len(want) == 11 + 8
    replays.assert_equal(replays.lines(out / "windows.jsonl"), want)
    report = replays.report(out)
    assert report["sha256"] == replays.digest(want)
    named = {"image": FRONT, "joint_commands": "action", "joint_states": "observation.state", "transport": "raw"}
    assert report["topics"] == named and report["incomplete"] == []
    assert report["messages"] == dict.fromkeys((FRONT, "action", "observation.state"), 81)
    counts = report["counts"]
    assert (counts["resets"], counts["gaps"], counts["late"]) == (2, 0, 0)
    assert (counts["frames"], counts["frames_out_of_order"]) == (81, 0)


def test_with_the_model_it_gives_the_same_hashes_twice(dataset: Path, tmp_path: Path) -> None:
    reports = []
    for name in ("first", "second"):
        assert replays.run(dataset, *CAMERA, "-o", tmp_path / name) == 0
        reports.append(replays.report(tmp_path / name))
    first, second = reports
    assert first["sha256"] == second["sha256"] and set(first["sha256"]) == {"windows", "actions", "latents"}
    assert first["prediction_error"]["count"] == second["prediction_error"]["count"] > 0


def test_probe(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = ("--points", "3", "--windows", "2", "--no-picture")
    arguments = [dataset, *CAMERA, "-o", tmp_path / "out", "--params", replays.PARAMS, *replays.ONE_THREAD, *few]
    assert probe.main([*map(str, arguments)]) == 0
    report = json.loads((tmp_path / "out" / "probe.json").read_text())
    assert report["windows_there"] == 10 + 7  # pairs: the last window of an episode has no other behind it
    assert [window["epoch"] for window in report["windows"]] == [0, 2]
    assert f"{dataset}: is a LeRobotDataset: 3 episodes at 20 Hz" in capsys.readouterr().err


def test_a_part_that_is_missing_ends_with_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = Form(per_video=1).write(tmp_path / "dataset", EPISODES)
    (dataset / f"videos/{FRONT}/chunk-000/file-002.mp4").unlink()
    assert replays.run(dataset, *CAMERA, "-o", tmp_path / "out", "--windows-only", "--dump") == 3
    said = capsys.readouterr().err
    lost = f"videos/{FRONT}/chunk-000/file-002.mp4: 30 frames that meta/episodes places in it are not there"
    assert f"vjepa_replay: {dataset}: {lost}" in said and "exit status 3" in said
    assert {"file": str(dataset), "what": lost, "topic": None, "announced": 30, "read": 0} in replays.report(
        tmp_path / "out"
    )["incomplete"]
    left = [window for window in expected() if window["epoch"] == 0]
    replays.assert_equal(replays.lines(tmp_path / "out" / "windows.jsonl"), left)
    assert replays.run(dataset, "--image", WRIST, "-o", tmp_path / "wrist", "--windows-only") == 0  # nobody asked


def test_which_camera_is_asked_by_the_option_s_name(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replays.run(dataset, "-o", tmp_path / "out") == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(f"vjepa_replay: {FRONT}, {WRIST} could each be image") and said.endswith(
        "which with --image"
    )
    assert replays.run(dataset, *CAMERA, "--joint-states", "observation.joints", "-o", tmp_path / "out") == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("vjepa_replay: --joint-states: there is no topic observation.joints; there are action ")
    assert not (tmp_path / "out").exists()
