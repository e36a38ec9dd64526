"""A worker whose computations wait until they are let go: what its tests share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from vjepa_ros.worker import Worker

LONG_S = 10.0  # never reached unless something hangs
SHORT_S = 0.1  # long enough to see that something waits


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread does."""
    deadline_s = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < deadline_s, "it never happened"
        time.sleep(0.001)


class Bench:
    """A worker whose computations wait until they are let go, and what came of them."""

    def __init__(
        self,
        *,
        lossless: bool = False,
        size: int = 2,
        max_failures: int = 3,
        on_room: Callable[[], None] = lambda: None,
    ) -> None:
        self.started = threading.Semaphore(0)
        self.gate = threading.Semaphore(0)
        self.delivered: list[tuple[str, str]] = []
        self.computed: list[str] = []
        self.failures: list[Exception] = []
        self.failed = threading.Event()
        self.raises: Callable[[str], Exception | None] = lambda job: None
        self.worker: Worker[str, str] = Worker(
            self._compute,
            self._deliver,
            self._on_failure,
            lossless=lossless,
            size=size,
            max_failures=max_failures,
            on_room=on_room,
        )

    def _compute(self, job: str) -> str:
        self.computed.append(job)
        self.started.release()
        assert self.gate.acquire(timeout=LONG_S)
        error = self.raises(job)
        if error is not None:
            raise error
        return job.upper()

    def _deliver(self, job: str, result: str) -> None:
        self.delivered.append((job, result))

    def _on_failure(self, error: Exception) -> None:
        self.failures.append(error)
        self.failed.set()

    def wait_until_computing(self) -> None:
        assert self.started.acquire(timeout=LONG_S)

    def let_go(self, jobs: int = 1) -> None:
        self.gate.release(jobs)


def benches() -> Iterator[Callable[..., Bench]]:
    """Makes benches; in the end their threads must be gone."""
    made: list[Bench] = []

    def make(**options: Any) -> Bench:
        made.append(Bench(**options))
        made[-1].worker.start()
        return made[-1]

    yield make
    for one in made:
        one.let_go(100)
        assert one.worker.stop(LONG_S)
    assert [thread.name for thread in threading.enumerate() if thread.name == "vjepa_worker"] == []


def in_thread(call: Callable[[], bool]) -> tuple[threading.Thread, list[bool]]:
    """A call in a thread of its own, and the list that gets its answer."""
    answer: list[bool] = []
    thread = threading.Thread(target=lambda: answer.append(call()))
    thread.start()
    return thread, answer
