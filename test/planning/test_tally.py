"""The tally of questions, from two threads."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter

from vjepa_ros.planning.questions import REASONS, Tally

PATIENCE_S = 0.2  # how long a thread that has read a count waits for the other one to read the same


class Meeting(Counter[str]):
    """Two threads that may read one count at a time do so, and both write the same one more."""

    both = threading.Barrier(2)

    def __getitem__(self, key: str) -> int:
        count = super().__getitem__(key)
        with contextlib.suppress(threading.BrokenBarrierError):  # where the other one is kept out
            self.both.wait(PATIENCE_S)
        return count


def test_refusals_of_two_threads_are_both_counted() -> None:
    tally = Tally()
    tally.refused = Meeting(dict.fromkeys(REASONS, 0))
    threads = [threading.Thread(target=tally.refuse, args=("no_goal",)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert dict(tally.refused) == {**dict.fromkeys(REASONS, 0), "no_goal": 2}
