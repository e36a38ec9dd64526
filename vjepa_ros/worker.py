"""The one thread that touches the model: its slot or queue, its epoch, its failure flag.

It knows neither the model nor ROS: it is given what to compute, what to do with a result, and whom to tell of a
failure.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Generic, TypeVar

from vjepa_ros.attempt import attempt
from vjepa_ros.errors import EngineError
from vjepa_ros.jobs import Job, Jobs, Question, WorkerCounters

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")

_GIVE_UP_POLL_S = 0.1
_COMPANY_S = 0.02  # cameras that are triggered together come one after another: each is decoded first


class Worker(Generic[JobT, ResultT]):
    """Computes jobs one after another in a thread of its own, and answers questions between them.

    Jobs and questions take turns: where both wait, each job is followed by one turn of the oldest question, and each
    turn by a job. Neither takes the other's place in its queue.

    Jobs may be of several streams, each with an epoch of its own. The oldest ones of all streams are computed together;
    a stream that usually comes close after another is waited for, a moment at most. Questions are about the first one.

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
        streams: how many there are.
        together: jobs of different streams -> their results, at once; without it they are computed one by one.
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
        streams: int = 1,
        together: Callable[[Sequence[JobT]], Sequence[ResultT]] | None = None,
    ) -> None:
        self._compute = compute
        self._deliver = deliver
        self._on_failure = on_failure
        self._on_room = on_room
        self._lossless = lossless
        self._size = size if lossless else 1
        self._max_failures = max_failures
        self._together = together
        self._jobs: Jobs[JobT] = Jobs(_COMPANY_S)
        self._max_questions = max_questions
        self._questions: deque[tuple[Question, bool]] = deque()  # with whether it has a place of its own
        self._asking: Question | None = None  # the one being answered; only the thread touches it
        self._question_failures = 0
        self._changed = threading.Condition()
        self._delivering = threading.Lock()
        self._epochs = [0] * streams
        self._running = False
        self._thread: threading.Thread | None = None
        self.counters = WorkerCounters()
        self.compute_ms = 0.0  # of the last result
        self.waited_ms = 0.0  # the job of that, before it was begun
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
            if not lossless:
                self.counters.superseded += self._jobs.keep_newest()
            self._changed.notify_all()

    def submit(self, epoch: int, job: JobT, give_up: Callable[[], bool] = lambda: False, *, stream: int = 0) -> bool:
        """Hand over a job; when lossless, wait for room.

        Args:
            epoch: of the job.
            job: what to compute.
            give_up: asked now and then while waiting; True ends the wait.
            stream: of the job.

        Returns:
            False if the worker has stopped or failed, or the wait was given up.
        """
        with self._changed:
            while self._lossless and len(self._jobs) >= self._size and self._running and not give_up():
                self._changed.wait(_GIVE_UP_POLL_S)
            if not self._running or (self._lossless and len(self._jobs) >= self._size):
                return False
            self._jobs.add(Job(stream, epoch, job, time.monotonic()))
            if not self._lossless:
                self.counters.superseded += self._jobs.keep_newest()
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

    def start_epoch(self, epoch: int, thrown_away: int = 0, *, stream: int = 0) -> None:
        """From now on deliver only jobs of this epoch; when this returns, none of an older one is being delivered.

        Args:
            epoch: the new one.
            thrown_away: jobs of an older one that were not handed over yet, and will not be.
            stream: whose epoch it is.
        """
        with self._delivering, self._changed:
            self._epochs[stream] = epoch
            old = self._jobs.keep(lambda job: job.stream != stream or job.epoch == epoch)
            self.counters.outdated += old + thrown_away
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
                jobs = self._next_jobs() if question is None else []
                epoch = self._epochs[0]
                self._changed.notify_all()
            question_is_next = question is None
            try:
                if jobs:
                    self._on_room()
                    self._do(jobs)
                elif question is not None:
                    self._take_turn(question, epoch)
            # A bug or a dead middleware: without the report the thread would end silently.
            except Exception as error:  # noqa: BLE001
                self._give_up(error)
                return

    @property
    def _has_work(self) -> bool:
        return bool(self._jobs or self._questions) or self._asking is not None

    def _next_jobs(self) -> list[Job[JobT]]:
        """Take the oldest job of each stream, once those are there that are worth waiting for; none after a stop."""
        while self._running and (left_s := self._jobs.held_back_s(time.monotonic())):
            self._changed.wait(left_s)
        return self._jobs.take()

    def _do(self, jobs: Sequence[Job[JobT]]) -> None:
        began_s = time.monotonic()
        results = self._attempt([job.what for job in jobs])
        if results is not None:
            self.counters.together += len(jobs) if len(jobs) > 1 else 0
            for job, result in zip(jobs, results, strict=True):
                self.waited_ms = (began_s - job.since_s) * 1e3
                self._finish(job, result)

    def _compute_all(self, jobs: Sequence[JobT]) -> Sequence[ResultT]:
        if len(jobs) > 1 and self._together is not None:
            return self._together(jobs)
        return [self._compute(job) for job in jobs]

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
            if is_answered and self._running and epoch == self._epochs[0]:
                self._asking, self._question_failures = None, 0
                question.deliver()

    def _attempt(self, jobs: Sequence[JobT]) -> Sequence[ResultT] | None:
        """The jobs' results; None if the worker was stopped in between. Raises after too many failures in a row."""
        found = attempt(
            partial(self._compute_all, jobs), self._max_failures, goes_on=lambda: self._running,
            failed=self._count_failure,
        )  # fmt: skip
        if found is None:
            return None
        results, self.compute_ms = found
        return results

    def _count_failure(self, error: Exception) -> None:
        self.counters.failures += 1
        self.last_error = str(error)

    def _finish(self, job: Job[JobT], result: ResultT) -> None:
        with self._delivering:
            if not self._running:
                return
            if job.epoch != self._epochs[job.stream]:
                self.counters.outdated += 1
                return
            self._deliver(job.what, result)
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
