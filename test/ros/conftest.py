"""One predictor process and one robot per test file; every test finds both as the first one did.

A file may define a ``predictor`` of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy
from support.harness import Predictor, Robot


@pytest.fixture(scope="session", autouse=True)
def ros() -> Iterator[None]:
    if not rclpy.ok():  # test/faults shares this file
        rclpy.init()
    yield
    rclpy.try_shutdown()


@pytest.fixture(scope="session", autouse=True)
def one_thread(ros: None) -> Iterator[None]:
    """What these tests compute themselves, they compute in one thread: the node, a process of its own, has the others.

    With two, threads of torch that wait for each other kept both cores busy, and seconds became minutes.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def parameters() -> dict[str, Any]:
    """Of the predictor, over those of the harness: a file that wants any has a fixture of this name."""
    return {}


@pytest.fixture(scope="module")
def predictor(parameters: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Predictor]:
    process = Predictor(tmp_path_factory.mktemp("predictor") / "log.txt", parameters)
    yield process
    assert process.stop() == 0, process.log


@pytest.fixture(scope="module")
def robot(predictor: Predictor) -> Iterator[Robot]:
    node = Robot()
    yield node
    node.close()


@pytest.fixture(autouse=True)
def put_back(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a test has set, subscribed or left running on the file's predictor and robot ends with the test."""
    if "robot" not in request.fixturenames:
        yield
        return
    robot: Robot = request.getfixturevalue("robot")
    with robot.borrowed():
        yield


@pytest.fixture
def log_path(tmp_path: Path) -> Path:
    return tmp_path / "log.txt"
