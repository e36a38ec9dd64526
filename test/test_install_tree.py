"""The package as colcon installs it: everything lies where `ros2 launch` and `ros2 run` look, and works from there."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# What the package consists of, and what lies beside it; not outputs, caches and environments.
SOURCE = (
    "package.xml",
    "setup.py",
    "setup.cfg",
    "pyproject.toml",
    "LICENSE",
    "resource",
    "config",
    "launch",
    "vjepa_ros",
    # What must not be installed, and would be if it were taken for a part of the package.
    "benchmarks",
    "docs",
    "examples",
    "test/support",
)
EXECUTABLES = {
    "panda_sim", "predictor_node", "vjepa_convert", "vjepa_doctor", "vjepa_find", "vjepa_fleet", "vjepa_probe",
    "vjepa_replay", "vjepa_simulate", "vjepa_train",
}  # fmt: skip


# Waits until the node is seen by another process.
PROBE = """
import sys, time, rclpy
rclpy.init()
node = rclpy.create_node("probe")
deadline = time.monotonic() + 30
while "vjepa_predictor" not in node.get_node_names():
    if time.monotonic() > deadline:
        sys.exit(f"only these nodes after 30 s: {node.get_node_names()}")
    time.sleep(0.1)
rclpy.shutdown()
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A colcon workspace with a copy of the package, built."""
    folder = tmp_path_factory.mktemp("workspace")
    package = folder / "src" / "vjepa_ros"
    package.mkdir(parents=True)
    for name in SOURCE:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, package / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, package / name)
    built = subprocess.run(
        [sys.executable, "-m", "colcon", "build", "--event-handlers", "desktop_notification-"],
        cwd=folder,
        env=without_checkout() | {"COLCON_HOME": str(folder / "colcon")},
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    assert "1 package finished" in built.stdout, built.stdout
    return folder


def without_checkout() -> dict[str, str]:
    """The environment, but Python does not find the package in the checkout."""
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    paths = [path for path in paths if Path(path) not in (ROOT, ROOT / "test")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


def start(workspace: Path, *arguments: str | Path) -> subprocess.Popen[str]:
    """Start Python with the built package in the two variables that install/setup.bash puts it into.

    That file itself fails where the path of Python has a space in it, as it has in a checkout of such a name.
    """
    environment = without_checkout()
    prefix = workspace / "install" / "vjepa_ros"
    for variable, first in (("AMENT_PREFIX_PATH", prefix), ("PYTHONPATH", site_packages(workspace))):
        environment[variable] = os.pathsep.join(filter(None, [str(first), environment.get(variable)]))
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=workspace,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def site_packages(workspace: Path) -> Path:
    """Where the package was installed."""
    (folder,) = (workspace / "install" / "vjepa_ros" / "lib").glob("python3*/site-packages")
    return folder


def output_of(workspace: Path, code: str) -> str:
    """What a piece of Python prints in the built workspace."""
    process = start(workspace, "-c", code)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, output + errors
    return output.strip()


@pytest.mark.parametrize(
    "place",
    [
        "share/ament_index/resource_index/packages/vjepa_ros",
        "share/vjepa_ros/package.xml",
        "share/vjepa_ros/launch/predictor.launch.py",
        "share/vjepa_ros/launch/panda_sim.launch.py",
        "share/vjepa_ros/config/presets/tiny_random.yaml",
        *(f"lib/vjepa_ros/{name}" for name in sorted(EXECUTABLES)),
    ],
)
def test_ros_finds_its_files(workspace: Path, place: str) -> None:
    assert (workspace / "install/vjepa_ros" / place).is_file()


def test_nothing_else_is_installed(workspace: Path) -> None:
    """No benchmark, test or example: not as a module, and not as a command."""
    assert {path.name for path in (workspace / "install/vjepa_ros/lib/vjepa_ros").iterdir()} == EXECUTABLES
    modules = {path.name for path in site_packages(workspace).iterdir() if path.suffix != ".egg-info"}
    assert modules - {"__pycache__"} == {"vjepa_ros"}


def test_no_file_is_left_behind(workspace: Path) -> None:
    """Subpackages and their data that setup.py forgets, and files in a folder that it does not look into."""
    for source, installed in [
        (ROOT / "vjepa_ros", site_packages(workspace) / "vjepa_ros"),
        (ROOT / "launch", workspace / "install/vjepa_ros/share/vjepa_ros/launch"),
        (ROOT / "config", workspace / "install/vjepa_ros/share/vjepa_ros/config"),
    ]:
        expected, found = (
            {file.relative_to(place) for file in place.rglob("*") if file.is_file() and "__pycache__" not in file.parts}
            for place in (source, installed)
        )
        assert expected and found == expected


def test_presets_are_found_where_they_were_installed(workspace: Path) -> None:
    load = "from vjepa_ros.config.presets import load_preset; load_preset('tiny_random')"
    output = output_of(workspace, f"{load}; import vjepa_ros; print(vjepa_ros.__file__)")
    assert Path(output).is_relative_to(workspace / "install")


def test_the_converter_starts(workspace: Path) -> None:
    executable = workspace / "install/vjepa_ros/lib/vjepa_ros/vjepa_convert"
    assert os.access(executable, os.X_OK)
    output, errors = start(workspace, executable, "--help").communicate(timeout=60)
    assert "CHECKPOINT [OUT.safetensors]" in output, errors


def test_the_executable_starts_the_node(workspace: Path) -> None:
    executable = workspace / "install/vjepa_ros/lib/vjepa_ros/predictor_node"
    assert os.access(executable, os.X_OK)
    # Through Python: the first line of a script cannot name an interpreter whose path has a space in it.
    node = start(workspace, executable)
    try:
        output_of(workspace, PROBE)
    finally:
        node.send_signal(signal.SIGINT)
        try:
            _, errors = node.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            node.kill()
            raise
    assert "Traceback" not in errors
