"""What the worker does where the model fails, what it is given to do raises, or it is stopped meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from support.worker_bench import LONG_S, Bench, benches, in_thread, wait_until

from vjepa_ros.errors import EngineError
from vjepa_ros.worker import Worker


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    yield from benches()


def test_one_failure_is_tried_again(bench: Callable[..., Bench]) -> None:
    b = bench(max_failures=3)
    b.raises = lambda job: EngineError("a hiccup") if len(b.computed) in (1, 2, 4) else None
    b.let_go(5)
    b.worker.submit(0, "a")
    wait_until(lambda: b.worker.counters.done == 1)
    b.worker.submit(0, "b")  # the count starts anew with every success
    wait_until(lambda: b.worker.counters.done == 2)
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
    wait_until(lambda: not b.worker.submit(0, "b"))
    b.let_go()
    stopper.join(LONG_S)
    assert answer == [True]
    assert b.computed == ["a", "a"]
    assert b.failures == []
