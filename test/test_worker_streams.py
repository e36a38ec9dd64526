"""The worker with several streams: whose jobs wait, which are computed together, and whose epochs they are of."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import pytest
from support.worker_bench import LONG_S, wait_until

from vjepa_ros.errors import EngineError
from vjepa_ros.jobs import Company, Job, Jobs
from vjepa_ros.worker import Worker

LEFT, RIGHT = 0, 1


class Bench:
    """A worker for two streams, whose computations wait until they are let go."""

    def __init__(self, *, lossless: bool = False, size: int = 8) -> None:
        self.started, self.gate = threading.Semaphore(0), threading.Semaphore(0)
        self.calls: list[list[str]] = []
        self.delivered: list[tuple[str, str]] = []
        self.has_delivered = threading.Semaphore(0)
        self.broken = 0  # calls that fail
        self.worker: Worker[str, str] = Worker(
            lambda job: self._compute([job])[0], self._deliver, print, lossless=lossless, size=size, max_failures=3,
            streams=2, together=self._compute,
        )  # fmt: skip
        self.worker.start()

    def _compute(self, jobs: Sequence[str]) -> list[str]:
        self.calls.append(list(jobs))
        self.started.release()
        assert self.gate.acquire(timeout=LONG_S)
        if self.broken:
            self.broken -= 1
            raise EngineError("out of memory")
        return [job.upper() for job in jobs]

    def _deliver(self, job: str, result: str) -> None:
        self.delivered.append((job, result))
        self.has_delivered.release()

    def busy(self, job: str = "first") -> None:
        """Have the worker at a job of the left stream."""
        self.worker.submit(0, job, stream=LEFT)
        assert self.started.acquire(timeout=LONG_S)

    def let_go(self, calls: int, jobs: int) -> None:
        self.gate.release(calls)
        for _ in range(jobs):
            assert self.has_delivered.acquire(timeout=LONG_S)


@pytest.fixture(params=[False])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    made = Bench(lossless=request.param)
    yield made
    made.gate.release(100)
    assert made.worker.stop(LONG_S)


def test_the_newest_job_of_each_stream_waits_and_they_are_computed_together(bench: Bench) -> None:
    bench.busy()
    for job, stream in (("l1", LEFT), ("r1", RIGHT), ("r2", RIGHT), ("l2", LEFT), ("r3", RIGHT)):
        assert bench.worker.submit(0, job, stream=stream)
    assert bench.worker.waiting == 2 and bench.worker.counters.superseded == 3
    bench.let_go(2, 3)
    assert bench.calls[0] == ["first"] and sorted(bench.calls[1]) == ["l2", "r3"]
    assert sorted(bench.delivered[1:]) == [("l2", "L2"), ("r3", "R3")]
    wait_until(lambda: bench.worker.counters.done == 3)
    assert bench.worker.counters.together == 2


@pytest.mark.parametrize("bench", [True], indirect=True)
def test_a_lossless_queue_keeps_the_order_of_each_stream(bench: Bench) -> None:
    bench.busy()
    for job, stream in (("l1", LEFT), ("l2", LEFT), ("r1", RIGHT), ("l3", LEFT), ("r2", RIGHT)):
        assert bench.worker.submit(0, job, stream=stream)
    bench.let_go(4, 6)
    assert [sorted(call) for call in bench.calls] == [["first"], ["l1", "r1"], ["l2", "r2"], ["l3"]]
    assert bench.worker.counters.superseded == 0


def test_an_epoch_is_that_of_one_stream(bench: Bench) -> None:
    bench.busy()
    bench.worker.submit(0, "l1", stream=LEFT)
    bench.worker.submit(0, "r1", stream=RIGHT)
    bench.worker.start_epoch(1, stream=RIGHT)
    assert bench.worker.waiting == 1 and bench.worker.counters.outdated == 1
    bench.let_go(1, 1)  # of the left stream, whose epoch has gone on
    assert bench.started.acquire(timeout=LONG_S)
    bench.worker.submit(1, "r2", stream=RIGHT)
    bench.worker.start_epoch(1, stream=LEFT)  # while the model is at l1
    bench.let_go(2, 1)
    assert [job for job, _ in bench.delivered] == ["first", "r2"] and bench.worker.counters.outdated == 2


def test_jobs_that_failed_together_are_tried_again_together(bench: Bench) -> None:
    bench.busy()
    bench.worker.submit(0, "l1", stream=LEFT)
    bench.worker.submit(0, "r1", stream=RIGHT)
    bench.let_go(1, 1)
    assert bench.started.acquire(timeout=LONG_S)
    bench.broken = 2
    bench.let_go(3, 2)
    assert bench.calls[1:] == [["l1", "r1"]] * 3 and bench.worker.counters.failures == 2


def test_where_only_the_newest_are_kept_from_now_on_older_ones_of_each_stream_go() -> None:
    bench = Bench(lossless=True)
    bench.busy()
    for job, stream in (("l1", LEFT), ("l2", LEFT), ("r1", RIGHT), ("r2", RIGHT)):
        bench.worker.submit(0, job, stream=stream)
    bench.worker.resize(lossless=False, size=8)
    bench.let_go(2, 3)
    assert bench.calls[1:] == [["l2", "r2"]] and bench.worker.counters.superseded == 2
    assert bench.worker.stop(LONG_S)


def test_a_stream_is_waited_for_that_usually_comes_close_after_another() -> None:
    company = Company(0.02)
    company.came(LEFT, 1.0)
    assert company.missing([LEFT]) == set(), "nothing is known of the other"
    company.came(RIGHT, 1.015)
    assert company.missing([LEFT]) == {RIGHT} and company.missing([RIGHT]) == {LEFT}
    assert company.missing([LEFT, RIGHT]) == set()


def test_a_stream_that_stalls_is_waited_for_once() -> None:
    company = Company(0.02)
    for stream, at_s in ((0, 1.0), (1, 1.005), (2, 1.01)):
        company.came(stream, at_s)
    assert company.missing([0]) == {1, 2}
    company.came(0, 2.0)
    company.came(1, 2.005)
    company.not_come([0, 1])
    assert company.missing([0, 1]) == set() and company.missing([0]) == {1}
    company.came(2, 3.0)  # it is back, but on its own
    assert company.missing([2]) == set()
    company.came(0, 4.0)
    company.came(2, 4.01)
    assert company.missing([0]) == {1, 2}


def test_streams_that_never_come_close_never_wait() -> None:
    company = Company(0.02)
    for round_ in range(5):
        company.came(LEFT, float(round_))
        company.came(RIGHT, round_ + 0.5)
        assert company.missing([LEFT]) == company.missing([RIGHT]) == set()


def test_one_that_is_replaced_again_and_again_is_held_back_no_longer_for_it() -> None:
    jobs: Jobs[str] = Jobs(0.02)
    jobs.add(Job(LEFT, 0, "l0", 1.0))
    jobs.add(Job(RIGHT, 0, "r0", 1.001))
    assert jobs.held_back_s(1.001) == 0 and [job.what for job in jobs.take()] == ["l0", "r0"]
    for place in range(4):  # and the right one has stalled
        at_s = 2.0 + place * 0.007
        jobs.add(Job(LEFT, 0, f"l{place}", at_s))
        assert jobs.keep_newest() == (place > 0)
        assert jobs.held_back_s(at_s) == pytest.approx(max(0.0, 2.02 - at_s))
    assert [job.what for job in jobs.take()] == ["l3"]
    jobs.add(Job(LEFT, 0, "l4", 3.0))
    assert jobs.held_back_s(3.0) == 0, "it has been waited for in vain"


def test_each_job_of_a_queue_is_held_back_from_its_own_time() -> None:
    jobs: Jobs[str] = Jobs(0.02)
    for stream, at_s in ((LEFT, 1.0), (RIGHT, 1.001), (LEFT, 1.01)):
        jobs.add(Job(stream, 0, f"{stream} {at_s}", at_s))
    assert len(jobs.take()) == 2 and jobs.held_back_s(1.01) == pytest.approx(0.02)
    jobs.clear()
    assert len(jobs) == 0 and jobs.held_back_s(1.01) == 0


def test_a_job_is_delivered_though_the_other_stream_stalls(bench: Bench) -> None:
    bench.busy()
    bench.worker.submit(0, "l1", stream=LEFT)
    bench.worker.submit(0, "r1", stream=RIGHT)
    bench.let_go(2, 3)
    bench.worker.submit(0, "l2", stream=LEFT)
    bench.let_go(1, 1)
    assert bench.calls[-1] == ["l2"]
