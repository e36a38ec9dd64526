"""The demo's program, where it must fail; and that none of its processes stays behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from examples import closed_loop

ROOT = Path(__file__).resolve().parents[2]
_POPEN = subprocess.Popen  # as it is before a test puts something else there
KEYS = {"reached", "distance_cm", "start_cm", "steps", "windows", "plan_ms_p50", "late", "trained"}


@pytest.mark.timeout(300)
def test_a_missed_goal_fails_and_is_said(tmp_path: Path) -> None:
    """In two steps of 0.2 s nobody comes 30 cm far."""
    pictures = ["--gif", str(tmp_path / "a.gif"), "--picture", str(tmp_path / "a.png")]
    done = subprocess.run(
        [sys.executable, "-m", "examples.demo", "--goals", "2", "--steps", "2", "--rate", "20", *pictures], cwd=ROOT,
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert "a goal was missed" in done.stderr and done.stdout.count("MISSED") == 2
    found = json.loads(done.stdout.splitlines()[-1])
    assert found.keys() == KEYS
    assert (found["reached"], found["trained"], found["late"]) == (False, True, 0)
    assert found["steps"] == [None, None], "it never was near them"
    assert len(found["distance_cm"]) == 2 and min(found["distance_cm"]) > 4 and min(found["start_cm"]) >= 30
    assert found["windows"] >= 4 and found["plan_ms_p50"] > 0
    with Image.open(tmp_path / "a.gif") as gif, Image.open(tmp_path / "a.png") as picture:
        assert getattr(gif, "n_frames", 0) > 4 and picture.width > 800


class Started:
    """Stands for subprocess.Popen: processes that do nothing, and an error at the second one if it is to be."""

    def __init__(self, command: list[str], fails_at: int) -> None:
        self.command, self.fails_at = command, fails_at
        self.processes: list[Any] = []

    def __call__(self, _command: list[str], **options: Any) -> Any:
        if len(self.processes) == self.fails_at:
            raise OSError("no more processes")
        self.processes.append(_POPEN(self.command, **options))
        return self.processes[-1]


def no_watcher(_is_well: Any) -> Any:
    raise RuntimeError("no middleware")


def test_where_a_start_fails_no_process_stays_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    started = Started(["sleep", "100"], fails_at=1)
    monkeypatch.setattr(closed_loop.subprocess, "Popen", started)
    with pytest.raises(OSError, match="no more processes"), closed_loop.processes({}, {}):
        pass
    assert [process.returncode is None for process in started.processes] == [False]
    started = Started(["sleep", "100"], fails_at=2)
    monkeypatch.setattr(closed_loop.subprocess, "Popen", started)
    monkeypatch.setattr(closed_loop, "Watcher", no_watcher)
    with pytest.raises(RuntimeError, match="no middleware"), closed_loop.processes({}, {}):
        pass
    assert [process.returncode is None for process in started.processes] == [False, False]


def test_a_process_that_does_not_end_is_ended_and_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    started = Started(["bash", "-c", "trap '' TERM; while true; do sleep 0.1; done"], fails_at=2)
    monkeypatch.setattr(closed_loop.subprocess, "Popen", started)
    monkeypatch.setattr(closed_loop, "Watcher", no_watcher)
    monkeypatch.setattr(closed_loop, "_END_S", 0.3)
    with pytest.raises(RuntimeError, match="no middleware"), closed_loop.processes({}, {}):
        pass
    assert all(process.returncode is not None for process in started.processes)
