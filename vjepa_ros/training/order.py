"""The order of samples: every one once before any comes again, and what comes at a place says the place alone.

So nothing has to be kept to go on after an interruption, and any number of processes share one order.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Order:
    """An endless order of so many things, shuffled anew each time round.

    Args:
        count: how many there are.
        seed: of the shuffling.
    """

    def __init__(self, count: int, seed: int) -> None:
        assert count > 0, "there is nothing to order"
        self.count, self.seed = count, seed
        self._round = -1
        self._shuffled: NDArray[np.int64] = np.empty(0, np.int64)

    def __call__(self, places: range) -> NDArray[np.int64]:
        """What stands at these places, in their order."""
        return np.array([self._at(place) for place in places], np.int64)

    def _at(self, place: int) -> int:
        number, index = divmod(place, self.count)
        if number != self._round:
            self._round, self._shuffled = number, np.random.default_rng([self.seed, number]).permutation(self.count)
        return int(self._shuffled[index])
