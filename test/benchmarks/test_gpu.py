"""The GPU's benchmark runs where there is none: every part keeps what it has found, and says what it left out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import public_code

from benchmarks import gpu
from vjepa_ros.errors import ConfigError


def results(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "gpu.json").read_text(encoding="utf-8")))


def run(folder: Path, *parts: str) -> int:
    return gpu.main([*parts, "--smoke", "--device", "cpu", "--out", str(folder)])


def test_a_part_alone_is_measured_and_written_down(tmp_path: Path) -> None:
    assert run(tmp_path / "out", "planning") == gpu.OK
    found = results(tmp_path / "out")
    assert list(found["parts"]) == ["planning"] and found["toy"] and found["left_out"] == {}
    (line,) = found["parts"]["planning"]["lines"]
    assert set(line["references_ms"]) == {"public code"} and line["dtype"] == "bfloat16"
    assert line["agreement"]["mean"] > 1e-4, "not bfloat16"
    page = (tmp_path / "out" / "gpu.md").read_text(encoding="utf-8")
    assert f"{line['ours_ms']:.2f}" in page and "planning" in page


def test_v_jepa_2_1_is_measured_against_the_plain_model(tmp_path: Path) -> None:
    assert run(tmp_path, "2.1") == gpu.OK
    lines = results(tmp_path)["parts"]["2.1"]["lines"]
    assert [line["name"] for line in lines] == ["encoder-2.1", "image-2.1"]
    for line in lines:
        assert set(line["references_ms"]) == {"plain model"} and line["preset"] == "vjepa2_1_vitb"
        assert f"{line['references_ms']['plain model']:.2f}" in (tmp_path / "gpu.md").read_text(encoding="utf-8")


def test_references_that_are_missing_are_named_and_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Any:
        raise ConfigError("reference", "a comparison needs the package cc-vjepa2")

    monkeypatch.setattr(public_code, "_public_code", missing)
    assert run(tmp_path, "planning") == gpu.OK
    found = results(tmp_path)
    assert found["left_out"] == {"public code": "a comparison needs the package cc-vjepa2"}
    (line,) = found["parts"]["planning"]["lines"]
    assert set(line["references_ms"]) == {"ours, not packed"}
    assert "Left out: public code" in (tmp_path / "gpu.md").read_text(encoding="utf-8")


def test_a_part_that_fails_fails_the_run_and_not_the_parts_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing() -> Any:
        raise RuntimeError("out of luck")

    monkeypatch.setattr(gpu, "_tests", failing)
    assert run(tmp_path, "tests", "planning") == gpu.FAILED
    parts = results(tmp_path)["parts"]
    assert parts["tests"]["failed"] == "RuntimeError: out of luck" and len(parts["planning"]["lines"]) == 1


def test_the_tests_that_need_a_gpu_are_found() -> None:
    found = gpu.gpu_tests()
    assert "test/model/test_graphs.py" in found and "test/forecast/test_upload.py" in found
    assert "test/stream/test_window.py" not in found and "test/test_skip_policy.py" not in found


def test_they_need_no_ros() -> None:
    """`tools/gpu.sh` runs them on a machine with torch and no ROS; that they can be collected says what they import."""
    lines = """
import sys
sys.modules |= dict.fromkeys(("rclpy", "std_msgs", "sensor_msgs", "geometry_msgs", "lifecycle_msgs"))
import pytest
sys.exit(pytest.main(["--collect-only", "-q", "-m", "gpu", "-p", "no:cacheprovider", *sys.argv[1:]]))
"""
    command = [sys.executable, "-c", lines, *gpu.gpu_tests()]
    done = subprocess.run(command, cwd=gpu.ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert "test_a_replay_of_a_rollout_is_a_call" in done.stdout


def test_an_unknown_part_is_a_wrong_argument(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        gpu.main(["nope"])
    assert ended.value.code == gpu.USAGE and "planning" in capsys.readouterr().err
