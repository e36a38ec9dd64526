"""Sub-goals: what ends each, and that the last one is only ever left by being met."""

from __future__ import annotations

import pytest
import torch

from vjepa_ros.errors import ConfigError, ShapeError
from vjepa_ros.planning.goals import End, Goals, SubGoal


def goals(count: int) -> list[SubGoal]:
    return [SubGoal(torch.full((1, 4, 8), float(number)), name=str(number)) for number in range(count)]


def test_a_goal_is_reached_after_so_many_low_energies_in_a_row() -> None:
    way = Goals(goals(1), End(energy=0.5, plans=3))
    assert [way.note(energy) for energy in (0.4, 0.4, 0.6, 0.4, 0.4)] == ["going"] * 5
    assert not way.reached and way.note(0.49) == "reached" and way.reached
    assert way.note(9.0) == "reached", "it stays so"


def test_sub_goals_follow_each_other_by_energy() -> None:
    way = Goals(goals(3), End(energy=0.5))
    assert [way.note(energy) for energy in (0.6, 0.4, 0.6, 0.4)] == ["going", "next", "going", "next"]
    assert way.current.name == "2" and way.note(0.5) == "going" and way.note(0.1) == "reached"


def test_a_number_of_steps_ends_all_but_the_last() -> None:
    way = Goals(goals(2), End(steps=3))
    assert [way.note(1.0) for _ in range(3)] == ["going", "going", "next"]
    assert [way.note(1.0) for _ in range(9)] == ["going"] * 9 and not way.reached
    assert Goals(goals(2), End(steps=3)).note(1.0, executed=3) == "next"


def test_counts_begin_anew_with_each_sub_goal() -> None:
    way = Goals(goals(3), [End(energy=0.5, plans=2), End(energy=0.5, plans=2), End(energy=0.1)])
    assert [way.note(0.4) for _ in range(4)] == ["going", "next", "going", "next"]
    assert way.note(0.4) == "going" and way.advance() == "reached"


def test_without_an_end_a_goal_is_never_reached() -> None:
    way = Goals(goals(1), End())
    assert [way.note(0.0) for _ in range(5)] == ["going"] * 5


def test_several_images_of_one_goal() -> None:
    mean = SubGoal.of_images([one.latents for one in goals(3)], name="all")
    assert torch.equal(mean.latents, torch.ones(1, 4, 8)) and mean.name == "all"
    with pytest.raises(ShapeError, match="must have one shape"):
        SubGoal.of_images([torch.zeros(1, 4, 8), torch.zeros(1, 5, 8)])
    with pytest.raises(ShapeError, match="0 images"):
        SubGoal.of_images([])


def test_what_makes_no_sense_is_refused() -> None:
    for wrong in ({"energy": -1.0}, {"plans": 0}, {"steps": -1}):
        with pytest.raises(ConfigError, match="planner.goal_"):
            End(**wrong)
    with pytest.raises(ConfigError, match="is empty"):
        Goals([], End())
    with pytest.raises(ConfigError, match="2 goals with 1 ends"):
        Goals(goals(2), [End()])
