"""An installed package without an installation: an ament prefix that points at the checkout."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _launch_is_installed() -> None:
    """Skip every test here where a part of the launch system is missing."""
    pytest.importorskip("launch")
    pytest.importorskip("launch_ros")


@pytest.fixture
def share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``share/vjepa_ros`` of a prefix at the head of AMENT_PREFIX_PATH, as an installation would lay it out."""
    prefix = tmp_path / "prefix"
    share = prefix / "share" / "vjepa_ros"
    index = prefix / "share" / "ament_index" / "resource_index" / "packages"
    executables = prefix / "lib" / "vjepa_ros"
    for folder in (share, index, executables):
        folder.mkdir(parents=True)
    (index / "vjepa_ros").touch()
    for installed in ("launch", "config"):
        shutil.copytree(REPOSITORY / installed, share / installed)
    for name, module in (("predictor_node", "vjepa_ros.ros.main"), ("panda_sim", "vjepa_ros.ros.panda_sim")):
        (executables / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"\n')
        (executables / name).chmod(0o755)
    for name, first in (("AMENT_PREFIX_PATH", prefix), ("PYTHONPATH", REPOSITORY)):
        monkeypatch.setenv(name, os.pathsep.join(filter(None, [str(first), os.environ.get(name)])))
    return share
