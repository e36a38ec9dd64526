"""The worker's slot, queue and epochs, with real threads that wait for each other instead of sleeping."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from support.worker_bench import LONG_S, SHORT_S, Bench, benches, in_thread, wait_until

from vjepa_ros.errors import EngineError
from vjepa_ros.worker import Worker


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    yield from benches()


def test_only_the_newest_job_waits(bench: Callable[..., Bench]) -> None:
    b = bench()
    assert b.worker.submit(0, "a")
    b.wait_until_computing()
    for job in "bcd":
        assert b.worker.submit(0, job)
    assert b.worker.waiting == 1
    b.let_go(2)
    wait_until(lambda: b.worker.counters.done == 2)
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
    wait_until(lambda: b.worker.counters.done == 4)
    assert b.delivered == [("a", "A"), ("b", "B"), ("c", "C"), ("d", "D")]
    assert b.worker.counters.superseded == 0


def test_a_sender_that_asks_for_room_never_waits(bench: Callable[..., Bench]) -> None:
    rooms: list[int] = []
    b: Bench = bench(lossless=True, size=1, on_room=lambda: rooms.append(b.worker.waiting))
    b.worker.submit(0, "a")
    b.wait_until_computing()
    wait_until(lambda: rooms == [0])
    assert b.worker.has_room and b.worker.submit(0, "b")
    assert not b.worker.has_room
    b.let_go()
    wait_until(lambda: rooms == [0, 0] and b.worker.has_room)
    b.worker.submit(0, "c")
    b.worker.start_epoch(1, thrown_away=2)
    assert b.worker.counters.outdated == 3 and b.worker.has_room
    b.let_go()
    wait_until(lambda: b.worker.counters.outdated == 4)
    assert b.worker.stop(LONG_S) and b.worker.has_room, "there is nothing to wait for"


def test_whoever_waits_for_room_hears_of_the_end(bench: Callable[..., Bench]) -> None:
    rooms: list[bool] = []
    b: Bench = bench(lossless=True, size=1, on_room=lambda: rooms.append(b.worker.has_room))
    b.raises = lambda job: ValueError("a bug")
    b.worker.submit(0, "broken")
    b.let_go()
    wait_until(lambda: b.worker.failed is not None and len(rooms) == 2)
    assert rooms[-1] and not b.worker.submit(0, "b")


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
    wait_until(lambda: b.worker.waiting == 0)  # stop has begun
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
    wait_until(lambda: b.worker.counters.done == 1)
    assert b.delivered == [("c", "C")]
    assert b.computed == ["a", "c"]
    assert b.worker.counters.outdated == 2


def test_what_is_submitted_for_an_older_epoch_is_not_delivered(bench: Callable[..., Bench]) -> None:
    b = bench(lossless=True, size=5)
    b.worker.start_epoch(3)
    b.let_go(2)
    b.worker.submit(2, "old")
    b.worker.submit(3, "new")
    wait_until(lambda: b.worker.counters.done == 1)
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
