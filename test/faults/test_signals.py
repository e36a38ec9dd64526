"""A signal in the middle of a long window: the node ends at once, cleanly, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from faults.table import Row
from ros.harness import Predictor, Robot

FAULTY = str(Path(__file__).with_name("faulty.py"))
SHARED_MEMORY = Path("/dev/shm")


@contextmanager
def in_a_long_window(tmp_path: Path, **parameters: object) -> Iterator[tuple[Predictor, Robot]]:
    """The active node, at the beginning of a window that takes four seconds."""
    predictor = Predictor(tmp_path / "log.txt", dict(parameters), program=[FAULTY, "endless"])
    robot = Robot()
    try:
        robot.start()
        robot.send_frames(0, 60)
        assert robot.spin(lambda: "a long window begins" in predictor.log)
        yield predictor, robot
    finally:
        predictor.process.kill()
        robot.executor_.shutdown()
        robot.destroy_node()


@pytest.mark.parametrize(
    ("signal_", "queue"),
    [
        pytest.param(signal.SIGINT, "all", marks=pytest.mark.fault("SIGINT in the middle of an inference")),
        pytest.param(signal.SIGTERM, "latest", marks=pytest.mark.fault("SIGTERM in the middle of an inference")),
    ],
)
def test_signals(row: Row, tmp_path: Path, signal_: int, queue: str) -> None:
    """With ``all`` and one place in the queue the callbacks wait for the model when the signal comes."""
    with in_a_long_window(tmp_path, queue=queue, queue_size=1) as (predictor, _):
        made = segments(predictor.process.pid)
        assert made, "it talks through shared memory"
        started_s = time.monotonic()
        predictor.process.send_signal(signal_)
        assert predictor.process.wait(10.0) == 0, predictor.log
        took_s = time.monotonic() - started_s
        assert took_s < 2.0, predictor.log
        assert "Traceback" not in predictor.log and "terminate called" not in predictor.log
        assert [path.name for path in made if path.exists()] == []
    row.injected, row.lost = (
        "in a window of 4 s",
        f"that window; ended with 0 after {took_s:.1f} s, no shared memory left",
    )


def segments(pid: int) -> list[Path]:
    """Shared memory of a process that no other one has mapped."""

    def mapped(process: str) -> set[str]:
        try:
            lines = Path(f"/proc/{process}/maps").read_text(encoding="utf-8").splitlines()
        except OSError:  # it has ended, or is not ours
            return set()
        return {line.split()[5] for line in lines if str(SHARED_MEMORY) in line}

    others = {
        name for process in os.listdir("/proc") if process.isdigit() and process != str(pid) for name in mapped(process)
    }
    names = mapped(str(pid)) - others
    return [Path(name + suffix) for name in sorted(names) for suffix in ("", "_el") if Path(name + suffix).exists()]
