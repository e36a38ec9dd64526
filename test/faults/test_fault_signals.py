"""A signal in the middle of a long window: the node ends at once, cleanly, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from support.fault_table import Row
from support.harness import Predictor, Robot

FAULTY, SLOW_LOADING = (
    str(Path(__file__).parents[1] / "support" / name) for name in ("faulty_node.py", "slow_loading_node.py")
)
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


@contextmanager
def at_work(tmp_path: Path, name: str, **options: Any) -> Iterator[tuple[subprocess.Popen[bytes], Path, set[Path]]]:
    """An active node to which messages come, its log, and what it has made in shared memory."""
    before = set(SHARED_MEMORY.iterdir())
    robot, log = Robot(), tmp_path / f"{name}.txt"
    robots = segments(os.getpid())
    predictor = Predictor(log, **options)
    try:
        robot.start()
        robot.send_frames(0, 20)
        yield predictor.process, log, segments(predictor.process.pid) - before - robots
        assert predictor.process.wait(10.0) == 0, predictor.log
        assert not [word for word in ("Traceback", "terminate called", "the model has failed") if word in predictor.log]
    finally:
        predictor.process.kill()
        robot.close()


@pytest.mark.timeout(300)
@pytest.mark.fault("a second SIGINT within half a second")
def test_two_interrupts(row: Row, tmp_path: Path) -> None:
    """Of a terminal and of ``ros2 launch``: the second comes in the middle of closing, at another place each time."""
    delays_s = (0.0, 0.01, 0.05, 0.15, 0.45)
    for number, delay_s in enumerate(delays_s):
        with at_work(tmp_path, str(number)) as (process, _, made):
            for _ in range(2):
                process.send_signal(signal.SIGINT)
                time.sleep(delay_s)
        assert left_of(made) == []
    row.injected, row.lost = f"{len(delays_s)} times, up to {max(delays_s)} s apart", "nothing: ended with 0 each time"


@pytest.mark.timeout(300)
@pytest.mark.fault("SIGHUP, and a closed terminal")
def test_hangup(row: Row, tmp_path: Path) -> None:
    for number in range(2):
        with at_work(tmp_path, str(number)) as (process, _, made):
            process.send_signal(signal.SIGHUP)
        assert left_of(made) == []
    ours, its = os.openpty()
    with at_work(tmp_path, "terminal", terminal=its) as (_, log, made):
        os.close(its)
        assert b"epoch" not in log.read_bytes(), "what it prints goes to the terminal"
        os.close(ours)  # as a closed window does
    assert left_of(made) == []
    row.injected, row.lost = "2 times, and 1 time a terminal", "nothing: ended with 0 each time, no shared memory left"


@contextmanager
def loading(tmp_path: Path, seconds: float, name: str) -> Iterator[tuple[Predictor, set[Path]]]:
    """The node while it configures, and what it has made in shared memory."""
    before = set(SHARED_MEMORY.iterdir())
    robot = Robot()
    robots = segments(os.getpid())
    predictor = Predictor(tmp_path / f"{name}.txt", program=[SLOW_LOADING, str(seconds)])
    try:
        client = robot.create_client(ChangeState, "/vjepa_predictor/change_state")
        assert client.wait_for_service(robot.timeout_s)
        robot.settle(0.2)
        request = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_CONFIGURE))
        client.call_async(request)
        assert robot.spin(lambda: "loading begins" in predictor.log), predictor.log
        yield predictor, segments(predictor.process.pid) - before - robots
        assert not [word for word in ("Traceback", "terminate called", "cannot configure") if word in predictor.log]
    finally:
        predictor.process.kill()
        robot.close()


@pytest.mark.timeout(300)
@pytest.mark.fault("signals while a model is loaded")
def test_loading(row: Row, tmp_path: Path) -> None:
    """One signal ends the node, long before the model would be there."""
    for signal_ in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with loading(tmp_path, 120.0, signal_.name) as (predictor, made):
            predictor.process.send_signal(signal_)
            assert predictor.process.wait(30.0) == 0, predictor.log
            assert "loading ends" not in predictor.log
        assert left_of(made) == []
    row.injected = "SIGINT, SIGTERM, SIGHUP, while it would load for 120 s"
    row.lost = "nothing: ended with 0 at once each time; no shared memory left"


def left_of(made: set[Path]) -> list[str]:
    """What is still there and no process has mapped; some ports are shared with whatever else runs on the machine."""
    used: set[Path] = set()
    for folder in Path("/proc").iterdir():
        with suppress(OSError):  # it has just ended, or is not ours to look into
            used |= segments(int(folder.name)) if folder.name.isdigit() else set()
    return sorted(path.name for path in made - used if path.exists())


def segments(pid: int) -> set[Path]:
    """Files in /dev/shm that a process has mapped, with the lock files beside them."""
    lines = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines()
    names = {line.split()[5] for line in lines if str(SHARED_MEMORY) in line}
    return {path for name in names for path in (Path(name), Path(name + "_el")) if path.exists()}
