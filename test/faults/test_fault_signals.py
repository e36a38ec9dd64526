"""A signal in the middle of a long window: the node ends at once, cleanly, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.fault_table import Row
from support.harness import Predictor, Robot

FAULTY = str(Path(__file__).parents[1] / "support" / "faulty_node.py")
SHARED_MEMORY = Path("/dev/shm")


@contextmanager
def in_a_long_window(tmp_path: Path, **parameters: object) -> Iterator[tuple[Predictor, set[Path]]]:
    """The active node, at the beginning of a window that takes four seconds, and the shared memory of the robot."""
    robot = Robot()
    robots = segments(os.getpid())
    (tmp_path / "fault").write_text("endless", encoding="utf-8")
    predictor = Predictor(tmp_path / "log.txt", dict(parameters), program=[FAULTY, str(tmp_path / "fault")])
    try:
        robot.start()
        robot.send_frames(0, 60)
        assert robot.spin(lambda: "a long window begins" in predictor.log)
        yield predictor, robots
    finally:
        predictor.process.kill()
        robot.close()


@pytest.mark.parametrize(
    ("signal_", "queue"),
    [
        pytest.param(signal.SIGINT, "all", marks=pytest.mark.fault("SIGINT in the middle of an inference")),
        pytest.param(signal.SIGTERM, "latest", marks=pytest.mark.fault("SIGTERM in the middle of an inference")),
    ],
)
def test_signals(row: Row, tmp_path: Path, signal_: int, queue: str) -> None:
    """With ``all`` and one place in the queue the callbacks wait for the model when the signal comes."""
    before = set(SHARED_MEMORY.iterdir())
    with in_a_long_window(tmp_path, queue=queue, queue_size=1) as (predictor, robots):
        made = segments(predictor.process.pid) - before - robots
        assert made, "it talks through shared memory"
        started_s = time.monotonic()
        predictor.process.send_signal(signal_)
        assert predictor.process.wait(10.0) == 0, predictor.log
        took_s = time.monotonic() - started_s
        assert took_s < 2.0, predictor.log
        assert "Traceback" not in predictor.log and "terminate called" not in predictor.log
    # The robot, too, had the node's ports open: the last one to leave removes them.
    assert sorted(path.name for path in made if path.exists()) == []
    row.injected, row.lost = (
        "in a window of 4 s",
        f"that window; ended with 0 after {took_s:.1f} s, no shared memory left",
    )


def segments(pid: int) -> set[Path]:
    """Files in /dev/shm that a process has mapped, with the lock files beside them."""
    lines = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines()
    names = {line.split()[5] for line in lines if str(SHARED_MEMORY) in line}
    return {path for name in names for path in (Path(name), Path(name + "_el")) if path.exists()}
