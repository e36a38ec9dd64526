"""The one thread that touches the model: its slot or queue, its epoch, its failure flag.

It knows neither the model nor ROS: it is given what to compute, what to do with a result, and whom to tell of a
failure.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, TypeVar

from vjepa_ros.attempt import attempt
from vjepa_ros.errors import EngineError

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")

_GIVE_UP_POLL_S = 0.1


@dataclass
class WorkerCounters:
    """What happened to the jobs."""

    done: int = 0
    superseded: int = 0  # replaced by a newer job before the model was free
    outdated: int = 0  # thrown away because their epoch was over
    failures: int = 0  # attempts that raised


class Question(Protocol):
    """A question to the model, answered in turns of bounded length, so that jobs come in between."""

    def turn(self, epoch: int) -> bool:
        """Compute a part of the answer; whether there is one now. Called again after an EngineError or a new epoch.

        Args:
            epoch: the current one; an answer about an older one must be replaced.
        """

    def fail(self, error: Exception) -> None:
        """The model has failed too often: let this be the answer."""

    def deliver(self) -> None:
        """Publish the answer; called once, in the epoch of the last turn."""


class Worker(Generic[JobT, ResultT]):
    """Computes jobs one after another in a thread of its own, and answers questions between them.

    Jobs and questions take turns: where both wait, each job is followed by one turn of the oldest question, and each
    turn by a job. Neither takes the other's place in its queue.

    Args:
        compute: job -> result; raises EngineError where the model fails, which is tried again.
        deliver: called with job and result, only while the job's epoch lasts.
        on_failure: called once, in the worker's thread, when the worker gives up.
        lossless: queue every job and let :meth:`submit` wait, rather than keep only the newest.
        size: jobs that wait at most when lossless.
        max_failures: attempts that may fail in a row before the worker gives up. A question that fails as often has
            that for an answer, and nothing more comes of it: only jobs decide whether the model is broken.
        max_questions: questions that wait at most, besides the one that is being answered and those with a place of
            their own.
        on_room: called in the worker's thread whenever a job has left the queue, or none will any more.
    """

    def __init__(
        self,
        compute: Callable[[JobT], ResultT],
        deliver: Callable[[JobT, ResultT], None],
        on_failure: Callable[[Exception], None],
        *,
        lossless: bool,
        size: int,
        max_failures: int,
        max_questions: int = 0,
        on_room: Callable[[], None] = lambda: None,
    ) -> None:
        self._compute = compute
        self._deliver = deliver
        self._on_failure = on_failure
        self._on_room = on_room
        self._lossless = lossless
        self._size = size if lossless else 1
        self._max_failures = max_failures
        self._jobs: deque[tuple[int, JobT, float]] = deque()  # with when it was handed over
        self._max_questions = max_questions
        self._questions: deque[tuple[Question, bool]] = deque()  # with whether it has a place of its own
        self._asking: Question | None = None  # the one being answered; only the thread touches it
        self._question_failures = 0
        self._changed = threading.Condition()
        self._delivering = threading.Lock()
        self._epoch = 0
        self._running = False
        self._thread: threading.Thread | None = None
        self.counters = WorkerCounters()
        self.compute_ms = 0.0  # of the last result
        self.waited_ms = 0.0  # the last job, before it was begun
        self.last_error = ""
        self.failed: Exception | None = None

    @property
    def waiting(self) -> int:
        """Jobs that wait."""
        return len(self._jobs)

    @property
    def has_room(self) -> bool:
        """Whether :meth:`submit` would not wait."""
        with self._changed:
            return not self._lossless or not self._running or len(self._jobs) < self._size

    @property
    def waiting_questions(self) -> int:
        """Questions that wait."""
        return len(self._questions)

    def start(self) -> None:
        """Start the thread."""
        self._running = True
        self._thread = threading.Thread(target=self._run, name="vjepa_worker", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float, give_up: Callable[[], bool] = lambda: False) -> bool:
        """Drop what waits, let the current job or turn end without delivering it, and join; False if it did not end.

        Args:
            timeout_s: how long to wait for the current job.
            give_up: asked now and then while waiting; True ends the wait after one more look.
        """
        with self._changed:
            self._running = False
            self._jobs.clear()
            self._questions.clear()
            self._changed.notify_all()
        if self._thread is None:
            return True
        end_s = time.monotonic() + timeout_s
        while True:
            self._thread.join(max(0.0, min(_GIVE_UP_POLL_S, end_s - time.monotonic())))
            if not self._thread.is_alive():
                return True
            if give_up() or time.monotonic() >= end_s:
                return False

    def resize(self, *, lossless: bool, size: int) -> None:
        """Queue otherwise from now on, as for :class:`Worker`; where only the newest job is kept, older ones go."""
        with self._changed:
            self._lossless, self._size = lossless, size if lossless else 1
            while not lossless and len(self._jobs) > 1:
                self._jobs.popleft()
                self.counters.superseded += 1
            self._changed.notify_all()

    def submit(self, epoch: int, job: JobT, give_up: Callable[[], bool] = lambda: False) -> bool:
        """Hand over a job; when lossless, wait for room.

        Args:
            epoch: of the job.
            job: what to compute.
            give_up: asked now and then while waiting; True ends the wait.

        Returns:
            False if the worker has stopped or failed, or the wait was given up.
        """
        with self._changed:
            while self._lossless and len(self._jobs) >= self._size and self._running and not give_up():
                self._changed.wait(_GIVE_UP_POLL_S)
            if not self._running or (self._lossless and len(self._jobs) >= self._size):
                return False
            if len(self._jobs) >= self._size:
                self._jobs.popleft()
                self.counters.superseded += 1
            self._jobs.append((epoch, job, time.monotonic()))
            self._changed.notify_all()
        return True

    def ask(self, question: Question, *, has_place: bool = False) -> bool:
        """Hand over a question; never waits. Questions outlive an epoch: they are about the newest window.

        Args:
            question: is answered after those that wait already.
            has_place: whether it is let in however many wait, and takes no place of theirs: for who asks one at a time.

        Returns:
            False if too many wait already, or the worker has stopped or failed.
        """
        with self._changed:
            waiting = sum(not has_its_own for _, has_its_own in self._questions)
            if not self._running or (not has_place and waiting >= self._max_questions):
                return False
            self._questions.append((question, has_place))
            self._changed.notify_all()
        return True

    def start_epoch(self, epoch: int, thrown_away: int = 0) -> None:
        """From now on deliver only jobs of this epoch; when this returns, none of an older one is being delivered.

        Args:
            epoch: the new one.
            thrown_away: jobs of an older one that were not handed over yet, and will not be.
        """
        with self._delivering, self._changed:
            self._epoch = epoch
            current = [entry for entry in self._jobs if entry[0] == epoch]
            self.counters.outdated += len(self._jobs) - len(current) + thrown_away
            self._jobs = deque(current)
            self._changed.notify_all()

    def _run(self) -> None:
        question_is_next = False
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._has_work or not self._running)
                if not self._running:
                    return
                if self._asking is None and self._questions:
                    self._asking = self._questions.popleft()[0]
                question = self._asking if question_is_next or not self._jobs else None
                entry = self._jobs.popleft() if question is None else None
                epoch = self._epoch
                self._changed.notify_all()
            question_is_next = question is None
            try:
                if entry is not None:
                    self._on_room()
                if question is not None:
                    self._take_turn(question, epoch)
                elif entry is not None:
                    self._do(*entry)
            # A bug or a dead middleware: without the report the thread would end silently.
            except Exception as error:  # noqa: BLE001
                self._give_up(error)
                return

    @property
    def _has_work(self) -> bool:
        return bool(self._jobs or self._questions) or self._asking is not None

    def _do(self, epoch: int, job: JobT, since_s: float) -> None:
        self.waited_ms = (time.monotonic() - since_s) * 1e3
        result = self._attempt(job)
        if result is not None:
            self._finish(epoch, job, result)

    def _take_turn(self, question: Question, epoch: int) -> None:
        """One turn of a question. Where the epoch has risen in the meantime the next turn looks at the answer again."""
        try:
            is_answered = question.turn(epoch)
            self._question_failures = 0
        except EngineError as error:
            self._count_failure(error)
            self._question_failures += 1
            is_answered = self._question_failures >= self._max_failures
            if is_answered:
                question.fail(error)
        with self._delivering:
            if is_answered and self._running and epoch == self._epoch:
                self._asking, self._question_failures = None, 0
                question.deliver()

    def _attempt(self, job: JobT) -> ResultT | None:
        """The job's result; None if the worker was stopped in between. Raises after too many failures in a row."""
        found = attempt(
            partial(self._compute, job), self._max_failures, goes_on=lambda: self._running, failed=self._count_failure
        )
        if found is None:
            return None
        result, self.compute_ms = found
        return result

    def _count_failure(self, error: Exception) -> None:
        self.counters.failures += 1
        self.last_error = str(error)

    def _finish(self, epoch: int, job: JobT, result: ResultT) -> None:
        with self._delivering:
            if not self._running:
                return
            if epoch != self._epoch:
                self.counters.outdated += 1
                return
            self._deliver(job, result)
            self.counters.done += 1

    def _give_up(self, error: Exception) -> None:
        with self._changed:
            was_running = self._running
            questions = [self._asking] if self._asking is not None else []
            questions += [question for question, _ in self._questions]
            self.failed = error
            self.last_error = str(error)
            self._running = False
            self._jobs.clear()
            self._questions.clear()
            self._changed.notify_all()
        self._on_failure(error)
        self._on_room()
        for question in questions if was_running else []:
            question.fail(error)
            question.deliver()
