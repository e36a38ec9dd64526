"""One predictor process and one robot per test file; a file may define ``predictor_parameters``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import rclpy
from support.harness import Predictor, Robot


@pytest.fixture(scope="session", autouse=True)
def ros() -> Iterator[None]:
    if not rclpy.ok():  # test/faults shares this file
        rclpy.init()
    yield
    rclpy.try_shutdown()


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Predictor]:
    process = Predictor(tmp_path_factory.mktemp("predictor") / "log.txt")
    yield process
    assert process.stop() == 0, process.log


@pytest.fixture(scope="module")
def robot(predictor: Predictor) -> Iterator[Robot]:
    node = Robot()
    yield node
    node.executor_.shutdown()
    node.destroy_node()


@pytest.fixture
def log_path(tmp_path: Path) -> Path:
    return tmp_path / "log.txt"
