"""What the worker is asked: jobs of one or several streams, questions, what became of them, and which jobs come
together.

It knows no threads, and no clock but for the times that it is given.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

JobT = TypeVar("JobT")


@dataclass(frozen=True)
class Job(Generic[JobT]):
    """A job that waits.

    Attributes:
        stream, epoch: what it is of.
        what: what is computed.
        since_s: when it was handed over, by a monotonic clock.
    """

    stream: int
    epoch: int
    what: JobT
    since_s: float


@dataclass
class WorkerCounters:
    """What happened to the jobs."""

    done: int = 0
    superseded: int = 0  # replaced by a newer job before the model was free
    outdated: int = 0  # thrown away because their epoch was over
    failures: int = 0  # attempts that raised
    together: int = 0  # computed in one call with jobs of other streams


class Question(Protocol):
    """A question to the model, answered in turns of bounded length, so that jobs come in between."""

    def turn(self, epoch: int) -> bool:
        """Compute a part of the answer; whether there is one now. Called again after an EngineError or a new epoch.

        Args:
            epoch: the current one of the first stream; an answer about an older one must be replaced.
        """

    def fail(self, error: Exception) -> None:
        """The model has failed too often: let this be the answer."""

    def deliver(self) -> None:
        """Publish the answer; called once, in the epoch of the last turn."""


class Company:
    """Which streams' jobs come close after each other, so that one is worth waiting for while the other is there.

    Two streams are in company once their jobs have come within the longest wait of each other, and no longer once one
    has been waited for in vain: a stream that stalls costs the others one such wait, and no more until it is back.

    Args:
        most_s: the longest wait.
    """

    def __init__(self, most_s: float) -> None:
        self.most_s = most_s
        self._came_s: dict[int, float] = {}
        self._pairs: set[frozenset[int]] = set()

    def came(self, stream: int, now_s: float) -> None:
        """A job of a stream has come."""
        for other, at_s in self._came_s.items():
            if other != stream and now_s - at_s <= self.most_s:
                self._pairs.add(frozenset((stream, other)))
        self._came_s[stream] = now_s

    def missing(self, there: Collection[int]) -> set[int]:
        """The streams that are waited for while there are jobs of these."""
        return {one for pair in self._pairs if pair & {*there} for one in pair} - {*there}

    def not_come(self, there: Collection[int]) -> None:
        """Those that were missing have not come in time."""
        absent = self.missing(there)
        self._pairs = {pair for pair in self._pairs if not (pair & absent and pair & {*there})}


class Jobs(Generic[JobT]):
    """The jobs that wait, in the order in which they came.

    Args:
        most_s: how long those of one stream are held back at most for those of others that usually come close after
            them, however often a newer one takes the place of an older one meanwhile.
    """

    def __init__(self, most_s: float) -> None:
        self._jobs: deque[Job[JobT]] = deque()
        self._company = Company(most_s)
        self._held_since_s: dict[int, float] = {}  # of each stream that has jobs here

    def __len__(self) -> int:
        return len(self._jobs)

    def add(self, job: Job[JobT]) -> None:
        """One more."""
        self._company.came(job.stream, job.since_s)
        self._held_since_s.setdefault(job.stream, job.since_s)
        self._jobs.append(job)

    def clear(self) -> None:
        """Let go of all."""
        self.keep(lambda job: False)

    def keep(self, wanted: Callable[[Job[JobT]], bool]) -> int:
        """Let go of those that are not wanted; how many that were."""
        before = len(self._jobs)
        self._jobs = deque(filter(wanted, self._jobs))
        there = {job.stream for job in self._jobs}
        self._held_since_s = {stream: since_s for stream, since_s in self._held_since_s.items() if stream in there}
        return before - len(self._jobs)

    def keep_newest(self) -> int:
        """Let go of all but the newest of each stream; how many that were."""
        newest = {job.stream: job for job in self._jobs}
        return self.keep(lambda job: newest[job.stream] is job)

    def held_back_s(self, now_s: float) -> float:
        """How much longer they are held back for others; 0 where they are not."""
        if not self._jobs or not self._company.missing(self._held_since_s):
            return 0.0
        return max(0.0, min(self._held_since_s.values()) + self._company.most_s - now_s)

    def take(self) -> list[Job[JobT]]:
        """The oldest one of each stream, oldest first; they no longer wait."""
        oldest: dict[int, Job[JobT]] = {}
        for job in self._jobs:
            oldest.setdefault(job.stream, job)
        self._company.not_come(oldest)
        self.keep(lambda job: oldest[job.stream] is not job)
        self._held_since_s = {job.stream: job.since_s for job in reversed(self._jobs)}
        return list(oldest.values())
