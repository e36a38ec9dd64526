"""Imports only point down: which part of the package may import what, read from the source without running it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "vjepa_ros"

# part: (other parts of vjepa_ros, packages besides the standard library) that its files may import, besides each other.
ALLOWED: dict[str, tuple[set[str], set[str]]] = {
    "errors": (set(), set()),
    "units": (set(), set()),
    "geometry": (set(), {"numpy"}),
    "documents": (set(), set()),
    "config": ({"errors", "geometry", "documents"}, {"numpy", "yaml"}),
    "work_folder": ({"errors"}, set()),
    "files": ({"errors", "work_folder"}, set()),
    "devices": ({"errors"}, {"torch"}),
    "attempt": ({"errors"}, set()),
    "jobs": (set(), set()),
    "bond": (set(), set()),
    "worker": ({"errors", "attempt", "jobs"}, set()),
    "latents": ({"errors", "units", "documents"}, {"numpy"}),
    "kinematics": ({"errors", "geometry"}, {"numpy"}),
    "images": ({"errors", "config"}, {"numpy", "cv2", "cv_bridge", "av"}),
    "pictures": ({"errors"}, {"numpy", "cv2", "matplotlib", "jinja2"}),
    "stream": ({"errors", "units", "geometry", "config", "kinematics", "images"}, {"numpy", "cv2"}),
    "model": ({"errors", "geometry", "config", "devices"}, {"torch", "numpy"}),
    "weights": ({"errors", "documents", "config", "model"}, {"torch", "safetensors"}),
    "runtimes": ({"errors", "config", "devices", "model"}, {"torch", "numpy"}),
    "engine": ({"errors", "config", "devices", "images", "model", "weights", "runtimes"}, {"torch", "numpy"}),
    "conversion": ({"errors", "config", "files", "devices", "images", "model", "weights", "engine"}, {"torch"}),
    "onnx_files": (
        {"errors", "config", "files", "devices", "model", "weights", "runtimes", "engine", "conversion"}, {"torch"},
    ),
    "forecast": ({"errors", "config", "devices", "latents", "stream", "model", "engine"}, {"torch", "numpy"}),
    "doctor": (
        {"errors", "documents", "units", "config", "devices", "stream", "model", "weights", "runtimes", "forecast"},
        {"torch", "numpy"},
    ),
    "planning": (
        {
            "errors", "documents", "units", "geometry", "config", "devices", "kinematics", "images", "pictures",
            "stream", "model", "engine", "forecast",
        },
        {"torch", "numpy", "cv2"},
    ),
    "recordings": (
        {"errors", "documents", "units", "config", "files", "latents", "kinematics", "stream"},
        {"numpy", "yaml", "rosbags", "lz4", "backports", "compression", "pyarrow", "av"},
    ),
    "simulation": ({"errors", "geometry", "config", "kinematics"}, {"numpy", "cv2"}),
    # It alone knows bags: the node around the simulation needs none.
    "simulation.recording": ({"errors", "files", "recordings", "simulation"}, {"numpy"}),
    "replay": (
        {
            "errors", "documents", "units", "config", "files", "attempt", "latents", "images", "pictures", "stream",
            "engine", "forecast", "recordings",
        },
        {"numpy", "cv2", "safetensors", "rerun"},
    ),
    "fleet": (
        {
            "errors", "documents", "units", "config", "work_folder", "files", "images", "stream", "engine", "forecast",
            "recordings", "replay",
        },
        {"numpy", "torch", "cv2", "pyarrow", "pandas", "av", "fsspec", "ray", "faiss"},
    ),
    "probe": (
        {
            "errors", "documents", "units", "config", "files", "devices", "stream", "engine", "forecast", "planning",
            "recordings",
        },
        {"numpy", "matplotlib"},
    ),
    "training": (
        {
            "errors", "documents", "units", "geometry", "config", "work_folder", "files", "devices", "images",
            "pictures", "stream", "model", "weights", "engine", "conversion", "forecast", "recordings", "fleet",
            "probe",
        },
        {"torch", "numpy", "accelerate", "tensorboardX", "matplotlib"},
    ),
    "commands": (
        {"errors", "documents", "units", "config", "images", "conversion", "onnx_files", "recordings", "simulation",
         "simulation.recording", "replay", "fleet", "probe", "training"},
        {"rich"},
    ),
    # It alone looks at a ROS graph.
    "commands.doctor": ({"errors", "config", "commands", "doctor", "ros"}, set()),
    # What is public; each name is imported when it is asked for.
    "__init__": ({"errors", "config", "latents", "engine", "planning", "recordings"}, set()),
}  # fmt: skip
# ROS itself: in `ros`, and nowhere else (but for cv_bridge, which needs no graph).
ROS = {
    "ament_index_python", "builtin_interfaces", "diagnostic_msgs", "geometry_msgs", "lifecycle_msgs",
    "rcl_interfaces", "rclpy", "rosgraph_msgs", "sensor_msgs", "std_msgs", "std_srvs", "trajectory_msgs",
}  # fmt: skip
ALLOWED["ros"] = (
    {
        "errors",
        "documents",
        "units",
        "geometry",
        "config",
        "kinematics",
        "images",
        "pictures",
        "stream",
        "devices",
        "latents",
        "engine",
        "attempt",
        "worker",
        "bond",
        "forecast",
        "planning",
        "simulation",
        "doctor",
    },
    {"numpy"} | ROS,
)


def part_named(name: str) -> str:
    """The part that a dotted name under the package belongs to: what stands in the table, else its first word."""
    words = name.split(".")
    two = ".".join(words[:2])
    return two if two in ALLOWED else words[0]


def part_of(file: Path) -> str:
    """The part that a file of the package belongs to: its folder, or its own name where that stands in the table."""
    return part_named(".".join(file.relative_to(PACKAGE).with_suffix("").parts))


def imports(file: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of everything that a file imports, lazily or not."""
    module = ("vjepa_ros", *file.relative_to(PACKAGE).with_suffix("").parts)
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = ".".join([*module[: len(module) - node.level], node.module or ""]) if node.level else node.module
            assert start is not None
            for alias in node.names:
                yield node.lineno, f"{start.rstrip('.')}.{alias.name}"


def violations(file: Path) -> list[str]:
    """What a file imports and must not, one line each."""
    part = part_of(file)
    parts, packages = ALLOWED[part]
    found = []
    for line, name in imports(file):
        top, _, rest = name.partition(".")
        if top == "vjepa_ros":
            target = part_named(rest)
            # `import vjepa_ros`, for its place or its version, is no part of it.
            fine = target in parts | {part, "__version__", ""}
        else:
            fine = top in packages or top in sys.stdlib_module_names
        if not fine:
            found.append(f"{file.relative_to(PACKAGE.parent)}:{line}: {part} must not import {name}")
    return found


def test_every_file_belongs_to_a_part() -> None:
    unknown = {part_of(file) for file in PACKAGE.rglob("*.py")} - set(ALLOWED)
    assert not unknown, f"add {unknown} to the table, below everything that it is used by"


def test_imports_only_point_down() -> None:
    found = [line for file in sorted(PACKAGE.rglob("*.py")) for line in violations(file)]
    assert not found, "\n".join(found)


def test_the_table_has_no_circle() -> None:
    below: dict[str, set[str]] = {part: parts for part, (parts, _) in ALLOWED.items()}
    while below:
        lowest = {part for part, parts in below.items() if not parts & set(below)}
        assert lowest, f"a circle among {sorted(below)}"
        below = {part: parts for part, parts in below.items() if part not in lowest}


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("stream/window.py", "import torch"),
        ("stream/window.py", "from vjepa_ros.model import grid"),
        ("ros/node.py", "from vjepa_ros.recordings import bag"),
        ("ros/panda_node.py", "from vjepa_ros.simulation import recording"),
        ("model/encoder.py", "from ..stream import window"),
        ("model/encoder.py", "def f():\n    import rclpy"),
        ("latents.py", "from sensor_msgs.msg import Image"),
        ("errors.py", "from . import config"),
        ("engine/loading.py", "from vjepa_ros.ros import node"),
        ("replay/replaying.py", "from vjepa_ros.commands import replay"),
        ("replay/run.py", "import rich"),
        ("replay/run.py", "from vjepa_ros.fleet import work"),
        ("fleet/work.py", "from vjepa_ros.training import stages"),
        ("commands/replay.py", "from vjepa_ros.ros import looking"),
        ("doctor/latency.py", "from vjepa_ros.ros import looking"),
        ("simulation/drawing.py", "import torch"),
        ("simulation/episodes.py", "from vjepa_ros.recordings import robot_bag"),
        ("simulation/episodes.py", "from vjepa_ros.simulation import recording"),
    ],
)
def test_a_wrong_import_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, source: str) -> None:
    file = tmp_path / "vjepa_ros" / part
    file.parent.mkdir(parents=True)
    file.write_text(source, encoding="utf-8")
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path / "vjepa_ros")
    assert len(violations(file)) == 1
