"""How finely to search: as a goal comes nearer, fewer steps ahead, and candidates that are drawn more narrowly.

How near it is, is told by the energy, as a share of what it was when the first plan for this goal was made. Numbers in,
numbers out; it knows neither models nor clocks.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vjepa_ros.planning.plan import Plan

_NEAR = 0.5  # of the first energy: from further away, a plan that sees nothing better may only look too few steps ahead
_WIDER = 2.0  # times that share, draws are as wide as at first from half of the way on
_LEAST = 0.35


@dataclass
class Approach:
    """One robot before one goal after another.

    Attributes:
        most: steps that a plan looks ahead at most, those that are committed not included.
    """

    most: int
    _first: float = field(default=np.nan, init=False)

    def search(self, energy: float, last: Plan | None) -> tuple[int, float]:
        """How the next plan is to be searched for.

        Args:
            energy: of what is observed.
            last: the last plan for the same goal; None before the first one.

        Returns:
            The steps that it looks ahead, and a factor for the standard deviation of what is drawn, 0.35 to 1. Far from
            the goal these are ``most`` and 1. Near it a plan looks one step further than the last one came nearest.
        """
        if last is None:
            self._first = energy
        share = energy / self._first if self._first > 0 else 0.0
        spread = float(np.clip(_WIDER * share, _LEAST, 1.0))
        if last is None or share > _NEAR:
            return self.most, spread
        return min(self.most, last.nearest + 1), spread
