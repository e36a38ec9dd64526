"""The worker's slot, queue, epochs and failures, with real threads that wait for each other instead of sleeping."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from vjepa_ros.errors import EngineError
from vjepa_ros.worker import Worker

LONG_S = 10.0  # never reached unless something hangs
SHORT_S = 0.1  # long enough to see that something waits


class Bench:
    """A worker whose computations wait until they are let go, and what came of them."""

    def __init__(self, *, lossless: bool = False, size: int = 2, max_failures: int = 3) -> None:
        self.started = threading.Semaphore(0)
        self.gate = threading.Semaphore(0)
        self.delivered: list[tuple[str, str]] = []
        self.computed: list[str] = []
        self.failures: list[Exception] = []
        self.failed = threading.Event()
        self.raises: Callable[[str], Exception | None] = lambda job: None
        self.worker: Worker[str, str] = Worker(
            self._compute, self._deliver, self._on_failure, lossless=lossless, size=size, max_failures=max_failures
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

    def wait_until(self, condition: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + LONG_S
        while not condition():
            assert time.monotonic() < deadline_s, "it never happened"
            time.sleep(0.001)


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    """Makes benches; in the end their threads must be gone."""
    benches: list[Bench] = []

    def make(**options: Any) -> Bench:
        benches.append(Bench(**options))
        benches[-1].worker.start()
        return benches[-1]

    yield make
    for made in benches:
        made.let_go(100)
        assert made.worker.stop(LONG_S)
    assert [thread.name for thread in threading.enumerate() if thread.name == "vjepa_worker"] == []


def in_thread(call: Callable[[], bool]) -> tuple[threading.Thread, list[bool]]:
    """A call in a thread of its own, and the list that gets its answer."""
    answer: list[bool] = []
    thread = threading.Thread(target=lambda: answer.append(call()))
    thread.start()
    return thread, answer


def test_only_the_newest_job_waits(bench: Callable[..., Bench]) -> None:
    b = bench()
    assert b.worker.submit(0, "a")
    b.wait_until_computing()
    for job in "bcd":
        assert b.worker.submit(0, job)
    assert b.worker.waiting == 1
    b.let_go(2)
    b.wait_until(lambda: b.worker.counters.done == 2)
    assert b.delivered == [("a", "A"), ("d", "D")]
    assert b.worker.counters.superseded == 2
    assert b.computed == ["a", "d"]


def test_a_lossless_queue_keeps_all_in_order_and_makes_the_sender_wait(bench: Callable[..., Bench]) -> None:
    b = bench(lossless=True, size=2)
    b.worker.submit(0, "a")
    b.wait_until_computing()
    assert b.worker.submit(0, "b")
    assert b.worker.submit(0, "c")
    assert b.worker.waiting == 2
    sender, answer = in_thread(lambda: b.worker.submit(0, "d"))
    sender.join(SHORT_S)
    assert sender.is_alive(), "there is no room: it must wait"
    b.let_go()
    sender.join(LONG_S)
    assert answer == [True]
    b.let_go(3)
    b.wait_until(lambda: b.worker.counters.done == 4)
    assert b.delivered == [("a", "A"), ("b", "B"), ("c", "C"), ("d", "D")]
    assert b.worker.counters.superseded == 0


def test_a_waiting_sender_is_released_by_stop(bench: Callable[..., Bench]) -> None:
    b = bench(lossless=True, size=1)
    b.worker.submit(0, "a")
    b.wait_until_computing()
    b.worker.submit(0, "b")
    sender, answer = in_thread(lambda: b.worker.submit(0, "c"))
    sender.join(SHORT_S)
    assert sender.is_alive()
    assert not b.worker.stop(SHORT_S), "the job that it is at has not ended"
    sender.join(LONG_S)
    assert answer == [False]
    b.let_go()
    assert b.worker.stop(LONG_S)
    assert b.computed == ["a"]
    assert b.delivered == []


def test_a_waiting_sender_is_released_by_a_failure(bench: Callable[..., Bench]) -> None:
    b = bench(lossless=True, size=1, max_failures=1)
    b.raises = lambda job: EngineError("broken")
    b.worker.submit(0, "a")
    b.wait_until_computing()
    b.worker.submit(0, "b")
    sender, answer = in_thread(lambda: b.worker.submit(0, "c"))
    sender.join(SHORT_S)
    assert sender.is_alive()
    b.let_go()
    sender.join(LONG_S)
    assert answer == [False]


def test_nothing_is_delivered_after_stop(bench: Callable[..., Bench]) -> None:
    b = bench()
    b.worker.submit(0, "a")
    b.wait_until_computing()
    b.worker.submit(0, "b")
    stopper, answer = in_thread(lambda: b.worker.stop(LONG_S))
    b.wait_until(lambda: b.worker.waiting == 0)  # stop has begun
    b.let_go()
    stopper.join(LONG_S)
    assert answer == [True]
    assert b.delivered == []
    assert b.worker.counters.done == 0
    assert not b.worker.submit(0, "c")


def test_a_new_epoch_drops_what_waits_and_what_is_being_computed(bench: Callable[..., Bench]) -> None:
    b = bench(lossless=True, size=5)
    b.worker.submit(0, "a")
    b.wait_until_computing()
    b.worker.submit(0, "b")
    b.worker.start_epoch(1)
    b.worker.submit(1, "c")
    b.let_go(2)
    b.wait_until(lambda: b.worker.counters.done == 1)
    assert b.delivered == [("c", "C")]
    assert b.computed == ["a", "c"]
    assert b.worker.counters.outdated == 2


def test_what_is_submitted_for_an_older_epoch_is_not_delivered(bench: Callable[..., Bench]) -> None:
    b = bench(lossless=True, size=5)
    b.worker.start_epoch(3)
    b.let_go(2)
    b.worker.submit(2, "old")
    b.worker.submit(3, "new")
    b.wait_until(lambda: b.worker.counters.done == 1)
    assert b.delivered == [("new", "NEW")]
    assert b.worker.counters.outdated == 1


def test_start_epoch_waits_for_a_delivery_under_way() -> None:
    delivering, go_on = threading.Event(), threading.Event()
    ended: list[str] = []

    def deliver(job: str, result: str) -> None:
        delivering.set()
        assert go_on.wait(LONG_S)
        ended.append(result)

    worker: Worker[str, str] = Worker(str.upper, deliver, print, lossless=False, size=1, max_failures=1)
    worker.start()
    worker.submit(0, "a")
    assert delivering.wait(LONG_S)
    ended_at_return: list[list[str]] = []

    def start_epoch() -> bool:
        worker.start_epoch(1)
        ended_at_return.append(list(ended))
        return True

    starter, answer = in_thread(start_epoch)
    starter.join(SHORT_S)
    assert starter.is_alive(), "a result of the old epoch is being delivered: it must wait"
    go_on.set()
    starter.join(LONG_S)
    assert answer == [True]
    assert ended_at_return == [["A"]]
    assert worker.stop(LONG_S)


def test_one_failure_is_tried_again(bench: Callable[..., Bench]) -> None:
    b = bench(max_failures=3)
    b.raises = lambda job: EngineError("a hiccup") if len(b.computed) in (1, 2, 4) else None
    b.let_go(5)
    b.worker.submit(0, "a")
    b.wait_until(lambda: b.worker.counters.done == 1)
    b.worker.submit(0, "b")  # the count starts anew with every success
    b.wait_until(lambda: b.worker.counters.done == 2)
    assert b.computed == ["a", "a", "a", "b", "b"]
    assert b.delivered == [("a", "A"), ("b", "B")]
    assert b.worker.counters.failures == 3
    assert b.failures == []
    assert b.worker.failed is None


@pytest.mark.parametrize("max_failures", [1, 3])
def test_after_too_many_failures_it_gives_up_and_says_so_once(bench: Callable[..., Bench], max_failures: int) -> None:
    b = bench(max_failures=max_failures, lossless=True, size=5)
    broken = EngineError("the GPU fell off the bus")
    b.raises = lambda job: broken
    b.worker.submit(0, "a")
    b.worker.submit(0, "b")
    b.let_go(10)
    assert b.failed.wait(LONG_S)
    assert b.failures == [broken]
    assert b.worker.failed is broken
    assert b.worker.counters.failures == max_failures
    assert b.computed == ["a"] * max_failures
    assert not b.worker.submit(0, "c")
    assert b.worker.waiting == 0
    assert b.worker.stop(LONG_S)
    assert b.failures == [broken]
    assert b.delivered == []


def test_a_bug_is_reported_and_not_tried_again(bench: Callable[..., Bench]) -> None:
    b = bench(max_failures=3)
    bug = ZeroDivisionError("a bug")
    b.raises = lambda job: bug
    b.let_go()
    b.worker.submit(0, "a")
    assert b.failed.wait(LONG_S)
    assert b.failures == [bug]
    assert b.worker.failed is bug
    assert b.computed == ["a"]
    assert not b.worker.submit(0, "b")


def test_an_exception_while_delivering_is_reported() -> None:
    failures: list[Exception] = []
    failed = threading.Event()

    def deliver(job: str, result: str) -> None:
        raise RuntimeError("the middleware is gone")

    def on_failure(error: Exception) -> None:
        failures.append(error)
        failed.set()

    worker: Worker[str, str] = Worker(str.upper, deliver, on_failure, lossless=False, size=1, max_failures=3)
    worker.start()
    worker.submit(0, "a")
    assert failed.wait(LONG_S)
    assert [str(error) for error in failures] == ["the middleware is gone"]
    assert worker.counters.done == 0
    worker.start_epoch(1)  # the lock around a delivery must be free again
    assert worker.stop(LONG_S)


def test_stop_ends_a_worker_that_keeps_failing(bench: Callable[..., Bench]) -> None:
    b = bench(max_failures=1_000_000)
    b.raises = lambda job: EngineError("again")
    b.worker.submit(0, "a")
    b.wait_until_computing()
    b.let_go()
    b.wait_until_computing()  # the second attempt
    stopper, answer = in_thread(lambda: b.worker.stop(LONG_S))
    b.wait_until(lambda: not b.worker.submit(0, "b"))
    b.let_go()
    stopper.join(LONG_S)
    assert answer == [True]
    assert b.computed == ["a", "a"]
    assert b.failures == []


def test_it_measures_how_long_a_result_takes() -> None:
    done = threading.Event()

    def compute(job: str) -> str:
        time.sleep(0.03)
        return job

    worker: Worker[str, str] = Worker(
        compute, lambda job, result: done.set(), print, lossless=False, size=1, max_failures=1
    )
    worker.start()
    worker.submit(0, "a")
    assert done.wait(LONG_S)
    assert worker.stop(LONG_S)
    assert 30 <= worker.compute_ms < 5_000


def test_stop_before_start_and_twice() -> None:
    worker: Worker[str, str] = Worker(str.upper, print, print, lossless=False, size=1, max_failures=1)
    assert not worker.submit(0, "a")
    assert worker.stop(LONG_S)
    worker.start()
    assert worker.stop(LONG_S)
    assert worker.stop(LONG_S)
