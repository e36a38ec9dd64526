"""How finely a plan is searched for, by how much of the energy is left."""

from __future__ import annotations

import numpy as np
import pytest

from vjepa_ros.planning.approach import Approach
from vjepa_ros.planning.plan import Plan


def plan(*energies: float) -> Plan:
    return Plan(np.zeros((len(energies), 7)), np.zeros((1, 3)), np.array(energies), 1.0, (), False)


def test_far_away_a_plan_looks_as_far_as_it_can() -> None:
    approach = Approach(4)
    assert approach.search(0.8, None) == (4, 1.0)
    assert approach.search(0.79, plan(0.7, 0.8, 0.8, 0.8)) == (4, 1.0), "though the first step came nearest"
    assert approach.search(0.41, plan(0.4, 0.8, 0.8, 0.8)) == (4, 1.0)


@pytest.mark.parametrize(
    ("energies", "steps"),
    [((0.3, 0.2, 0.1, 0.2), 4), ((0.1, 0.2, 0.3, 0.4), 2), ((0.2, 0.1), 3), ((0.2,), 2), ((0.4, 0.3, 0.2, 0.1), 4)],
)
def test_near_its_goal_it_looks_as_far_as_is_of_use(energies: tuple[float, ...], steps: int) -> None:
    approach = Approach(4)
    approach.search(0.8, None)
    assert approach.search(0.4, plan(*energies))[0] == steps


def test_candidates_are_drawn_the_more_narrowly_the_nearer_it_is() -> None:
    approach = Approach(4)
    approach.search(0.8, None)
    spreads = [approach.search(energy, plan(0.1))[1] for energy in (1.0, 0.4, 0.3, 0.2, 0.1, 0.0)]
    assert spreads == pytest.approx([1.0, 1.0, 0.75, 0.5, 0.35, 0.35])


def test_another_goal_begins_anew() -> None:
    approach = Approach(4)
    approach.search(0.8, None)
    assert approach.search(0.2, None) == (4, 1.0)
    assert approach.search(0.15, plan(0.1, 0.2))[0] == 4
    assert Approach(4).search(0.0, None)[0] == 4, "a goal that is met to the last bit"
