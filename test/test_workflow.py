"""The workflow for GitHub: what CONTRIBUTING.md says of it is what it does, and what it calls is there."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
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
    constraints = (ROOT / "requirements" / "constraints.txt").read_text(encoding="utf-8")
    assert len(pinned()) > 15 and [name for name in pinned() if f"\n{name}==" not in constraints] == []
    expressions = set(re.findall(r"\$\{\{ ([\w.]+) \}\}", TEXT))
    assert expressions == {
        "github.workflow", "github.ref", "matrix.ros", "matrix.python", "vars.TORCH_CPU_INDEX_URL",
    }  # fmt: skip


def pinned() -> set[str]:
    """The distributions that the job for colcon installs besides what apt has."""
    return {name for names in re.findall(r"pin '([^']+)'", commands("colcon")) for name in names.split("|")}


BY_ANOTHER_NAME = {  # what brings a module whose name is not its own
    "PIL": "python3-pil", "_pytest": "python3-pytest", "backports": "rosbags", "cv2": "python3-opencv",
    "faiss": "faiss-cpu", "jinja2": "torch", "lz4": "rosbags", "psutil": "accelerate", "rosbags": "rosbags",
    "catkin_pkg": "python3-colcon-common-extensions", "packaging": "python3-colcon-common-extensions",
    "yaml": "python3-yaml",
    "vjepa2": "requirements/reference.txt",
}  # fmt: skip
ELSEWHERE = {"compression", "xdist"}  # of Python 3.14, and where pytest-xdist is used: both are asked for first


def imported(file: Path) -> Iterator[str]:
    """The modules that a file imports, or that its tests ask pytest for, by the first part of their names."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.split(".")[0]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.importorskip":
            asked = node.args[0]  # a constant, or one of a list of backends
            yield from [str(asked.value).split(".")[0]] if isinstance(asked, ast.Constant) else []


def skippable() -> set[str]:
    for node in ast.parse((ROOT / "test" / "conftest.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SKIPPABLE_MODULES":
            found: set[str] = ast.literal_eval(node.value)
            return found
    raise AssertionError("conftest.py has no such list")


def test_in_the_containers_there_is_what_tests_import_and_may_not_skip() -> None:
    """A module that is not there is a failure while tests are collected: the run cannot pass."""
    folders = ("test", "vjepa_ros", "benchmarks", "examples")  # those that tests import, and what they need
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.py")]
    wanted = {module for file in files for module in imported(file)} - set(sys.stdlib_module_names) - ELSEWHERE
    own = {path.stem for path in (*ROOT.iterdir(), *(ROOT / "test").iterdir())}
    manifest = re.findall(r"<\w*depend[^>]*>([\w-]+)</", (ROOT / "package.xml").read_text(encoding="utf-8"))
    there = pinned() | set(manifest) | set(re.findall(r"python3-[\w-]+", commands("colcon")))
    there |= {file for file in BY_ANOTHER_NAME.values() if f"-r src/vjepa_ros/{file}" in commands("colcon")}

    def is_there(module: str) -> bool:
        return not there.isdisjoint({module, f"python3-{module}", BY_ANOTHER_NAME.get(module, module)})

    missing = sorted(module for module in wanted - own - skippable() if not is_there(module))
    assert missing == [], "neither in package.xml, nor installed by the workflow, nor skippable"
    assert {"faiss", "ray", "onnx", "openvino", "torch", "rclpy", "cv2"} <= wanted, "the files are looked through"


def test_it_changes_nothing_and_knows_no_secret() -> None:
    assert yaml.safe_load(TEXT)["permissions"] == {"contents": "read"}
    assert "secrets." not in TEXT
