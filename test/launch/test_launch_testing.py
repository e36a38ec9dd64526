"""Every launch file as launch_testing runs it: the files in launch_tests, each by ``launch_test`` in its process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).with_name("launch_tests")
# In the place of `ros2` where there is none: the player of the other tests.
PLAYER = '#!/bin/sh\nexec "{python}" -m support.bag_play "$@"\n'


@pytest.mark.parametrize("name", ["predictor", "planner", "panda_sim", "replay"])
def test_the_launch_file_passes_its_launch_test(name: str, share: Path, tmp_path: Path) -> None:
    pytest.importorskip("launch_testing")
    if name == "replay":
        pytest.importorskip("rosbag2_interfaces")
    path = os.environ["PATH"]
    if shutil.which("ros2") is None:
        player = tmp_path / "bin" / "ros2"
        player.parent.mkdir()
        player.write_text(PLAYER.format(python=sys.executable), encoding="utf-8")
        player.chmod(0o755)
        path = f"{player.parent}{os.pathsep}{path}"
    assert share.is_dir()
    done = subprocess.run(
        [sys.executable, "-m", "launch_testing.launch_test", str(FOLDER / f"{name}.py")],
        env=os.environ | {"PATH": path}, capture_output=True, text=True, timeout=110,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert said.count("\nOK\n") == 2, said  # while it runs, and afterwards
