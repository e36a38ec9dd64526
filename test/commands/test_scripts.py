"""The commands as `make setup` puts them beside the Python of the environment: for people without colcon."""

from __future__ import annotations

import importlib
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import bags, replays

ROOT = Path(__file__).parents[2]
SAMPLE = bags.sample()
SHORT = [message for message in SAMPLE if message.received_ns < SAMPLE[0].received_ns + 2 * bags.S]
COMMANDS = {f"vjepa_{name}" for name in ("convert", "doctor", "find", "fleet", "probe", "replay", "simulate", "train")}


@pytest.fixture(autouse=True)
def _of_the_first_ros(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever ROS these tests run on, the checkouts that they make have `.venv`."""
    monkeypatch.delenv("VJEPA_ROS_DISTRO", raising=False)


def entry_points(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What setup.py installs: module and function by name."""
    asked: dict[str, Any] = {}
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(importlib.import_module("setuptools"), "setup", lambda **values: asked.update(values))
    runpy.run_path("setup.py")
    return dict(line.split(" = ") for line in asked["entry_points"]["console_scripts"])


def checkout(folder: Path, *, system_site_packages: bool = False) -> Path:
    """A checkout without anything but what the commands need, with a stand-in for the environment's Python."""
    root = folder / "check out; of mine"
    for name in ("tools", "vjepa_ros", "config"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "package.xml", root)
    (root / ".venv" / "bin").mkdir(parents=True)
    said = "true" if system_site_packages else "false"
    (root / ".venv" / "pyvenv.cfg").write_text(f"include-system-site-packages = {said}\n")
    python(root, f'exec "{sys.executable}" "$@"')
    subprocess.run([root / "tools" / "commands.sh", root / ".venv" / "bin"], check=True)
    return root


def python(root: Path, does: str) -> None:
    """Have the checkout's Python do something."""
    path = root / ".venv" / "bin" / "python"
    path.write_text(f"#!/bin/bash\n{does}\n")
    path.chmod(0o755)


def scripts(root: Path) -> set[str]:
    """What lies beside the checkout's Python."""
    return {path.name for path in (root / ".venv" / "bin").iterdir()} - {"python"}


def test_every_command_is_installed_and_has_a_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = entry_points(monkeypatch)
    nodes = {"predictor_node": "vjepa_ros.ros.main:main", "panda_sim": "vjepa_ros.ros.panda_sim:main"}
    assert installed == nodes | {name: f"vjepa_ros.commands.{name.removeprefix('vjepa_')}:main" for name in COMMANDS}
    root = checkout(tmp_path)
    assert scripts(root) == COMMANDS
    assert all(os.access(root / ".venv" / "bin" / name, os.X_OK) for name in COMMANDS)


def test_scripts_follow_the_commands_and_leave_other_programs_alone(tmp_path: Path) -> None:
    root = checkout(tmp_path)
    (root / ".venv" / "bin" / "vjepa_other").write_text("#!/bin/sh\n")
    (root / "vjepa_ros" / "commands" / "probe.py").rename(root / "vjepa_ros" / "commands" / "dance.py")
    subprocess.run(["tools/commands.sh", ".venv/bin"], cwd=root, check=True)
    assert scripts(root) == COMMANDS - {"vjepa_probe"} | {"vjepa_dance", "vjepa_other"}


def test_a_script_runs_the_checkouts_code_where_it_is_called(tmp_path: Path) -> None:
    """From a folder with other code of that name, through a link, with paths relative to that folder."""
    root = checkout(tmp_path)
    here = tmp_path / "here"
    (here / "vjepa_ros").mkdir(parents=True)
    (here / "vjepa_ros" / "__init__.py").write_text("raise RuntimeError('the wrong one')\n")
    bags.write(here / "bag", SHORT)
    (here / "link").symlink_to(root / ".venv" / "bin" / "vjepa_replay")
    with (root / "vjepa_ros" / "commands" / "replay.py").open("a") as file:
        file.write("\n")  # the same, but for its place
    options = ("--params", replays.PARAMS, "-o", "an out", "--windows-only", "--set", "threads=1")
    done = subprocess.run(["./link", "bag", *options], cwd=here, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("an out: ")
    assert (here / "an out" / "report.json").is_file()
    assert subprocess.run(["./link"], cwd=here, capture_output=True, timeout=60).returncode == 2


def test_another_ros_has_an_environment_of_its_own(tmp_path: Path) -> None:
    root = checkout(tmp_path)
    shutil.copytree(root / ".venv", root / ".venv-kilted")
    subprocess.run([root / "tools" / "commands.sh", root / ".venv-kilted" / "bin"], check=True)
    for venv in (".venv", ".venv-kilted"):
        (root / venv / "bin" / "python").write_text(f"#!/bin/sh\necho {venv}\n")

    def called(program: str, **environment: str) -> str:
        run = subprocess.run([root / program], env=os.environ | environment, capture_output=True, text=True, check=True)
        return run.stdout.strip()

    assert called("tools/run.sh") == called("tools/run.sh", VJEPA_ROS_DISTRO="jazzy") == ".venv"
    assert called("tools/run.sh", VJEPA_ROS_DISTRO="kilted") == ".venv-kilted"
    assert called(".venv-kilted/bin/vjepa_doctor") == ".venv-kilted", "a command is that of the folder it lies in"
    refused = subprocess.run(
        [root / "tools" / "setup.sh"], env=os.environ | {"VJEPA_ROS_DISTRO": "foxy"}, capture_output=True, text=True
    )
    assert refused.returncode == 1
    assert refused.stderr == "set-up: there are wheels for ROS=jazzy and ROS=kilted, not for ROS=foxy.\n"


@pytest.mark.parametrize("sourced", [False, True])
def test_the_environment_is_that_of_run_sh(tmp_path: Path, sourced: bool) -> None:
    root, here = checkout(tmp_path, system_site_packages=sourced), tmp_path / "here"
    here.mkdir()
    python(root, "pwd; env -0")
    given = os.environ | {"PYTHONPATH": "/of/ros", "AMENT_PREFIX_PATH": "/opt/ros", "PYTHONHOME": "/x"}
    del given["TMPDIR"]

    def environment(program: str, **more: str) -> tuple[str, dict[str, str]]:
        """(the folder, the variables) in which the Python was called."""
        done = subprocess.run([root / program], cwd=here, env=given | more, capture_output=True, text=True, check=True)
        where, variables = done.stdout.split("\n", 1)
        pairs = (pair.partition("=") for pair in variables.split("\0") if pair)
        return where, {name: value for name, _, value in pairs if name not in ("PWD", "OLDPWD", "_", "SHLVL")}

    in_root, of_run = environment("tools/run.sh")
    in_here, of_script = environment(".venv/bin/vjepa_replay")
    assert (in_root, in_here) == (str(root), str(here))
    assert of_script == of_run
    assert of_run["PYTHONPATH"].split(":") == [str(root), str(root / "test"), *(["/of/ros"] if sourced else [])]
    assert ("AMENT_PREFIX_PATH" in of_run) == sourced and "PYTHONHOME" not in of_run
    assert of_run["TMPDIR"] == str(root / "build" / "tmp")
    assert environment(".venv/bin/vjepa_replay", TMPDIR=str(here))[1]["TMPDIR"] == str(here)
