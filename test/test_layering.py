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
    "config": ({"errors"}, set()),
    "model": ({"errors", "config", "devices"}, {"torch", "numpy", "yaml", "safetensors"}),
    "stream": ({"errors", "config"}, {"numpy", "cv2", "PIL", "pinocchio"}),
    "devices": ({"errors"}, {"torch"}),
    "engine": ({"errors", "config", "devices", "model", "stream"}, {"torch", "numpy"}),
    "worker": ({"errors", "config", "stream", "engine"}, {"numpy"}),
    "latents": ({"errors"}, {"numpy"}),
    "parameters": ({"errors", "config", "model", "stream"}, set()),
    "node_config": ({"errors", "config", "model", "stream", "parameters"}, set()),
    "upload": ({"devices", "stream"}, {"torch"}),
    "forecast": (
        {"errors", "config", "node_config", "model", "stream", "devices", "engine", "latents", "upload"},
        {"torch", "numpy"},
    ),
    "questions": (
        {"errors", "config", "node_config", "stream", "devices", "model", "engine", "forecast"}, {"torch", "numpy"}
    ),
    "info": ({"errors", "config", "node_config", "stream", "engine"}, {"numpy"}),
    "prediction_error": ({"stream"}, {"numpy"}),
    "conversion": (
        {"errors", "config", "node_config", "parameters", "model", "stream", "devices", "engine", "outputs"},
        {"torch"},
    ),
    "convert": ({"errors", "conversion"}, {"rich", "yaml"}),
    "cut_mcap": (set(), {"rosbags"}),
    "zstd_bag": (set(), {"backports", "compression"}),
    "bag": ({"errors", "latents", "cut_mcap", "zstd_bag", "outputs"}, {"numpy", "rosbags"}),
    "outputs": ({"errors"}, set()),
    "parameter_file": ({"errors", "parameters"}, {"yaml"}),
    "replay": (
        {"errors", "config", "node_config", "parameters", "stream", "devices", "latents", "engine", "forecast", "info",
         "prediction_error", "bag",
         "outputs"},
        {"numpy", "safetensors"},
    ),
    "probe": (
        {"errors", "config", "node_config", "parameters", "stream", "devices", "engine", "forecast", "info", "outputs",
         "replay"},
        {"numpy", "torch", "matplotlib"},
    ),
    "__init__": ({"engine"}, set()),
}  # fmt: skip
# ROS itself: in `ros`, which may use every other part, and nowhere else.
ROS = {
    "ament_index_python", "builtin_interfaces", "cv_bridge", "diagnostic_msgs", "geometry_msgs", "lifecycle_msgs",
    "rcl_interfaces", "rclpy", "rosgraph_msgs", "sensor_msgs", "std_msgs", "std_srvs", "trajectory_msgs",
}  # fmt: skip
ALLOWED["ros"] = (set(ALLOWED) - {"__init__"}, {"numpy", "cv2", "yaml"} | ROS)
# Above `ros` for one thing, which needs no graph: images that only cv_bridge can decode, decoded as the node does.
ALLOWED["replay.cli"] = ({"errors", "parameter_file", "replay", "ros"}, {"rich", "yaml"})
# At the top: nothing imports it. The node it measures runs in processes of its own; it imports no ROS.
ALLOWED["bench"] = (
    {"errors", "config", "devices", "model", "stream", "engine"},
    {"matplotlib", "rich", "torch", "transformers", "vjepa2"},
)
ALLOWED["probe.cli"] = ({"config", "probe", "replay", "replay.cli", "ros"}, {"rich"})


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
        ("model/encoder.py", "from ..stream import window"),
        ("model/encoder.py", "def f():\n    import rclpy"),
        ("latents.py", "from sensor_msgs.msg import Image"),
        ("errors.py", "from . import config"),
        ("engine.py", "from vjepa_ros.ros import node"),
        ("replay/offline.py", "from vjepa_ros.replay import cli"),
        ("replay/run.py", "import rich"),
    ],
)
def test_a_wrong_import_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, source: str) -> None:
    file = tmp_path / "vjepa_ros" / part
    file.parent.mkdir(parents=True)
    file.write_text(source, encoding="utf-8")
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path / "vjepa_ros")
    assert len(violations(file)) == 1
