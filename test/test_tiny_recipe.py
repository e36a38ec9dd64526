"""How `make tiny` trains the model that comes with the package: its first steps, and what it never does by mistake."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from tools import simulate_once
from vjepa_ros.config.sidecar import Sidecar
from vjepa_ros.training.plan import Plan

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "tools" / "tiny.sh"
FEW = {
    "TINY_VARIED": "6", "TINY_VARIED_BAGS": "2", "TINY_WIDE": "4", "TINY_WIDE_BAGS": "2", "TINY_ENCODER_STEPS": "20",
    "TINY_STEPS": "20", "TINY_GOALS": "0",
}  # fmt: skip


def run(**settings: str) -> subprocess.CompletedProcess[str]:
    """The script, with nothing of it set but this."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TINY_")}
    return subprocess.run(
        [SCRIPT], env={**environment, **settings}, capture_output=True, text=True, timeout=580, check=False
    )


DEFAULTS = {
    "encoder_batch": 32, "encoder_lr": 1.5e-3, "batch": 48, "accumulate": 1, "weight_decay": 0.04,
    "betas": (0.9, 0.999), "clip_norm": 0.0, "sample_steps": 0, "seed": 0, "patience": 0,
}  # fmt: skip
"""What the script leaves to the defaults of vjepa_train."""
NUMBERS = {"episodes": ["2400", "1600"], "bags": ["12", "8"], "steps": ["4000", "5000"]}
FIRST_STEPS = {
    "encoder": {
        "rate": (8.80236e-4, 0.0),
        "loss": (1.3629, 0.6748),
        "prediction": (0.8053, 0.4997),
        "metric": (0.0563, 0.0187),
    },
    "predictor": {
        "rate": (2e-3, 2e-3),
        "loss": (1.2845, 0.8909),
        "teacher": (0.5715, 0.3939),
        "rollout": (0.7130, 0.4970),
    },
}
"""Rates, and means of losses over ten steps each, as they came where the weights were trained."""
if torch.backends.cpu.get_cpu_capability() == "AVX2":  # rounds otherwise: the least of the losses shows it first
    FIRST_STEPS["encoder"]["metric"] = (0.0566, 0.0197)


def test_the_script_trains_as_long_as_the_record_says() -> None:
    text = SCRIPT.read_text(encoding="utf-8")
    assert re.findall(r"TINY_(?:VARIED|WIDE):-(\d+)", text) == NUMBERS["episodes"]
    assert re.findall(r"TINY_(?:VARIED|WIDE)_BAGS:-(\d+)", text) == NUMBERS["bags"]
    assert re.findall(r"TINY_(?:ENCODER_)?STEPS:-(\d+)", text) == NUMBERS["steps"]
    record = (ROOT / "docs" / "adr" / "0006-what-tiny-learns-from.md").read_text(encoding="utf-8")
    for number in (*NUMBERS["episodes"], *NUMBERS["steps"]):
        assert f"{int(number):,}" in record, number
    assert {name: getattr(Plan, name) for name in DEFAULTS} == DEFAULTS


@pytest.mark.timeout(600)
def test_the_first_steps_of_its_training_are_those_of_the_recipe(tmp_path: Path) -> None:
    done = run(TINY_FOLDER=str(tmp_path / "work"), TINY_OUT=str(tmp_path / "out"), **FEW)
    assert done.returncode == 0, done.stderr
    for part, expected in FIRST_STEPS.items():
        path = tmp_path / "work" / "tiny.train" / f"trained_{part}" / "history.json"
        history: list[dict[str, Any]] = json.loads(path.read_text())
        assert [told["step"] for told in history] == [10, 20]
        for name, values in expected.items():
            rel = 1e-4 if name == "rate" else 0.02  # processors differ
            assert [told[name] for told in history] == pytest.approx(values, rel=rel, abs=1e-9), (part, name)
    ours, new = (
        Sidecar.of_checkpoint(ROOT / "vjepa_ros/weights/tiny.safetensors"),
        Sidecar.of_checkpoint(tmp_path / "out" / "tiny.safetensors"),
    )
    assert ours is not None and new is not None
    assert (ours.preset, ours.sizes, ours.convention) == (new.preset, new.sizes, new.convention)


def running(folder: Path) -> list[int]:
    """The processes that have something to do with a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and str(folder) in (entry / "cmdline").read_bytes().decode(errors="replace"):
                found.append(int(entry.name))
        except OSError:  # it has ended meanwhile
            continue
    return found


def test_a_try_does_not_touch_the_weights_of_the_package(tmp_path: Path) -> None:
    for name in ("TINY_VARIED", "TINY_WIDE_BAGS", "TINY_ENCODER_STEPS", "TINY_STEPS"):
        done = run(TINY_FOLDER=str(tmp_path / "work"), **{name: "6"})
        assert done.returncode == 2 and name in done.stderr and "set TINY_OUT" in done.stderr
    assert not (tmp_path / "work").exists(), "nothing has begun"


def test_what_fails_leaves_nothing_running(tmp_path: Path) -> None:
    few = {**FEW, "TINY_VARIED": "90000", "TINY_WIDE": "1"}  # one episode, spread over two bags
    try:
        done = run(TINY_FOLDER=str(tmp_path / "work"), TINY_OUT=str(tmp_path / "out"), **few)
        assert done.returncode != 0 and "2 bags are more than there are episodes" in done.stderr
        assert not running(tmp_path)
    finally:
        for process in running(tmp_path):
            os.kill(process, signal.SIGTERM)


def test_recordings_of_something_else_are_not_trained_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "recordings"

    def simulated(episodes: int, *more: str) -> int:
        given = ("--episodes", str(episodes), "--frames", "4", "--size", "16", "--drawn", "16", *more)
        return simulate_once.main([*given, "-o", str(out)])

    assert simulated(2) == 0
    made_ns = (out / "metadata.yaml").stat().st_mtime_ns
    assert simulated(2) == 0, "what is there is what is wanted"
    assert capsys.readouterr().err == ""
    for episodes, more, said in (
        (3, (), "made of episodes 2, not 3"),
        (2, ("--seed", "5"), "made of seed 0, not 5"),
        (2, ("--variation", "wide"), "made of variation 'varied', not 'wide'"),
    ):
        assert simulated(episodes, *more) == 1
        assert said in capsys.readouterr().err
    assert (out / "metadata.yaml").stat().st_mtime_ns == made_ns
    (out / "simulation.json").unlink()
    assert simulated(2) == 1
    assert "no simulation.json that says what it was made of" in capsys.readouterr().err
