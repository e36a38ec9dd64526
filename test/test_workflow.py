"""The workflow for GitHub: what CONTRIBUTING.md says of it is what it does, and what it calls is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")
JOBS: dict[str, Any] = yaml.safe_load(TEXT)["jobs"]


def commands(job: str) -> str:
    return "\n".join(step["run"] for step in JOBS[job]["steps"] if "run" in step)


def test_the_tests_run_on_the_wheels_and_in_the_containers() -> None:
    assert set(JOBS) == {"wheels", "colcon"}
    wheels, colcon = JOBS["wheels"]["strategy"]["matrix"], JOBS["colcon"]["strategy"]["matrix"]
    assert wheels["ros"] == ["jazzy"] and [row["ros"] for row in wheels["include"]] == ["kilted"]
    assert colcon == {"ros": ["jazzy", "kilted", "rolling"]}
    assert JOBS["colcon"]["container"] == "ros:${{ matrix.ros }}-ros-base", "the official one"
    assert "make test ROS=${{ matrix.ros }}" in commands("wheels")
    assert "colcon build" in commands("colcon") and "colcon test --packages-select vjepa_ros" in commands("colcon")


def test_what_it_calls_is_there() -> None:
    """Targets of make, files, and pinned packages; every expression names what the matrix or GitHub has."""
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    called = re.findall(r"\bmake ([a-z-]+)", commands("wheels"))
    assert called == ["test", "docs"] and set(called) <= set(targets)
    files = re.findall(r"src/vjepa_ros/([\w./-]+)", commands("colcon"))
    assert len(files) >= 2 and all((ROOT / file).is_file() for file in files)
    (names,) = re.findall(r"pin '([^']+)'", commands("colcon"))
    constraints = (ROOT / "requirements" / "constraints.txt").read_text(encoding="utf-8")
    assert [name for name in names.split("|") if f"\n{name}==" not in constraints] == []
    expressions = set(re.findall(r"\$\{\{ ([\w.]+) \}\}", TEXT))
    assert expressions == {
        "github.workflow", "github.ref", "matrix.ros", "matrix.python", "vars.TORCH_CPU_INDEX_URL",
    }  # fmt: skip


def test_it_changes_nothing_and_knows_no_secret() -> None:
    assert yaml.safe_load(TEXT)["permissions"] == {"contents": "read"}
    assert "secrets." not in TEXT
