"""Whether what comes on one topic comes of one sender: what alternates from message to message gives two away.

It sees what is compared and how it is called; it knows neither messages nor topics.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

_KEPT = 8  # different values that are remembered; of more senders nothing more is to be said
_SOON = 100  # messages; a value that comes back within so many has not been replaced, it alternates
_RETURNS = 2  # from A to B and back may be somebody who tried something


class Alternation:
    """Counts how often something goes back to what it was shortly before.

    One change, of a camera that is set to another size, is none; neither is one change back.
    """

    def __init__(self) -> None:
        self._counts: dict[Hashable, int] = {}
        self._seen_at: dict[Hashable, int] = {}  # number of the last message with a value
        self._last: Hashable = None
        self._number = 0
        self._returned_at = 0
        self._returns = 0

    def add(self, value: Hashable) -> bool:
        """Count in a message; whether with it the value is known to alternate."""
        self._number += 1
        before = self._seen_at.get(value)
        is_return = before is not None and value != self._last and self._number - before <= _SOON
        self._last = value
        self._seen_at[value] = self._number
        self._counts[value] = self._counts.get(value, 0) + 1
        if len(self._counts) > _KEPT:
            oldest = min(self._seen_at, key=self._seen_at.__getitem__)
            del self._seen_at[oldest], self._counts[oldest]
        if is_return:
            self._returns = 1 if self._number - self._returned_at > _SOON else self._returns + 1
            self._returned_at = self._number
        return is_return and self._returns >= _RETURNS

    @property
    def alternates(self) -> bool:
        """Whether it has alternated within the last messages."""
        return self._returns >= _RETURNS and self._number - self._returned_at <= _SOON

    @property
    def counts(self) -> list[tuple[Hashable, int]]:
        """The values that are remembered and how many messages had each, the most frequent first."""
        return sorted(self._counts.items(), key=lambda item: -item[1])


def are_disjoint(sets: Iterable[Iterable[str]]) -> bool:
    """Whether there are several sets of names, and no name is in two of them: senders that complete each other."""
    every = [frozenset(names) for names in sets]
    return len(every) > 1 and len(frozenset().union(*every)) == sum(map(len, every))
