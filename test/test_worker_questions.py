"""Questions between the worker's jobs: turns, order, bounds, epochs and failures; threads wait for each other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from vjepa_ros.errors import EngineError
from vjepa_ros.worker import Worker

LONG_S = 10.0  # never reached unless something hangs


class Bench:
    """A worker whose jobs and turns wait until they are let go, and what happened in which order."""

    def __init__(self, **options: Any) -> None:
        self.started = threading.Semaphore(0)
        self.gate = threading.Semaphore(0)
        self.events: list[Any] = []
        self.changed = threading.Condition()
        settings = {"lossless": True, "size": 10, "max_failures": 3, "max_questions": 2, **options}
        self.worker: Worker[str, str] = Worker(self.compute, lambda job, result: None, self.on_failure, **settings)

    def compute(self, job: str) -> str:
        self.hold(job)
        if job == "broken":
            raise EngineError("the GPU fell off the bus")
        return job

    def on_failure(self, error: Exception) -> None:
        self.add(f"given up: {error}")

    def hold(self, event: str) -> None:
        self.add(event)
        self.started.release()
        assert self.gate.acquire(timeout=LONG_S)

    def add(self, event: str) -> None:
        with self.changed:
            self.events.append(event)
            self.changed.notify_all()

    def wait_until_busy(self) -> None:
        assert self.started.acquire(timeout=LONG_S)

    def let_go(self, times: int = 100) -> None:
        self.gate.release(times)

    def wait_for(self, event: str) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: event in self.events, LONG_S), self.events


class Question:
    """Needs some turns; what it is told and when."""

    def __init__(self, bench: Bench, name: str, turns: int = 1, errors: dict[int, Exception] | None = None) -> None:
        self.bench, self.name, self.turns, self.errors = bench, name, turns, errors or {}
        self.called = 0
        self.epochs: list[int] = []
        self.failed: list[Exception] = []

    def turn(self, epoch: int) -> bool:
        self.called += 1
        self.epochs.append(epoch)
        self.bench.hold(f"{self.name}{self.called}")
        if self.called in self.errors:
            raise self.errors[self.called]
        return bool(self.failed) or self.called >= self.turns

    def fail(self, error: Exception) -> None:
        self.failed.append(error)

    def deliver(self) -> None:
        self.bench.add(f"{self.name} answered")


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
        made.let_go()
        assert made.worker.stop(LONG_S)


def test_jobs_and_turns_alternate_so_that_neither_starves(bench: Callable[..., Bench]) -> None:
    b = bench()
    b.worker.submit(0, "a")
    b.wait_until_busy()
    for job in "bcd":
        b.worker.submit(0, job)
    assert b.worker.ask(Question(b, "x", turns=2))
    assert b.worker.ask(Question(b, "y"))
    assert (b.worker.waiting, b.worker.waiting_questions) == (3, 2)
    b.let_go()
    b.wait_for("d")
    assert b.events == ["a", "x1", "b", "x2", "x answered", "c", "y1", "y answered", "d"]
    assert b.worker.counters.superseded == b.worker.counters.failures == 0


def test_a_question_without_jobs_takes_all_its_turns(bench: Callable[..., Bench]) -> None:
    b = bench()
    b.let_go()
    b.worker.ask(Question(b, "x", turns=3))
    b.wait_for("x answered")
    assert b.events == ["x1", "x2", "x3", "x answered"]
    assert b.worker.counters.done == 0, "questions are no jobs"


def test_a_question_displaces_no_window_and_no_window_displaces_it(bench: Callable[..., Bench]) -> None:
    b = bench(lossless=False)
    b.worker.submit(0, "a")
    b.wait_until_busy()
    b.worker.submit(0, "b")
    b.worker.ask(Question(b, "x"))
    assert b.worker.waiting == 1
    b.worker.submit(0, "c")
    assert (b.worker.waiting, b.worker.waiting_questions) == (1, 1)
    b.let_go()
    b.wait_for("c")
    assert b.events == ["a", "x1", "x answered", "c"]
    assert b.worker.counters.superseded == 1


def test_too_many_questions_are_refused_at_once(bench: Callable[..., Bench]) -> None:
    b = bench(max_questions=2)
    b.worker.ask(Question(b, "x"))
    b.wait_until_busy()  # being answered, so it does not wait any more
    assert b.worker.ask(Question(b, "y"))
    assert b.worker.ask(Question(b, "z"))
    assert not b.worker.ask(Question(b, "never"))
    b.let_go()
    b.wait_for("z answered")
    assert b.events == ["x1", "x answered", "y1", "y answered", "z1", "z answered"]
    assert b.worker.ask(Question(b, "again"))


def test_a_worker_that_was_not_told_so_takes_no_questions(bench: Callable[..., Bench]) -> None:
    b = bench(max_questions=0)
    assert not b.worker.ask(Question(b, "x"))


def test_a_new_epoch_holds_an_answer_back_until_the_question_has_looked_again(bench: Callable[..., Bench]) -> None:
    b = bench()
    question = Question(b, "x")
    b.worker.ask(question)
    b.wait_until_busy()
    b.worker.start_epoch(5)
    b.let_go(1)
    b.wait_until_busy()
    assert b.events == ["x1", "x2"], "the answer of the old epoch was not published"
    b.let_go()
    b.wait_for("x answered")
    assert question.epochs == [0, 5]


def test_waiting_questions_outlive_an_epoch(bench: Callable[..., Bench]) -> None:
    b = bench()
    b.worker.submit(0, "a")
    b.wait_until_busy()
    question = Question(b, "x")
    b.worker.ask(question)
    b.worker.start_epoch(1)
    b.let_go()
    b.wait_for("x answered")
    assert question.epochs == [1]


def test_a_failed_turn_is_tried_again(bench: Callable[..., Bench]) -> None:
    b = bench(max_failures=3)
    hiccup = EngineError("a hiccup")
    question = Question(b, "x", turns=6, errors={1: hiccup, 2: hiccup, 4: hiccup, 5: hiccup})  # never three in a row
    b.let_go()
    b.worker.ask(question)
    b.wait_for("x answered")
    assert (question.called, question.failed) == (6, [])
    assert b.worker.counters.failures == 4


def test_too_many_failures_are_the_answer_and_the_worker_goes_on(bench: Callable[..., Bench]) -> None:
    b = bench(max_failures=3)
    error = EngineError("out of memory")
    question = Question(b, "x", turns=9, errors=dict.fromkeys(range(1, 10), error))
    hiccups = Question(b, "y", turns=3, errors={1: error, 2: error})  # the count starts anew
    b.let_go()
    b.worker.ask(question)
    b.worker.ask(hiccups)
    b.wait_for("y answered")
    assert (question.called, question.failed) == (3, [error])
    assert (hiccups.called, hiccups.failed) == (3, [])
    assert b.worker.counters.failures == 5
    assert b.worker.failed is None
    b.worker.submit(0, "a")
    b.wait_for("a")
    assert "x answered" in b.events


def test_a_model_that_is_given_up_is_the_answer_to_all_that_wait(bench: Callable[..., Bench]) -> None:
    b = bench(max_failures=1)
    questions = [Question(b, "x", turns=5), Question(b, "y")]
    b.worker.ask(questions[0])
    b.wait_until_busy()
    b.worker.ask(questions[1])
    b.worker.submit(0, "broken")
    b.let_go()
    b.wait_for("y answered")
    assert b.events[:3] == ["x1", "broken", "given up: the GPU fell off the bus"]
    assert b.events[3:] == ["x answered", "y answered"]
    assert [question.failed for question in questions] == [[b.worker.failed]] * 2
    assert not b.worker.ask(Question(b, "z"))


def test_a_bug_in_a_question_is_reported_and_not_tried_again(bench: Callable[..., Bench]) -> None:
    b = bench()
    bug = ZeroDivisionError("a bug")
    question = Question(b, "x", errors={1: bug})
    b.let_go()
    b.worker.ask(question)
    b.wait_for("x answered")
    assert b.events == ["x1", "given up: a bug", "x answered"]
    assert b.worker.failed is bug
    assert question.failed == [bug]


def test_stop_drops_questions_unanswered(bench: Callable[..., Bench]) -> None:
    b = bench()
    b.worker.ask(Question(b, "x"))
    b.wait_until_busy()
    b.worker.ask(Question(b, "y"))
    stopped: list[bool] = []
    stopper = threading.Thread(target=lambda: stopped.append(b.worker.stop(LONG_S)))
    stopper.start()
    while b.worker.waiting_questions:  # until stop has begun
        stopper.join(0.001)
    b.let_go()
    stopper.join(LONG_S)
    assert stopped == [True]
    assert b.events == ["x1"]
    assert not b.worker.ask(Question(b, "z"))


def test_a_question_with_a_place_of_its_own_is_let_in_and_takes_nobodys(bench: Callable[..., Bench]) -> None:
    b = bench(max_questions=2)
    b.worker.submit(0, "a")
    b.wait_until_busy()
    assert b.worker.ask(Question(b, "own"), has_place=True)
    assert b.worker.ask(Question(b, "x")) and b.worker.ask(Question(b, "y"))
    assert not b.worker.ask(Question(b, "z")), "two wait besides"
    assert b.worker.ask(Question(b, "other"), has_place=True)
    b.let_go()
    b.wait_for("other answered")
    assert b.events == ["a", *(e for name in ("own", "x", "y", "other") for e in (f"{name}1", f"{name} answered"))]
